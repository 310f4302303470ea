"""Which interpreter `make` takes from the PATH, among fake ones, and what it says if there is none."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_venv.sh"
SHELL = shutil.which("sh") or "/bin/sh"
MISSING_MODULE = "sys.modules['ensurepip'] = None; "


class Machine:
    """A PATH with nothing on it but what a test puts there. What a fake makes has its maker's name in `made_by`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "bin"
        self.venv = folder / "my venv"
        self.path.mkdir()

    def has(self, name: str, version: tuple[int, int], without_venv: bool = False) -> Path:
        """An interpreter that claims to be of this version."""
        prelude = f"import sys; sys.version_info = ({version[0]}, {version[1]}, 7); "
        prelude += f"{MISSING_MODULE if without_venv else ''}exec(sys.argv[1])"
        says = f'exec {shlex.quote(sys.executable)} -c {shlex.quote(prelude)} "$2"'
        makes = f'echo {name} > "$4/made_by"'
        return self._program(
            self.path / name, f'[ "$1" = -c ] && {says}\n[ "$1 $2 $3" = "-m venv --clear" ] && {makes}'
        )

    def has_shim(self, name: str) -> None:
        """What a version manager leaves on the PATH for a version that is not selected."""
        self._program(self.path / name, f"echo '{name}: command not found' >&2; exit 127")

    def has_venv(self, version: tuple[int, int]) -> None:
        """A virtual environment that was made before."""
        (self.venv / "bin").mkdir(parents=True, exist_ok=True)
        self.has("old", version).rename(self.venv / "bin" / "python")

    def makes(self, *python: str) -> str:
        """Who made the virtual environment, or what was said instead."""
        self.venv.mkdir(exist_ok=True)
        command = [SHELL, str(SCRIPT), str(self.venv), *python]
        answer = subprocess.run(command, env={"PATH": str(self.path)}, capture_output=True, text=True, check=False)
        assert answer.stdout == ""
        assert (answer.returncode == 0) == (answer.stderr == ""), answer.stderr
        made_by = self.venv / "made_by"
        return answer.stderr or (made_by.read_text().strip() if made_by.exists() else "nobody")

    def _program(self, path: Path, text: str) -> Path:
        path.write_text(f"#!{SHELL}\n{text}\n", encoding="utf-8")
        path.chmod(0o755)
        return path


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_the_chosen_python_is_taken_if_it_is_suitable(machine: Machine, version: tuple[int, int]) -> None:
    machine.has("python3", version)
    machine.has("python3.13", (3, 13))
    assert machine.makes() == "python3"


@pytest.mark.parametrize("version", [(3, 10), (3, 14)])
def test_the_newest_suitable_one_is_taken_if_the_chosen_one_is_not(machine: Machine, version: tuple[int, int]) -> None:
    machine.has("python3", version)
    machine.has("python3.11", (3, 11))
    machine.has("python3.12", (3, 12))
    assert machine.makes() == "python3.12"


def test_a_shim_whose_version_is_not_selected_is_passed_over(machine: Machine) -> None:
    machine.has("python3", (3, 10))
    machine.has_shim("python3.13")
    machine.has("python3.12", (3, 12))
    assert machine.makes() == "python3.12"


def test_one_without_the_venv_module_is_passed_over(machine: Machine) -> None:
    machine.has("python3", (3, 12), without_venv=True)
    machine.has("python3.11", (3, 11))
    assert machine.makes() == "python3.11"


def test_where_there_is_none_it_says_what_is_needed_and_how_to_get_it(machine: Machine) -> None:
    machine.has("python3", (3, 10))
    said = machine.makes()
    assert "Python 3.11, 3.12 or 3.13 is needed" in said
    assert "python3 is 3.10.7" in said
    assert "apt-get install python3.11 python3.11-venv" in said
    assert said.count("\n") == 1


def test_where_the_venv_module_is_missing_it_names_the_package(machine: Machine) -> None:
    machine.has("python3", (3, 12), without_venv=True)
    said = machine.makes()
    assert "python3 cannot make a virtual environment" in said
    assert "apt-get install python3.12-venv" in said


def test_one_that_is_named_is_the_only_one_that_counts(machine: Machine, tmp_path: Path) -> None:
    machine.has("python3", (3, 11))
    named = machine.has("named", (3, 12)).rename(tmp_path / "a python")
    assert machine.makes(str(named)) == "named"
    assert "looked for python3.9)" in machine.makes("python3.9")


def test_a_virtual_environment_that_works_is_kept(machine: Machine) -> None:
    machine.has_venv((3, 11))
    machine.has("python3", (3, 13))
    assert machine.makes() == "nobody"


def test_one_of_too_old_a_version_is_recreated(machine: Machine) -> None:
    machine.has_venv((3, 10))
    machine.has("python3", (3, 13))
    assert machine.makes() == "python3"
