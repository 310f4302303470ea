"""The queues on Azure Service Bus."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import BoundedSemaphore, Lock
from typing import Any

from azure.servicebus import ServiceBusClient, ServiceBusSender
from azure.servicebus.amqp import AmqpAnnotatedMessage

from shared.cloud.reach import PAUSE_SECONDS, Reach
from shared.config.app_settings import AppSettings
from shared.core.message_bodies import encode
from shared.core.messages import Command, Event, News, Report, RunStep
from shared.core.queues import EVENTS_QUEUE, reports_queue, steps_queue
from shared.ports import QueueUnavailableError
from shared.telemetry.telemetry import traceparent

#: Name of the connection in the app's settings. The triggers use the same.
CONNECTION = "ServiceBus"

#: Bytes of bodies and overhead. Stays below the 256 KB that the Standard tier accepts per batch.
MOST_BATCH_BYTES = 240_000
#: Overhead per message: headers, properties, and what a batch adds.
_BYTES_AROUND = 600

#: https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-protocol-guide#message-annotations
_SCHEDULED = b"x-opt-scheduled-enqueue-time"

#: The SDK's retries. A broker that has just restarted is found at the second attempt.
_RETRIES: Mapping[str, Any] = {"retry_total": 1, "retry_backoff_factor": 0.3}
#: For one batch, including the SDK's retries.
_SEND_SECONDS = 5.0
#: How long a thread waits behind others that send.
_LINE_SECONDS = 3.0
#: How long to try to send a step's report. If it fails, the step's result counts as unknown.
_REPORT_SECONDS = 20.0
#: How many threads may wait that long at once. Functions have few threads, and reads need the others.
_MOST_PATIENT = 3


class ServiceBus:
    """The `Bus` port. Thread-safe: messages of several threads to one queue are sent together."""

    def __init__(self, client: ServiceBusClient, reach: Reach | None = None) -> None:
        self._client = client
        self._outboxes: dict[str, _Outbox] = {}
        self._lock = Lock()
        self._reach = reach or Reach()
        self._patient = BoundedSemaphore(_MOST_PATIENT)

    def check(self) -> None:
        self._reach.check()

    def send_events(self, events: Sequence[News]) -> None:
        self._send(EVENTS_QUEUE, events)

    def send_commands(self, commands: Sequence[Command]) -> None:
        by_environment: dict[str, list[Command]] = {}
        for command in commands:
            by_environment.setdefault(command.environment, []).append(command)
        for environment, theirs in by_environment.items():
            self._send(steps_queue(environment), theirs)

    def send_reports(self, environment: str, reports: Sequence[Report]) -> None:
        queue, deadline = reports_queue(environment), time.monotonic() + _REPORT_SECONDS
        while True:
            try:
                return self._send(queue, reports)
            except QueueUnavailableError:
                if not self._waits(deadline):
                    raise

    def postpone(self, queue: str, message_id: str, body: bytes, at: datetime) -> None:
        copy = _of_json(body, {"message_id": message_id}, at)
        self._outbox(queue).send([_Sized(copy, len(body) + _BYTES_AROUND)])

    def _waits(self, deadline: float) -> bool:
        """Pause if there is time, and return whether to try again."""
        if time.monotonic() + PAUSE_SECONDS >= deadline or not self._patient.acquire(blocking=False):
            return False
        try:
            time.sleep(PAUSE_SECONDS)
        finally:
            self._patient.release()
        return True

    def _send(self, queue: str, messages: Sequence[Command | Event]) -> None:
        self._outbox(queue).send([_sized(message) for message in messages])

    def _outbox(self, queue: str) -> "_Outbox":
        with self._lock:
            if queue not in self._outboxes:
                self._outboxes[queue] = _Outbox(self._client.get_queue_sender(queue), self._reach)
            return self._outboxes[queue]

    def close(self) -> None:
        """Close the connection; threads that still send get an error."""
        self._client.close()


def connect(settings: AppSettings, reach: Reach | None = None) -> ServiceBus:
    """The queues of the namespace in the app's settings. `reach` is shared with other users of the namespace."""
    return ServiceBus(client(settings), reach)


