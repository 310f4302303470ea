"""The whole check of a folder."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlpromote import bundle_folder
from mlpromote.checking import monitors, schedules
from mlpromote.checking.configuration_file import examine
from mlpromote.checking.findings import Finding, Rule
from mlpromote.checking.named_files import NamedFiles
from shared.config import bundle


@dataclass(frozen=True)
class Checked:
    """All that was found, by file and line, and the routes of a configuration that is valid."""

    findings: list[Finding]
    routes: tuple[str, ...]

    @property
    def faults(self) -> int:
        """How many findings are faults."""
        return sum(not each.is_note for each in self.findings)


def check(files: list[Path], settings: Mapping[str, str]) -> Checked:
    """Check configuration files and all that is beside them. Reports everything at once."""
    findings: list[Finding] = []
    routes: list[str] = []
    for file in files:
        examined = examine(file, settings)
        findings += examined.findings
        routes += examined.routes
        if examined.document is not None:
            named = NamedFiles(examined.document)
            findings += named.findings()
            findings += monitors.findings(examined.document)
            findings += schedules.findings(examined.document)
            findings += named.by_schema(file.parent)
        if examined.is_team and file.name == bundle.CONFIGURATION:
            findings += _unpublishable(file.parent)
    # A file may be reached in several ways.
    once = {replace(each, file=each.file.resolve()): each for each in findings}
    return Checked(sorted(once.values()), tuple(routes))


def _unpublishable(folder: Path) -> Iterator[Finding]:
    """Yield the files that `mlpromote publish` would refuse."""
    for each in bundle_folder.refused(folder):
        yield Finding(folder / each.name, each.line, 1, f"cannot be published: {each.says}", Rule.FILE)
