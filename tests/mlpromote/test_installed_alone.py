"""The command line as somebody installs it who has nothing else of this repository: a wheel and what it requires."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).parents[2]


def with_theirs(names: list[str], extra: str = "") -> set[str]:
    """The distributions and all that they bring along, as installed here."""
    found: set[str] = set()
    left = list(names)
    while left:
        required = Requirement(left.pop())
        applies = required.marker is None or required.marker.evaluate({"extra": extra})
        if applies and required.name not in found:
            found.add(required.name)
            left += [each for each in distribution(required.name).requires or () if "extra ==" not in each]
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(REPOSITORY)], check=True, cwd=folder)
    (made,) = folder.glob("mlpromote-*.whl")
    return made


def installed(wheel: Path, folder: Path, extra: str = "", interpreter: str = sys.executable) -> Path:
    """Install it into a new environment of an interpreter, and return that environment's interpreter."""
    subprocess.run([interpreter, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(packages)
        (metadata,) = (name for name in file.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        required = re.findall(r"^Requires-Dist: (.+)$", file.read(metadata).decode(), re.MULTILINE)
    for name in with_theirs(required, extra):
        for part in {path.parts[0] for path in distribution(name).files or () if path.parts[0] != ".."}:
            if not (packages / part).exists():
                (packages / part).symlink_to(Path(str(distribution(name).locate_file(part))))
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment without any extra."""
    return installed(wheel, tmp_path_factory.mktemp("alone") / "venv")


def run(python: Path, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    alone = {"PATH": os.environ["PATH"], "HOME": str(python.parent), "XDG_CONFIG_HOME": str(python.parent)}
    return subprocess.run([python, *arguments], cwd=folder or python.parent, env=alone, capture_output=True, text=True)


def test_it_has_the_rules_of_a_configuration_and_nothing_else_of_the_app(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"mlpromote"}
    rooms = {name.split("/")[3] for name in names if name.startswith("mlpromote/_app/")}
    assert rooms == {"__init__.py", "config", "core"}
    assert "mlpromote/py.typed" in names
    assert {f"mlpromote/schemas/{name}.schema.json" for name in ("promotion", "team", "platform")} <= set(names)
    assert "mlpromote/templates/.github/workflows/promotion.yml" in names


def test_it_tells_its_version_and_lists_its_commands(python: Path) -> None:
    assert run(python, "-m", "mlpromote", "--version").stdout == f"mlpromote {distribution('mlpromote').version}\n"
    shown = run(python, "-m", "mlpromote", "--help")
    assert (shown.returncode, "init" in shown.stdout, shown.stderr) == (0, True, "")


def test_other_packages_find_no_package_of_ours_but_mlpromote(python: Path) -> None:
    for name in ("shared", "functions", "localcloud", "tests"):
        assert run(python, "-c", f"import {name}").returncode == 1


def test_ordinary_commands_load_nothing_that_only_check_needs(python: Path) -> None:
    """They would be slow, and could not run without the extra."""
    code = "import sys, mlpromote.command_line as c; c.main(['--version']); print(sorted(sys.modules))"
    loaded = run(python, "-c", code).stdout
    assert "mlpromote.command_line" in loaded
    for name in ("'pydantic'", "'azure'", "'shared'", "'mlpromote.checking'"):
        assert name not in loaded


def test_without_the_extra_check_says_how_to_install_it(python: Path, tmp_path: Path) -> None:
    assert run(python, "-m", "mlpromote", "init", "churn", folder=tmp_path).returncode == 0
    answer = run(python, "-m", "mlpromote", "check", folder=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "pip install 'mlpromote[check]'" in answer.stderr


def test_with_the_extra_check_passes_what_init_made(wheel: Path, tmp_path: Path) -> None:
    python = installed(wheel, tmp_path / "venv", extra="check")
    team = tmp_path / "team"
    assert run(python, "-m", "mlpromote", "init", "churn", "--folder", str(team)).returncode == 0
    # A cloud that only the variable knows, as in the shell of a local cloud: no cloud is asked.
    code = "import os, sys; os.environ['AZUREML_CURRENT_CLOUD'] = 'Mine'; import mlpromote.command_line as c; "
    answer = run(python, "-c", f"{code}sys.exit(c.main(sys.argv[1:]))", "check", str(team))
    assert (answer.returncode, answer.stdout) == (0, "churn: churn: dev → test → prod\nno faults\n"), answer.stderr


def interpreters(version: str) -> Iterator[str]:
    """Those of this version on the path, and those that pyenv keeps, whose shims work only for the version in use."""
    on_path = shutil.which(f"python{version}")
    kept = Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}")
    for each in filter(None, (on_path, *map(str, kept))):
        if subprocess.run([each, "-c", "import venv"], capture_output=True).returncode == 0:
            yield each


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_other_supported_versions_of_python_run_it(version: str, wheel: Path, tmp_path: Path) -> None:
    """With the packages of the version that runs the tests: those that it needs are Python only, or can be."""
    interpreter = next(interpreters(version), None)
    if interpreter is None:
        pytest.skip(f"there is no Python {version} here")
    python = installed(wheel, tmp_path / "venv", interpreter=interpreter)
    assert run(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").stdout == f"{version}\n"
    assert run(python, "-m", "mlpromote", "init", "churn", folder=tmp_path).returncode == 0
    assert (tmp_path / "promotion.yml").is_file()


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_other_supported_versions_of_python_read_all_our_code(version: str) -> None:
    interpreter = next(interpreters(version), None)
    if interpreter is None:
        pytest.skip(f"there is no Python {version} here")
    read = "import ast, pathlib, sys; [ast.parse(pathlib.Path(name).read_bytes(), name) for name in sys.argv[1:]]"
    kept = subprocess.run(["git", "ls-files", "*.py"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    ours = [name for name in kept.stdout.splitlines() if (REPOSITORY / name).exists()]
    assert len(ours) > 500
    ended = subprocess.run(
        [interpreter, "-W", "error", "-c", read, *ours], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
