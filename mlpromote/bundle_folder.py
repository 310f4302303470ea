"""The files of a bundle, collected from a folder: `promotion.yml`, the files that it names, and those that they name.

Folders are taken as azure-ai-ml takes them: without what their `.amlignore`, or else `.gitignore`, excludes.
"""

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pathspec
import yaml

from mlpromote import app_rules
from mlpromote.exit_codes import CommandError, ExitCode

app_rules.make_importable()
from shared.config import bundle, named_paths  # noqa: E402  # found only now, in a wheel

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
    faults = [*collecting.faults, *map(str, bundle.secrets(collecting.files)), *_beyond_limits(collecting.files)]
    if faults:
        count = "1 file" if len(faults) == 1 else f"{len(faults)} files"
        lines = "\n".join(f"  {fault}" for fault in sorted(set(faults)))
        raise CommandError(ExitCode.REFUSED, f"{count} cannot be published:\n{lines}")
    return collecting.files


def packed(folder: Path) -> tuple[str, bytes]:
    """Return the digest and the archive of a folder's bundle. Raises like `collect`."""
    files = collect(folder)
    return bundle.digest_of(files), bundle.archived(files)


class _Collecting:
    """Follows the files of one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.files: dict[str, bytes] = {}
        self.faults: list[str] = []

    def run(self) -> None:
        """Fill `files` and `faults`."""
        left = [self._root / bundle.CONFIGURATION]
        seen = set(left)
        while left:
            document = left.pop()
            self._take(document)
            for key, text in named_paths.named(_content(document)):
                path = Path(os.path.normpath(document.parent / text))
                if not self._is_inside(path, document, text):
                    continue
                if path.is_dir():
                    for file in _files_of(path):
                        self._take(file)
                elif key in named_paths.NAMES_YAML and path not in seen:
                    seen.add(path)
                    left.append(path)
                else:
                    self._take(path)

    def _is_inside(self, path: Path, document: Path, text: str) -> bool:
        name = document.relative_to(self._root).as_posix()
        if not path.is_relative_to(self._root):
            self.faults.append(f"{name} names {text}, which is outside of {self._root}; move it into that folder")
        elif not path.exists():
            self.faults.append(f"{name} names {text}, which does not exist")
        else:
            return True
        return False

    def _take(self, file: Path) -> None:
        shown = file.relative_to(self._root).as_posix()
        if not file.resolve().is_relative_to(self._root):
            self.faults.append(f"{shown} is a link to {file.resolve()}, which is outside of {self._root}")
        elif not file.is_file():
            self.faults.append(f"{shown} is not an ordinary file")
        else:
            try:
                # Some systems store the names of files in another form than the one that people type.
                self.files[unicodedata.normalize("NFC", shown)] = file.read_bytes()
            except OSError as fault:
                self.faults.append(f"{shown} cannot be read: {fault.strerror}")


def _files_of(folder: Path) -> Iterator[Path]:
    """The files of a folder that Azure ML would upload."""
    ignored = _ignored(folder)
    for place, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(each for each in folders if each not in UNWANTED and not _leads_up(Path(place) / each))
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
            lines = file.read_text(encoding="utf-8").splitlines()
            return pathspec.GitIgnoreSpec.from_lines(line.rstrip() for line in lines)
    return pathspec.GitIgnoreSpec.from_lines([])


def _content(file: Path) -> Any:
    """What a YAML file holds; None if it cannot be read: the app says what is wrong with it."""
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError, yaml.YAMLError):
        return None


def _beyond_limits(files: bundle.Files) -> Iterator[str]:
    size, most = sum(map(len, files.values())), bundle.MOST_BYTES
    if len(files) > bundle.MOST_FILES:
        yield f"all {len(files)} files: a bundle has at most {bundle.MOST_FILES}. Leave data out with .amlignore"
    if size > most:
        largest = max(files, key=lambda name: len(files[name]))
        says = f"a bundle has at most {most >> 20} MB, and this one has {size / (1 << 20):.1f}"
        yield f"{largest}: the largest of all files; {says}. Leave data out with .amlignore"
