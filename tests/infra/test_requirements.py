"""requirements.txt, which is all that Azure installs, brings everything that the app imports."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files, requires
from pathlib import Path

from tests.infra.shapes import REPOSITORY

OURS = {"shared", "functions", "function_app"}


def required() -> set[str]:
    """The names of the distributions that are asked for."""
    lines = (REPOSITORY / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return {name_of(line) for line in lines if line and line[0] not in "#-"}


def name_of(requirement: str) -> str:
    return re.split(r"[=<>~!; \[(]", requirement, maxsplit=1)[0]


def with_theirs(names: set[str]) -> set[str]:
    """The distributions and all that they bring along; what is not installed here is for others or only on demand."""
    found: set[str] = set()
    left = sorted(names)
    while left:
        name = left.pop()
        try:
            theirs = {name_of(each) for each in requires(name) or () if "extra ==" not in each}
        except PackageNotFoundError:
            continue
        found.add(name)
        left += sorted(theirs - found)
    return found


def imported(file: Path) -> Iterator[str]:
    """The modules that a file imports, but for Python's and our own."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        yield from (name for name in names if name.partition(".")[0] not in sys.stdlib_module_names | OURS)


def test_everything_that_is_imported_is_installed_on_azure() -> None:
    there = {str(file) for name in with_theirs(required()) for file in files(name) or ()}
    packages = {str(parent) for file in there for parent in Path(file).parents}
    app = [REPOSITORY / "function_app.py"]
    app += [file for part in ("shared", "functions") for file in (REPOSITORY / part).rglob("*.py")]
    modules = {module: file.relative_to(REPOSITORY) for file in app for module in imported(file)}
    for module, file in modules.items():
        path = module.replace(".", "/")
        assert path in packages or f"{path}.py" in there, f"{file} imports {module}"


def test_what_sends_telemetry_is_asked_for_by_name() -> None:
    """The SDK of Azure ML brings it too, today."""
    assert "azure-monitor-opentelemetry" in required()
