"""A broker in a process of its own, queues nobody else uses, and SDK clients that talk to it."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceivedMessage,
    ServiceBusReceiver,
    ServiceBusSender,
    ServiceBusSubQueue,
)

from localcloud.processes import LEASH

LONGEST_WAIT = 10.0
QUEUES_PER_KIND = 80
LINES_AHEAD = 4

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


Result = TypeVar("Result")


class BrokerProcess:
    """`python -m localcloud servicebus`, on a leash so that it ends with the tests whatever ends those."""

    def __init__(self, folder: Path, config: Path, *options: str) -> None:
        self._log = folder / "broker.log"
        self._log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "localcloud", "servicebus", "--port", "0"]
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
        assert time.monotonic() < deadline, "what was awaited did not come"
        time.sleep(0.005)


@dataclass
class Line:
    """A queue that no other test uses, with a sender and a receiver that are connected to it."""

    bus: "Bus"
    queue: str
    sender: ServiceBusSender
    receiver: ServiceBusReceiver

    def send(self, *bodies: str, **properties: Any) -> None:
        self.sender.send_messages([ServiceBusMessage(body, **properties) for body in bodies])

    def receive(self, number: int = 1) -> list[ServiceBusReceivedMessage]:
        return receive(self.receiver, number)

    def peek(self) -> list[ServiceBusReceivedMessage]:
        """All messages, whatever their state."""
        return self.receiver.peek_messages(100, sequence_number=1)

    def dead_letters(self) -> ServiceBusReceiver:
        return self.bus.receiver(self.queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER)


class Bus:
    """Connects to a broker many at a time and ahead of need: the SDK sleeps half a second in every opening and closing,
    whatever the broker does."""

    def __init__(self, broker: BrokerProcess) -> None:
        self.client = ServiceBusClient.from_connection_string(broker.connection_string)
        self._threads = ThreadPoolExecutor(32)
        self._open: list[ServiceBusSender | ServiceBusReceiver] = []
        self._numbers = {kind: count() for kind in KINDS}
        self._lines: dict[str, deque[Future[Line]]] = {kind: deque() for kind in KINDS}

    def line(self, kind: str) -> Line:
        waiting = self._lines[kind]
        while len(waiting) < LINES_AHEAD:
            waiting.append(self._threads.submit(self._connect, self.queue(kind)))
        return waiting.popleft().result(LONGEST_WAIT)

    def queue(self, kind: str) -> str:
        """The name of a queue that nobody has used."""
        return f"{kind}-{next(self._numbers[kind])}"

    def _connect(self, queue: str) -> Line:
        opened = self._threads.submit(self.sender, queue)
        return Line(self, queue, receiver=self.receiver(queue), sender=opened.result(LONGEST_WAIT))

    def sender(self, queue: str) -> ServiceBusSender:
        sender = self.client.get_queue_sender(queue)
        sender.__enter__()
        self._open.append(sender)
        return sender

    def receiver(self, queue: str, **options: Any) -> ServiceBusReceiver:
        receiver = self.client.get_queue_receiver(queue, **options)
        receiver.__enter__()
        self._open.append(receiver)
        return receiver

    def run(self, call: Callable[[], Result]) -> "Future[Result]":
        return self._threads.submit(call)

    def close(self) -> None:
        for lines in self._lines.values():
            wait(lines)
        list(self._threads.map(lambda handler: handler.close(), self._open))
        self._threads.shutdown()
        self.client.close()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    folder = tmp_path_factory.mktemp("broker")
    queues = {f"{kind}-{n}": KINDS[kind] for kind in KINDS for n in range(QUEUES_PER_KIND)}
    process = BrokerProcess(folder, write_config(folder / "Config.json", queues))
    yield process
    process.close()


@pytest.fixture(scope="session")
def bus(broker: BrokerProcess) -> Iterator[Bus]:
    bus = Bus(broker)
    yield bus
    bus.close()


@pytest.fixture
def line(bus: Bus) -> Line:
    return bus.line("plain")


def receive(receiver: ServiceBusReceiver, number: int = 1) -> list[ServiceBusReceivedMessage]:
    """Exactly so many messages."""
    received: list[ServiceBusReceivedMessage] = []
    while len(received) < number:
        batch = receiver.receive_messages(number - len(received), max_wait_time=LONGEST_WAIT)
        assert batch, f"only {len(received)} of {number} messages came"
        received += batch
    return received


def number_of(message: ServiceBusReceivedMessage) -> int:
    assert message.sequence_number is not None
    return message.sequence_number


def bodies(messages: list[ServiceBusReceivedMessage]) -> list[str]:
    return [str(message) for message in messages]


def nested(levels: int) -> bytes:
    """An encoded message whose value is a list in a list in a list."""
    encoded = bytes([0x45])
    for _ in range(levels - 1):
        encoded = b"\xd0" + (4 + len(encoded)).to_bytes(4, "big") + (1).to_bytes(4, "big") + encoded
    return b"\x00\x53\x77" + encoded
