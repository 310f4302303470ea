"""Scripts of the examples, run with the libraries of jobs. See run_scripts.py."""

import json
import os
import signal
import subprocess
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

REPOSITORY = Path(__file__).resolve().parents[2]
COMPUTE = REPOSITORY / ".venv-compute" / "bin" / "python"


class Scripts:
    """Runs one script after another, inside the block. Their output stays in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)

    def __enter__(self) -> Self:
        program = [str(COMPUTE), str(Path(__file__).with_name("run_scripts.py"))]
        self._runner = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._runner:
            # With a script that is still running, where a test has ended before it.
            os.killpg(self._runner.pid, signal.SIGKILL)

    def run(self, script: Path, *arguments: object, runs: Path) -> subprocess.CompletedProcess[str]:
        """What has become of a script, once it has ended. `runs`: where MLflow keeps what it logs."""
        output = self._folder / f"{next(self._numbers)}"
        stdout, stderr = output.with_suffix(".out"), output.with_suffix(".err")
        command = [str(script), *map(str, arguments)]
        environment = {"MLFLOW_TRACKING_URI": runs.as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true"}
        asked = {"command": command, "environment": environment, "stdout": str(stdout), "stderr": str(stderr)}
        code = self._exit_code(json.dumps(asked))
        return subprocess.CompletedProcess(command, code, stdout.read_text(), stderr.read_text())

    def _exit_code(self, line: str) -> int:
        assert self._runner.stdin
        assert self._runner.stdout
        self._runner.stdin.write(f"{line}\n")
        self._runner.stdin.flush()
        return int(self._runner.stdout.readline())
