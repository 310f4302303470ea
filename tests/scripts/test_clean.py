"""`make clean` removes the state of the local cloud, but never from under one that is running."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.folder_lock import locked

REPOSITORY = Path(__file__).parents[2]


def make_clean(folder: Path) -> subprocess.CompletedProcess[str]:
    """In a copy of the repository, as far as this needs one, with a virtual environment or without."""
    shutil.copy(REPOSITORY / "Makefile", folder)
    return subprocess.run(["make", "clean"], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    (tmp_path / ".venv" / ".installed").touch()
    return tmp_path


def test_in_a_fresh_clone_there_is_nothing_to_remove(tmp_path: Path) -> None:
    assert make_clean(tmp_path).returncode == 0


def test_nothing_to_remove_is_no_fault(installed: Path) -> None:
    assert make_clean(installed).returncode == 0


def test_the_state_of_a_local_cloud_that_has_ended_is_removed(installed: Path) -> None:
    (installed / ".local" / "logs").mkdir(parents=True)
    (installed / ".local" / "lock").touch()

    assert make_clean(installed).returncode == 0

    assert not (installed / ".local").exists()


@pytest.mark.parametrize("in_use", [".local", ".local/demo"])
def test_nothing_is_removed_while_a_local_cloud_runs(in_use: str, installed: Path) -> None:
    (installed / in_use).mkdir(parents=True)
    with locked(installed / in_use, "local cloud"):
        ended = make_clean(installed)

    assert ended.returncode != 0
    assert f"A local cloud is using {in_use}. End it first." in ended.stderr
    assert (installed / in_use / "lock").exists()
