"""The files of a bundle, collected from a folder: `promotion.yml`, the files that it names, and those that they name.

Folders are taken as azure-ai-ml takes them: without what their `.amlignore`, or else `.gitignore`, excludes.
"""

import os
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pathspec
import yaml

from mlpromote import app_rules
from mlpromote.exit_codes import CommandError, ExitCode

app_rules.make_importable()
from shared.config import bundle, bundle_secrets, named_paths  # noqa: E402  # found only now, in a wheel

#: Never of a bundle: each machine makes its own.
UNWANTED = frozenset({"__pycache__", ".git", ".ipynb_checkpoints", ".mypy_cache", ".ruff_cache", ".pytest_cache"})
_UNWANTED_FILES = frozenset({".DS_Store", "Thumbs.db"})


def collect(folder: Path) -> dict[str, bytes]:
    """Return the contents by name. Raises `CommandError` with every file that cannot be part of a bundle."""
    root = folder.resolve()
    if not (root / bundle.CONFIGURATION).is_file():
        says = (
            f"There is no {bundle.CONFIGURATION} in {folder}. Name its folder, or make one with `mlpromote init NAME`."
        )
        raise CommandError(ExitCode.USAGE, says)
    collecting = _Collecting(root)
    collecting.run()
    if found := sorted(map(str, {*collecting.missing, *collecting.refused()})):
        count = "1 file" if len(found) == 1 else f"{len(found)} files"
        lines = "\n".join(f"  {each}" for each in found)
        raise CommandError(ExitCode.REFUSED, f"{count} cannot be published:\n{lines}")
    return collecting.files


def refused(folder: Path) -> list["Refused"]:
    """Return every file below a folder with `promotion.yml` that cannot be part of its bundle, in order of their names.

    A named file that is not there is left out: `mlpromote check` reports it where it is named.
    """
    collecting = _Collecting(folder.resolve())
    collecting.run()
    return sorted(set(collecting.refused()))


def packed(folder: Path) -> tuple[str, bytes]:
    """Return the digest and the archive of a folder's bundle. Raises like `collect`."""
    files = collect(folder)
    return bundle.digest_of(files), bundle.archived(files)


@dataclass(frozen=True, order=True)
class Refused:
    """A file that cannot be published, and why."""

    name: str  #: relative to the folder, with `/`
    says: str
    line: int = 1  #: counted from 1

    def __str__(self) -> str:
        return f"{self.name} {self.says}"


class _Collecting:
    """Follows the files of one folder, and reads no more than a bundle may hold."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._sizes: dict[str, int] = {}
        self._faults: list[Refused] = []
        self.files: dict[str, bytes] = {}
        self.missing: list[Refused] = []  #: files that name others which are not there

    def refused(self) -> Iterator[Refused]:
        """Yield what cannot be published, after `run`."""
        yield from self._faults
        for fault in bundle.name_faults(self._sizes):
            yield Refused(fault.place, fault.sentence)
        for secret in bundle_secrets.found(self.files):
            yield Refused(secret.name, secret.says, secret.line)
        yield from _beyond_limits(self._sizes)

    def run(self) -> None:
        """Find every file."""
        left = [self._root / bundle.CONFIGURATION]
        seen = set(left)
        while left:
            document = left.pop()
            for key, text in named_paths.named(_content(self._take(document))):
                path = Path(os.path.normpath(document.parent / text))
                if not self._is_inside(path, document, text):
                    continue
                if path.is_dir() and self._leads_inside(path):
                    for file in _files_of(path, self._root):
                        self._take(file)
                elif key in named_paths.NAMES_YAML and path not in seen:
                    seen.add(path)
                    left.append(path)
                else:
                    self._take(path)

    def _is_inside(self, path: Path, document: Path, text: str) -> bool:
        name = document.relative_to(self._root).as_posix()
        if not path.is_relative_to(self._root):
            says = f"names {text}, which is outside of {self._root}; move it into that folder"
            self._faults.append(Refused(name, says))
        elif not path.exists():
            self.missing.append(Refused(name, f"names {text}, which does not exist"))
        else:
            return True
        return False

    def _leads_inside(self, path: Path) -> bool:
        return _resolved(path).is_relative_to(self._root)

    def _take(self, file: Path) -> bytes:
        """Return the content, and empty for a file that cannot be published."""
        # Some systems store the names of files in another form than the one that people type.
        shown = unicodedata.normalize("NFC", file.relative_to(self._root).as_posix())
        if not self._leads_inside(file):
            says = f"is a link to {_resolved(file)}, which is outside of {self._root}"
            self._faults.append(Refused(shown, says))
        elif not file.is_file():
            self._faults.append(Refused(shown, "is not an ordinary file"))
        else:
            try:
                self._sizes[shown] = file.stat().st_size
                is_too_much = sum(self._sizes.values()) > bundle.MOST_BYTES
                self.files[shown] = b"" if is_too_much else file.read_bytes()
            except OSError as fault:
                self._faults.append(Refused(shown, f"cannot be read: {fault.strerror}"))
        return self.files.get(shown, b"")


def _resolved(path: Path) -> Path:
    """Where a link leads, or the link itself if it leads round in a circle."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path


def _files_of(folder: Path, root: Path) -> Iterator[Path]:
    """The files of a folder that Azure ML would upload, and links to folders outside of `root`."""
    ignored = _ignored(folder)
    for place, folders, files in os.walk(folder, followlinks=True):
        inside = [each for each in folders if each not in UNWANTED and not _leads_up(Path(place) / each)]
        outside = {each for each in inside if not _resolved(Path(place) / each).is_relative_to(root)}
        folders[:] = sorted(set(inside) - outside)
        for each in sorted(outside):
            link = Path(place) / each
            if not ignored.match_file(f"{link.relative_to(folder).as_posix()}/"):
                yield link
        for name in sorted(files):
            file = Path(place) / name
            is_wanted = name not in _UNWANTED_FILES and not name.endswith(".pyc")
            if is_wanted and not ignored.match_file(file.relative_to(folder).as_posix()):
                yield file


def _leads_up(folder: Path) -> bool:
    """Whether a link leads to a folder that holds it, which would never end."""
    return folder.is_symlink() and folder.absolute().is_relative_to(folder.resolve())


def _ignored(folder: Path) -> pathspec.PathSpec[Any]:
    for name in (".amlignore", ".gitignore"):
        file = folder / name
        if file.is_file():
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            return pathspec.GitIgnoreSpec.from_lines(line.rstrip() for line in lines)
    return pathspec.GitIgnoreSpec.from_lines([])


def _content(text: bytes) -> Any:
    """What a YAML file holds; None if it cannot be read: the app says what is wrong with it."""
    try:
        return yaml.safe_load(text.decode("utf-8"))
    except (ValueError, RecursionError, yaml.YAMLError):
        return None


def _beyond_limits(sizes: Mapping[str, int]) -> Iterator[Refused]:
    size, most = sum(sizes.values()), bundle.MOST_BYTES
    if len(sizes) > bundle.MOST_FILES:
        says = f"names {len(sizes)} files; a bundle has at most {bundle.MOST_FILES}. Leave data out with .amlignore"
        yield Refused(bundle.CONFIGURATION, says)
    if size > most:
        largest = max(sizes, key=lambda name: sizes[name])
        says = f"a bundle has at most {most >> 20} MB, and this one has {size / (1 << 20):.1f}"
        yield Refused(largest, f"is the largest of all files; {says}. Leave data out with .amlignore")
