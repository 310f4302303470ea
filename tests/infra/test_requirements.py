"""requirements.txt, which is all that Azure installs, brings everything that the app imports, each with its hash."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.infra.shapes import REPOSITORY

OURS = {"shared", "functions", "function_app"}
FOLDER = REPOSITORY / "requirements"
APP, TOOLS = REPOSITORY / "requirements.txt", FOLDER / "tools.txt"
#: Each lock with what it is compiled from.
LOCKS = {
    APP: [FOLDER / "app.in"],
    TOOLS: [FOLDER / "local.in", FOLDER / "test.in"],
    FOLDER / "host.txt": [FOLDER / "host.in"],
    FOLDER / "compute.txt": [FOLDER / "compute.in"],
}
every_lock = pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)


def entries(file: Path) -> list[str]:
    """The requirements of a file as pip reads them: comments left out, lines that end in a backslash joined."""
    text = re.sub(r"^\s*#.*\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def pins(file: Path) -> set[tuple[str, str]]:
    """The name and the version of everything in a file; one package may have two, for different Pythons."""
    found = [Requirement(entry.partition(" --hash")[0]) for entry in entries(file)]
    return {(canonicalize_name(each.name), str(each.specifier)) for each in found}


def installed_on_azure() -> set[str]:
    """The names of the packages that Azure, which runs Linux, installs."""
    found = [Requirement(entry.partition(" --hash")[0]) for entry in entries(APP)]
    return {each.name for each in found if each.marker is None or each.marker.evaluate({"sys_platform": "linux"})}


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
    there = {str(file) for name in installed_on_azure() for file in files(name) or ()}
    packages = {str(parent) for file in there for parent in Path(file).parents}
    app = [REPOSITORY / "function_app.py"]
    app += [file for part in ("shared", "functions") for file in (REPOSITORY / part).rglob("*.py")]
    modules = {module: file.relative_to(REPOSITORY) for file in app for module in imported(file)}
    for module, file in modules.items():
        path = module.replace(".", "/")
        assert path in packages or f"{path}.py" in there, f"{file} imports {module}"


@pytest.mark.parametrize("name", ["azure-monitor-opentelemetry", "pyjwt"])
def test_what_another_package_only_happens_to_bring_is_asked_for_by_name(name: str) -> None:
    """Today the SDK of Azure ML brings these, too."""
    assert name in {each for each, _ in pins(FOLDER / "app.in")}


@every_lock
def test_every_package_in_a_lock_has_its_version_and_its_hashes(lock: Path) -> None:
    assert entries(lock)
    for entry in entries(lock):
        assert re.match(r"[\w.-]+==[\w.+!]+ .*--hash=sha256:[0-9a-f]{64}", entry), entry


@every_lock
def test_a_lock_is_as_new_as_what_it_is_compiled_from(lock: Path) -> None:
    """`make lock` compiles it again."""
    wanted = set[tuple[str, str]]().union(*map(pins, LOCKS[lock]))
    assert all(version.startswith("==") for _, version in wanted)
    assert wanted <= pins(lock)


def test_the_tools_leave_the_app_the_versions_that_it_has_on_azure() -> None:
    app, tools = pins(APP), pins(TOOLS)
    both = {name for name, _ in app} & {name for name, _ in tools}
    assert both
    assert {pin for pin in app if pin[0] in both} == {pin for pin in tools if pin[0] in both}


def test_nothing_is_installed_whose_hash_is_not_known() -> None:
    dry_run = ["make", "--dry-run", "--always-make", "install"]
    shown = subprocess.run(dry_run, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    installs = [line for line in shown.splitlines() if " pip " in line]
    (own,) = [line for line in installs if "--require-hashes" not in line]
    assert len(installs) == 4
    assert own.endswith(" --no-deps --no-build-isolation --editable . --editable ./localcloud")