def client(settings: AppSettings) -> ServiceBusClient:
    """The namespace in the app's settings: a connection string, or `…__fullyQualifiedNamespace` and an identity."""
    connection_string = settings.service_bus
    if connection_string:
        return ServiceBusClient.from_connection_string(connection_string, **_RETRIES)
    namespace = settings.service_bus_namespace
    if not namespace:
        raise ValueError(f"Set {CONNECTION} (a connection string) or {CONNECTION}__fullyQualifiedNamespace.")
    from shared.cloud.identity import credential

    return ServiceBusClient(namespace, credential(settings.service_bus_client_id or None), **_RETRIES)


def _message(message: Command | Event, body: bytes) -> AmqpAnnotatedMessage:
    at = message.not_before if isinstance(message, RunStep) else None
    properties = {"message_id": message.message_id, "subject": type(message).__name__}
    annotated = _of_json(body, properties, at if at and at > datetime.now(UTC) else None)
    if context := traceparent(message):
        # The first is the standard name; the second is the one that the SDKs and the Functions host use.
        annotated.application_properties = {"traceparent": context, "Diagnostic-Id": context}
    return annotated


def _of_json(body: bytes, properties: Mapping[str, str], at: datetime | None) -> AmqpAnnotatedMessage:
    """A message that is enqueued at `at`, or at once. A `ServiceBusMessage` takes three times as long to make."""
    message = AmqpAnnotatedMessage(data_body=body, properties={**properties, "content_type": "application/json"})
    if at:
        message.annotations = {_SCHEDULED: at}
    return message


@dataclass(frozen=True)
class _Sized:
    """A message and its size in a batch, in bytes."""

    message: AmqpAnnotatedMessage
    size: int


def _sized(message: Command | Event) -> _Sized:
    body = encode(message)
    return _Sized(_message(message, body), len(body) + _BYTES_AROUND)


@dataclass(eq=False)
class _Waiting:
    """Messages of one thread that fit into one batch and wait until some thread sends them."""

    messages: Sequence[_Sized]
    sent: bool = False

    @property
    def size(self) -> int:
        return sum(each.size for each in self.messages)


class _Outbox:
    """One queue's sender. While one thread sends, others wait; the next one sends the messages of all."""

    def __init__(self, sender: ServiceBusSender, reach: Reach) -> None:
        self._sender = sender
        self._reach = reach
        self._sending = Lock()
        self._line: list[_Waiting] = []

    def send(self, messages: Sequence[_Sized]) -> None:
        """Return when the broker has the messages. Raises `QueueUnavailableError` if it cannot be reached, else what
        the SDK raises. May be called again afterwards."""
        for part in _parts(messages):
            self._send(_Waiting(part))

    def _send(self, mine: _Waiting) -> None:
        self._reach.check()
        self._line.append(mine)  # append and pop of a list are atomic
        try:
            if not self._sending.acquire(timeout=_LINE_SECONDS):
                self._reach.check()
                raise QueueUnavailableError("too many messages are waiting to be sent", retry_after=PAUSE_SECONDS)
            try:
                if not mine.sent:
                    self._send_line(mine)
            finally:
                self._sending.release()
        finally:
            self._leave(mine)

    def _send_line(self, mine: _Waiting) -> None:
        with self._reach.tried():
            together = self._take(mine)
            ready = [each.message for waiting in together for each in waiting.messages]
            # The SDK encodes each message of a batch twice, so send a single message without one.
            self._sender.send_messages(ready[0] if len(ready) == 1 else ready, timeout=_SEND_SECONDS)
            for waiting in together:
                waiting.sent = True

    def _take(self, mine: _Waiting) -> list[_Waiting]:
        """My messages, and as many of the waiting ones as fit. A thread whose messages were taken but not sent tries
        again."""
        self._leave(mine)
        together, size = [mine], mine.size
        while (first := next(iter(self._line), None)) is not None and size + first.size <= MOST_BATCH_BYTES:
            self._leave(first)
            together.append(first)
            size += first.size
        return together

    def _leave(self, waiting: _Waiting) -> None:
        with suppress(ValueError):  # another thread has taken it
            self._line.remove(waiting)


def _parts(messages: Sequence[_Sized]) -> Iterator[list[_Sized]]:
    """Group messages by what fits into one batch. An oversized message goes alone, and the broker refuses it."""
    part: list[_Sized] = []
    size = 0
    for each in messages:
        if part and size + each.size > MOST_BATCH_BYTES:
            yield part
            part, size = [], 0
        part.append(each)
        size += each.size
    if part:
        yield part
