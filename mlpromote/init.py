"""The command init: a repository for a model, with everything that a first promotion needs."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from mlpromote.commands import command
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.installed import own_version
from mlpromote.session import Session

TEMPLATES = Path(__file__).parent / "templates"
_MODEL, _VERSION = "@model@", "@version@"
#: Fits as the name of a model, a route and an endpoint, with `-test` behind it.
_NAME = re.compile(r"[a-z][a-z0-9-]{1,25}[a-z0-9]")
#: Where the packaged schemas are: beside the templates, or in the repository's documentation.
_SCHEMAS = (Path(__file__).parent / "schemas", Path(__file__).parents[1] / "docs")
_SCHEMA = "team.schema.json"
#: What a repository often has already, and keeps: nothing here needs ours.
KEPT = frozenset(
    {"README.md", ".gitignore", ".gitattributes", ".pre-commit-config.yaml"}
    | {f".vscode/{name}" for name in ("settings.json", "extensions.json")}
)


@command(
    "init",
    "make a repository for a model, ready for `check` and `publish`",
    more="Writes promotion.yml, deployments, an endpoint, a scoring script, smoke requests, a training job, CI for "
    "GitHub and Azure DevOps, a pre-commit hook, and settings for VS Code. Overwrites nothing.",
)
@click.argument("name")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=".", help="Where to write; by default the current folder."
)
@click.pass_obj
def init(session: Session, name: str, folder: Path) -> ExitCode:
    """Write the files."""
    if not _NAME.fullmatch(name):
        raise CommandError(
            ExitCode.USAGE,
            f"{name!r} cannot name a model and its endpoint: use 3 to 27 lower-case letters, digits and hyphens, such "
            "as churn.",
        )
    files = dict(_files(name))
    there = sorted(path for path in files if (folder / path).exists())
    if in_the_way := [path for path in there if path not in KEPT]:
        raise CommandError(
            ExitCode.REFUSED,
            f"Nothing was written: {folder} already has {', '.join(in_the_way)}. Name an empty folder with --folder.",
        )
    files = {path: content for path, content in files.items() if path not in there}
    _write(folder, files)
    session.output.result(sorted(files), lambda: _told(files, there, folder))
    return ExitCode.DONE


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files. Raises `CommandError` where that is not possible."""
    for path, content in files.items():
        try:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content, encoding="utf-8", newline="\n")
        except OSError as fault:
            raise CommandError(ExitCode.REFUSED, f"Cannot write {folder / path}: {fault.strerror}") from fault


def _files(name: str) -> Iterator[tuple[str, str]]:
    """Yield each file's path in the new repository, and its content."""
    own = own_version()
    if own is None:
        raise CommandError(ExitCode.USAGE, "mlpromote is not installed: pip install mlpromote")
    for template in sorted(TEMPLATES.rglob("*")):
        if template.is_file() and "__pycache__" not in template.parts:
            path = template.relative_to(TEMPLATES).as_posix().replace(_MODEL, name)
            text = template.read_text(encoding="utf-8")
            yield path, text.replace(_MODEL, name).replace(_VERSION, own)
    yield ".vscode/promotion.schema.json", _schema()


def _schema() -> str:
    """Return the schema of a team's configuration: the platform's file has the registry and the environments."""
    file = next(folder / _SCHEMA for folder in _SCHEMAS if (folder / _SCHEMA).is_file())
    return file.read_text(encoding="utf-8")


def _told(files: Mapping[str, str], kept: list[str], folder: Path) -> Iterator[str]:
    yield from sorted(files)
    if kept:
        yield f"Kept as they were: {', '.join(kept)}."
    where = "" if folder == Path() else f" {folder}"
    yield f"{len(files)} files written. Next: mlpromote check{where}"


COMMANDS = (init,)
