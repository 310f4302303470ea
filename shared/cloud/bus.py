"""The queues on Azure Service Bus."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import BoundedSemaphore, Lock
from typing import Any

from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSender

from shared.cloud.reach import PAUSE_SECONDS, Reach
from shared.config.app_settings import AppSettings
from shared.core.messages import Command, Event, News, Report, RunStep, encode
from shared.core.queues import EVENTS_QUEUE, reports_queue, steps_queue
from shared.ports import QueueUnavailableError
from shared.telemetry.telemetry import traceparent

#: Name of the connection in the app's settings, as the triggers have it too.
CONNECTION = "ServiceBus"

#: A batch stays below the 256 KB that the Standard tier takes: bodies, and what goes with each.
MOST_BATCH_BYTES = 240_000
#: Of a message beside its body: headers, properties, and what a batch adds.
_BYTES_AROUND = 600

#: What the SDK does before it gives up: a broker that has just been started again is found at the second attempt.
_RETRIES: Mapping[str, Any] = {"retry_total": 1, "retry_backoff_factor": 0.3}
#: For one batch, with all that the SDK tries.
_SEND_SECONDS = 5.0
#: How long a thread lines up behind others that send.
_LINE_SECONDS = 3.0
#: What a step did is to be told even if it takes so long: told later, it counts as not known.
_REPORT_SECONDS = 20.0
#: Threads that may wait so long at once; functions have few, and the others are for those who read.
_MOST_PATIENT = 3


class ServiceBus:
    """The `Bus` port. May be used by several threads; their messages to one queue go out together."""

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
        copy = ServiceBusMessage(
            body, message_id=message_id, content_type="application/json", scheduled_enqueue_time_utc=at
        )
        self._outbox(queue).send([_Sized(copy, len(body) + _BYTES_AROUND)])

    def _waits(self, deadline: float) -> bool:
        """Whether a pause was made, after which to try again."""
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
        """Closes the connection; whoever still sends gets an error."""
        self._client.close()


def connect(settings: AppSettings, reach: Reach | None = None) -> ServiceBus:
    """The queues of the namespace in the app's settings; `reach` is what others know of it."""
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


def _message(message: Command | Event, body: bytes) -> ServiceBusMessage:
    at = message.not_before if isinstance(message, RunStep) else None
    context = traceparent(message)
    return ServiceBusMessage(
        body,
        message_id=message.message_id,
        subject=type(message).__name__,
        content_type="application/json",
        # The first is for whoever reads the message; the second is the name that the SDKs and the Functions host use.
        application_properties={"traceparent": context, "Diagnostic-Id": context} if context else None,
        scheduled_enqueue_time_utc=at if at and at > datetime.now(UTC) else None,
    )


@dataclass(frozen=True)
class _Sized:
    """A message, and the bytes that it takes in a batch."""

    message: ServiceBusMessage
    size: int


def _sized(message: Command | Event) -> _Sized:
    body = encode(message)
    return _Sized(_message(message, body), len(body) + _BYTES_AROUND)


@dataclass(eq=False)
class _Waiting:
    """Messages of one thread that fit into one batch, until some thread has sent them."""

    messages: Sequence[_Sized]
    sent: bool = False

    @property
    def size(self) -> int:
        return sum(each.size for each in self.messages)


class _Outbox:
    """One queue's sender. While one thread sends, others line up; the next one sends what all of them have."""

    def __init__(self, sender: ServiceBusSender, reach: Reach) -> None:
        self._sender = sender
        self._reach = reach
        self._sending = Lock()
        self._line: list[_Waiting] = []

    def send(self, messages: Sequence[_Sized]) -> None:
        """Returns when the broker has them. Raises `QueueUnavailableError` if it is out of reach, and else what the SDK
        raises; then this may be called again."""
        for part in _parts(messages):
            self._send(_Waiting(part))

    def _send(self, mine: _Waiting) -> None:
        self._reach.check()
        self._line.append(mine)  # appending and popping of a list are atomic
        try:
            if not self._sending.acquire(timeout=_LINE_SECONDS):
                self._reach.check()
                raise QueueUnavailableError("too many messages wait to be sent just now", retry_after=PAUSE_SECONDS)
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
            # A list becomes a batch, each message of which is encoded twice; one alone is sent as it is.
            self._sender.send_messages(ready[0] if len(ready) == 1 else ready, timeout=_SEND_SECONDS)
            for waiting in together:
                waiting.sent = True

    def _take(self, mine: _Waiting) -> list[_Waiting]:
        """Mine, and of the others in line as many as fit. Whose messages were taken and not sent tries again itself."""
        self._leave(mine)
        together, size = [mine], mine.size
        while (first := next(iter(self._line), None)) is not None and size + first.size <= MOST_BATCH_BYTES:
            self._leave(first)
            together.append(first)
            size += first.size
        return together

    def _leave(self, waiting: _Waiting) -> None:
        with suppress(ValueError):  # somebody has taken it
            self._line.remove(waiting)


def _parts(messages: Sequence[_Sized]) -> Iterator[list[_Sized]]:
    """As many together as one batch holds. A message that is too large alone goes alone: the broker refuses it."""
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
