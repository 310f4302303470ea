"""Builds the app as a release: `.package/` and the same as `.package.zip`.

It holds the app's own files and nobody's configuration: that is platform.yml, which infra/ puts into a setting, and
what teams publish. Only if MLPROMOTE_CONFIGURATION names a promotion.yml, that is in it, with every file that it names.

It lists the files to include, so nothing else in the folder is uploaded. `.funcignore` cannot do that: it lists files
to exclude, and before 1.23.13 azd dropped the files that a line with `!` named
(https://github.com/Azure/azure-dev/pull/7311). azure.yaml makes azd run this first, and then upload the result.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from shared.config.named_paths import NAMES_CONTENT, NAMES_YAML

REPOSITORY = Path(__file__).parents[1]
TARGET = REPOSITORY / ".package"
CONFIGURATION = "MLPROMOTE_CONFIGURATION"
ZIP = REPOSITORY / ".package.zip"
LIBRARIES = "LIBRARIES"
#: Of the wheels that Azure's Linux takes.
_PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64")
#: ZIP files know no earlier time. A release of the same files is the same to the last byte.
_NO_TIME = (1980, 1, 1, 0, 0, 0)

APP = (
    "function_app.py",
    "host.json",
    "requirements.txt",
    "functions/**/*.py",
    "shared/**/*.py",
    "shared/http/*openapi.yml",
)
#: `azureml:name@latest`, `https://…`, `${{parent.inputs.x}}`: anything that is not a local path.
ELSEWHERE = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+:|\$\{\{", re.IGNORECASE)
UNWANTED = "__pycache__"


class PackageError(Exception):
    """The configuration cannot be packaged; the text says why."""


def package(root: Path, configuration: str, target: Path) -> list[str]:
    """Recreate the folder `target` from the app at `root`, and return the paths in it.

    `configuration` is the path of promotion.yml, relative to `root`; empty for none. Raises PackageError.
    """
    root = root.resolve()
    files = sorted({*_app(root), *(_named(root, root / configuration) if configuration else ())})
    if target.exists():
        shutil.rmtree(target)
    for file in files:
        copy = target / file.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    return [str(file.relative_to(root)) for file in files]


def zipped(folder: Path, target: Path) -> None:
    """Write the files of a folder into a ZIP file."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _NO_TIME)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            archive.writestr(entry, file.read_bytes())


def with_libraries(folder: Path) -> None:
    """Install the locked libraries where a package that is run from an address has them: for Linux on x86-64, and for
    this version of Python, since the lock's markers are of the one that runs pip. Raises PackageError."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    target = folder / ".python_packages" / "lib" / "site-packages"
    platforms = [option for name in _PLATFORMS for option in ("--platform", name)]
    install = ("-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes", "--no-deps")
    which = ("--only-binary", ":all:", "--implementation", "cp", "--python-version", python, *platforms)
    locked = ("--target", str(target), "-r", str(folder / "requirements.txt"))
    if subprocess.run([sys.executable, *install, *which, *locked], check=False).returncode:
        raise PackageError(f"The libraries cannot be installed for Python {python}.")


def _app(root: Path) -> Iterator[Path]:
    for pattern in APP:
        yield from root.glob(pattern)


def _named(root: Path, configuration: Path) -> set[Path]:
    """The configuration, the files that it names, and the files that those name."""
    left, found = [_inside(root, configuration, configuration.name)], set[Path]()
    while left:
        document = left.pop()
        found.add(document)
        for key, text in _names(_content(document)):
            path = _inside(root, document, text)
            if key in NAMES_CONTENT:
                every = path.rglob("*") if path.is_dir() else [path]
                found |= {each for each in every if each.is_file() and UNWANTED not in each.parts}
            elif path not in found:
                left.append(path)
    return found


def _content(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise PackageError(f"{path} cannot be read as YAML: {error}") from error


def _names(content: Any) -> Iterator[tuple[str, str]]:
    """Each key that names a file in a YAML document, with the path as written there."""
    if isinstance(content, list):
        for each in content:
            yield from _names(each)
    elif isinstance(content, dict):
        for key, value in content.items():
            if not isinstance(value, str):
                yield from _names(value)
            elif _is_path(key, value):
                yield key, value.removeprefix("file:")


def _is_path(key: str, value: str) -> bool:
    if key in NAMES_CONTENT or key == "deployment":
        return not ELSEWHERE.search(value)
    # Other values of these keys are names, such as `environment: prod`.
    return key in NAMES_YAML and not ELSEWHERE.search(value) and value.endswith((".yml", ".yaml"))


def _inside(root: Path, document: Path, text: str) -> Path:
    """The file or folder that a document names, if it can be uploaded."""
    path = (document.parent / text).resolve()
    if "${" in text:
        raise PackageError(f"{document} names {text}, but settings exist only on Azure: write the path itself")
    if not path.is_relative_to(root):
        raise PackageError(f"{document} names {text}, which is outside {root}: move it into that folder")
    if not path.exists():
        raise PackageError(f"{document} names {text}, but {path} does not exist")
    return path


def main() -> int:
    """Exit codes: 0 the package was built, 1 the configuration is wrong."""
    configuration = os.environ.get(CONFIGURATION, "")
    try:
        files = package(REPOSITORY, configuration, TARGET)
        if os.environ.get(LIBRARIES):
            with_libraries(TARGET)
    except PackageError as error:
        sys.stderr.write(
            f"No package was built. {error}\
"
        )
        return 1
    zipped(TARGET, ZIP)
    configured = f"configured by {configuration}" if configuration else "without any configuration"
    sys.stdout.write(f"Built {TARGET.name} and {ZIP.name} with {len(files)} files for Azure, {configured}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
