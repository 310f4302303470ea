"""Puts what goes to Azure into `.package/`: the app's own files, `promotion.yml`, and every file that it names.

A list of what is wanted: whatever else lies in the folder stays here. `.funcignore` cannot say that. It lists what is
unwanted, and before 1.23.13 azd dropped the very files that a line with `!` named
(https://github.com/Azure/azure-dev/pull/7311). azure.yaml has azd run this first, and then pack the result.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[1]
TARGET = REPOSITORY / ".package"
CONFIGURATION = "MLPROMOTE_CONFIGURATION"
#: The one that infra/main.parameters.json names where the setting is not set.
DEFAULT = "examples/digits/promotion.yml"

APP = (
    "function_app.py",
    "host.json",
    "requirements.txt",
    "functions/**/*.py",
    "shared/**/*.py",
    "shared/http/*openapi.yml",
)
#: The keys that name a file which names others: in promotion.yml, and in Azure ML's YAML of deployments and jobs.
NAMES_YAML = frozenset({"deployment", "endpoint_file", "job", "component", "environment"})
#: The keys that name a file or a folder which is taken as it is.
NAMES_CONTENT = frozenset({"requests", "code", "conda_file", "path"})
#: `azureml:name@latest`, `https://…`, `${{parent.inputs.x}}`: something that is not beside the file.
ELSEWHERE = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+:|\$\{\{", re.IGNORECASE)
UNWANTED = "__pycache__"


class PackageError(Exception):
    """What is wrong with the configuration, so that it cannot be packed."""


def package(root: Path, configuration: str, target: Path) -> list[str]:
    """Fill the folder `target` anew from the app at `root`; the paths in it.

    `configuration` is the path of promotion.yml, relative to `root`. Raises PackageError.
    """
    root = root.resolve()
    files = sorted({*_app(root), *_named(root, root / configuration)})
    if target.exists():
        shutil.rmtree(target)
    for file in files:
        copy = target / file.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    return [str(file.relative_to(root)) for file in files]


def _app(root: Path) -> Iterator[Path]:
    for pattern in APP:
        yield from root.glob(pattern)


def _named(root: Path, configuration: Path) -> set[Path]:
    """The configuration, the files that it names, and those that these name."""
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
    """Each key that names a file in a YAML document, with the path as it is written there."""
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
    # What else has one of these keys is a name: `environment: prod`.
    return key in NAMES_YAML and not ELSEWHERE.search(value) and value.endswith((".yml", ".yaml"))


def _inside(root: Path, document: Path, text: str) -> Path:
    """The file or folder that a document names, if it can go to Azure."""
    path = (document.parent / text).resolve()
    if "${" in text:
        raise PackageError(f"{document} names {text}, but settings are known on Azure only: write the path itself")
    if not path.is_relative_to(root):
        raise PackageError(f"{document} names {text}, which is outside of {root}: move it into that folder")
    if not path.exists():
        raise PackageError(f"{document} names {text}, and there is no {path}")
    return path


def main() -> int:
    """Exit codes: 0 the package is there, 1 something is wrong with the configuration."""
    configuration = os.environ.get(CONFIGURATION) or DEFAULT
    try:
        files = package(REPOSITORY, configuration, TARGET)
    except PackageError as error:
        sys.stderr.write(f"No package was made. {error}\n")
        return 1
    sys.stdout.write(f"{len(files)} files for Azure, configured by {configuration}, are in {TARGET.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
