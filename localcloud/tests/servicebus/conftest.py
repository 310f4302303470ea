"""A broker in a process of its own, queues nobody else uses, and SDK clients that talk to it."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import count
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

from localcloud.testing.broker import LONGEST_WAIT, BrokerProcess, write_config

QUEUES_PER_KIND = 80
LINES_AHEAD = 4

#: How the queues of each kind behave. Short durations keep the tests fast.
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "large": {"MaxMessageSizeInKilobytes": 1024},
    "endless": {"DefaultMessageTimeToLive": "P10675199DT2H48M5.4775807S"},
    "short-lock": {"LockDuration": "PT0.5S", "MaxDeliveryCount": 3},
    "unique": {"RequiresDuplicateDetection": True, "DuplicateDetectionHistoryTimeWindow": "PT10M"},
    "short-window": {"RequiresDuplicateDetection": True, "DuplicateDetectionHistoryTimeWindow": "PT0.3S"},
    "sessions": {"RequiresSession": True},
    "short-sessions": {"RequiresSession": True, "LockDuration": "PT0.5S", "MaxDeliveryCount": 3},
    "expiring": {"DefaultMessageTimeToLive": "PT0.3S"},
    "expiring-to-dead-letters": {"DefaultMessageTimeToLive": "PT0.3S", "DeadLetteringOnMessageExpiration": True},
}


Result = TypeVar("Result")


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
