import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from examples.demo.__main__ import INTERRUPTED, main
from examples.demo.data_folder import empty
from localcloud.configuration_file import ConfigurationError
from tests.examples.scripts import REPOSITORY

DEADLINE_SECONDS = 300.0


def processes_of(data: Path) -> list[str]:
    """The command lines that name the data folder."""
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(data) in line]


def test_a_description_that_does_not_exist_ends_the_demo_with_1_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")  # a path of any length fits on a line
    assert main(["--config", str(tmp_path / "none.yml"), "--data", str(tmp_path / "data")]) == 1
    assert "none.yml: cannot be read" in capsys.readouterr().out


@pytest.mark.timeout(900)
def test_a_training_job_that_fails_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    """This Python lacks what the job imports. The folder's name must not break any command."""
    content = yaml.safe_load((REPOSITORY / "localcloud.yml").read_text())
    content["app"]["folder"] = str(REPOSITORY)
    content["azureml"] = {"python": sys.executable}
    description = tmp_path / "localcloud.yml"
    description.write_text(yaml.safe_dump(content))
    data = tmp_path / "my pröj's x" / "data"
    command = [sys.executable, "-m", "examples.demo", "--config", str(description), "--data", str(data)]
    demo = subprocess.run(command, cwd=REPOSITORY, env={**os.environ, "COLUMNS": "120"}, capture_output=True, text=True)
    assert demo.returncode == 1, demo.stderr
    assert "it ended as Failed" in " ".join(demo.stdout.split())
    assert "No module named 'joblib'" in demo.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_process_behind(tmp_path: Path, number: signal.Signals) -> None:
    data = tmp_path / "data"
    command = [sys.executable, "-m", "examples.demo", "--data", str(data)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as demo:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not any("localcloud azureml" in line for line in processes_of(data)):
            assert time.monotonic() < deadline, "the local cloud was not started"
            time.sleep(0.05)
        demo.send_signal(number)
        output, _ = demo.communicate(timeout=DEADLINE_SECONDS)

    assert demo.returncode == INTERRUPTED
    assert "Interrupted. Everything that was started has ended." in output
    assert processes_of(data) == []


def test_the_folder_of_the_last_run_is_emptied(tmp_path: Path) -> None:
    (tmp_path / "data" / "logs").mkdir(parents=True)
    (tmp_path / "data" / "lock").touch()

    empty(tmp_path / "data")

    assert not (tmp_path / "data").exists()


def test_a_folder_that_no_local_cloud_made_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()

    with pytest.raises(ConfigurationError, match="not empty and not a local cloud's"):
        empty(tmp_path)

    assert (tmp_path / "thesis.txt").exists()


def test_a_folder_that_a_local_cloud_is_using_is_not_emptied(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigurationError, match="A local cloud is using"):
            empty(tmp_path)

    assert (tmp_path / "lock").exists()
