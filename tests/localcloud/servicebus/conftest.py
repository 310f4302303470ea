"""A broker in a process of its own, queues nobody else uses, and SDK clients that talk to it."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusReceivedMessage, ServiceBusReceiver

from localcloud.processes import LEASH

LONGEST_WAIT = 10.0
QUEUES_PER_KIND = 40

#: How the queues of each kind behave. Short durations keep the tests fast.
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "short-lock": {"LockDuration": "PT0.5S", "MaxDeliveryCount": 3},
    "unique": {"RequiresDuplicateDetection": True, "DuplicateDetectionHistoryTimeWindow": "PT10M"},
    "short-window": {"RequiresDuplicateDetection": True, "DuplicateDetectionHistoryTimeWindow": "PT0.3S"},
    "expiring": {"DefaultMessageTimeToLive": "PT0.3S"},
    "expiring-to-dead-letters": {"DefaultMessageTimeToLive": "PT0.3S", "DeadLetteringOnMessageExpiration": True},
}


def write_config(path: Path, queues: dict[str, dict[str, Any]]) -> Path:
    listed = [{"Name": name, "Properties": properties} for name, properties in queues.items()]
    path.write_text(json.dumps({"UserConfig": {"Namespaces": [{"Name": "sbemulatorns", "Queues": listed}]}}))
    return path


class BrokerProcess:
    """`python -m localcloud servicebus`, on a leash so that it ends with the tests whatever ends those."""

    def __init__(self, folder: Path, config: Path) -> None:
        self._log = folder / "broker.log"
        self._log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "localcloud", "servicebus", "--port", "0"]
        command += ["--data", str(folder / "data"), "--config", str(config)]
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
        keys = "SharedAccessKeyName=any;SharedAccessKey=any;UseDevelopmentEmulator=true"
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
        assert time.monotonic() < deadline, "what was awaited did not come"
        time.sleep(0.005)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    folder = tmp_path_factory.mktemp("broker")
    queues = {f"{kind}-{n}": KINDS[kind] for kind in KINDS for n in range(QUEUES_PER_KIND)}
    process = BrokerProcess(folder, write_config(folder / "Config.json", queues))
    yield process
    process.close()


_used = {kind: count() for kind in KINDS}


@pytest.fixture
def fresh_queue() -> Callable[[str], str]:
    """The name of a queue of the given kind that no other test has used."""
    return lambda kind: f"{kind}-{next(_used[kind])}"


@pytest.fixture
def queue(fresh_queue: Callable[[str], str]) -> str:
    return fresh_queue("plain")


def connect(broker: BrokerProcess) -> ServiceBusClient:
    """Without keep-alive, whose thread makes every close take a second."""
    return ServiceBusClient.from_connection_string(broker.connection_string, keep_alive=0)


@pytest.fixture
def client(broker: BrokerProcess) -> Iterator[ServiceBusClient]:
    with connect(broker) as client:
        yield client


def receive(receiver: ServiceBusReceiver, number: int = 1) -> list[ServiceBusReceivedMessage]:
    """Exactly so many messages."""
    received: list[ServiceBusReceivedMessage] = []
    while len(received) < number:
        batch = receiver.receive_messages(number - len(received), max_wait_time=LONGEST_WAIT)
        assert batch, f"only {len(received)} of {number} messages came"
        received += batch
    return received


def bodies(messages: list[ServiceBusReceivedMessage]) -> list[str]:
    return [str(message) for message in messages]


def is_empty(client: ServiceBusClient, queue: str, **receiver_options: Any) -> bool:
    """Whether a queue has no message in any state, locked ones included."""
    with client.get_queue_receiver(queue, **receiver_options) as receiver:
        return receiver.peek_messages(1, sequence_number=1) == []
