"""A Service Bus broker in a separate process."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from localcloud.processes import LEASH

#: Seconds. They only end a wait that hangs: a busy machine needs many to start a process.
LONGEST_WAIT = 120.0


def write_config(path: Path, queues: dict[str, dict[str, Any]]) -> Path:
    listed = [{"Name": name, "Properties": properties} for name, properties in queues.items()]
    path.write_text(json.dumps({"UserConfig": {"Namespaces": [{"Name": "sbemulatorns", "Queues": listed}]}}))
    return path


class BrokerProcess:
    """`python -m localcloud servicebus`, on a leash so that it ends with the tests whatever ends those."""

    def __init__(self, folder: Path, config: Path, *options: str, python: Path = Path(sys.executable)) -> None:
        self._log = folder / "broker.log"
        self._log.unlink(missing_ok=True)
        command = [str(python), "-m", "localcloud", "servicebus", "--port", "0"]
        command += ["--data", str(folder / "data"), "--config", str(config), *options]
        self._leash = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LEASH), str(self._log), "1000000", str(Path.cwd()), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started, pid = self._report().split()
        assert started == "started"
        self.pid = int(pid)
        await_that(lambda: "servicebus ready on " in self.output() or self._leash.poll() is not None)
        assert self._leash.poll() is None, self.output()
        self.port = int(self.output().split("servicebus ready on 127.0.0.1:")[1].split()[0])

    @property
    def connection_string(self) -> str:
        return self.connection_string_of("any", "any")

    def connection_string_of(self, policy: str, key: str) -> str:
        keys = f"SharedAccessKeyName={policy};SharedAccessKey={key};UseDevelopmentEmulator=true"
        return f"Endpoint=sb://localhost:{self.port};{keys};"

    def output(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self._await_end()

    def stop(self) -> int:
        """Sends SIGTERM and returns the exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self._await_end()

    def _await_end(self) -> int:
        code = int(self._report().split()[1])
        self.close()
        return code

    def close(self) -> None:
        assert self._leash.stdin is not None
        assert self._leash.stdout is not None
        self._leash.stdin.close()
        self._leash.wait(LONGEST_WAIT)
        self._leash.stdout.close()

    def _report(self) -> str:
        assert self._leash.stdout is not None
        assert select.select([self._leash.stdout], [], [], LONGEST_WAIT)[0], self.output()
        return self._leash.stdout.readline()


def await_that(condition: Callable[[], bool], within: float = LONGEST_WAIT) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "the awaited condition did not become true in time"
        time.sleep(0.005)
