"""The queues on Azure Service Bus."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock

from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSender

from shared.core.messages import Command, Event, News, Report, RunStep, encode
from shared.core.queues import EVENTS_QUEUE, reports_queue, steps_queue
from shared.telemetry.telemetry import traceparent

#: Name of the connection in the app's settings, as the triggers have it too.
CONNECTION = "ServiceBus"

#: A batch stays below the 256 KB that the Standard tier takes.
MOST_BATCH_BYTES = 200_000


class ServiceBus:
    """The `Bus` port. May be used by several threads; their messages to one queue go out together."""

    def __init__(self, client: ServiceBusClient) -> None:
        self._client = client
        self._outboxes: dict[str, _Outbox] = {}
        self._lock = Lock()

    def send_events(self, events: Sequence[News]) -> None:
        self._send(EVENTS_QUEUE, events)

    def send_commands(self, commands: Sequence[Command]) -> None:
        by_environment: dict[str, list[Command]] = {}
        for command in commands:
            by_environment.setdefault(command.environment, []).append(command)
        for environment, theirs in by_environment.items():
            self._send(steps_queue(environment), theirs)

    def send_reports(self, environment: str, reports: Sequence[Report]) -> None:
        self._send(reports_queue(environment), reports)

    def _send(self, queue: str, messages: Sequence[Command | Event]) -> None:
        with self._lock:
            if queue not in self._outboxes:
                self._outboxes[queue] = _Outbox(self._client.get_queue_sender(queue))
        bodies = [encode(message) for message in messages]
        ready = [_message(message, body) for message, body in zip(messages, bodies, strict=True)]
        self._outboxes[queue].send(ready, sum(map(len, bodies)))

    def close(self) -> None:
        """Closes the connection; whoever still sends gets an error."""
        self._client.close()


def connect(settings: Mapping[str, str] = os.environ) -> ServiceBus:
    """The queues of the namespace in the app's settings."""
    return ServiceBus(client(settings))


def client(settings: Mapping[str, str]) -> ServiceBusClient:
    """The namespace in the app's settings: a connection string, or `…__fullyQualifiedNamespace` and an identity."""
    connection_string = settings.get(CONNECTION)
    if connection_string:
        return ServiceBusClient.from_connection_string(connection_string)
    namespace = settings.get(f"{CONNECTION}__fullyQualifiedNamespace")
    if not namespace:
        raise ValueError(f"Set {CONNECTION} (a connection string) or {CONNECTION}__fullyQualifiedNamespace.")
    from shared.cloud.identity import credential

    return ServiceBusClient(namespace, credential(settings.get(f"{CONNECTION}__clientId")))


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


@dataclass(eq=False)
class _Waiting:
    """Messages of one thread, until some thread has sent them."""

    messages: Sequence[ServiceBusMessage]
    size: int  #: bytes of all bodies
    sent: bool = False


class _Outbox:
    """One queue's sender. While one thread sends, others line up; the next one sends what all of them have."""

    def __init__(self, sender: ServiceBusSender) -> None:
        self._sender = sender
        self._sending = Lock()
        self._line: list[_Waiting] = []

    def send(self, messages: Sequence[ServiceBusMessage], size: int) -> None:
        """Returns when the broker has them; raises what the SDK raises, and then may be called again."""
        mine = _Waiting(messages, size)
        self._line.append(mine)  # appending and popping of a list are atomic
        with self._sending:
            if mine.sent:
                return
            together = self._take(mine)
            ready = [message for waiting in together for message in waiting.messages]
            # A list becomes a batch, each message of which is encoded twice; one alone is sent as it is.
            self._sender.send_messages(ready[0] if len(ready) == 1 else ready)
            for waiting in together:
                waiting.sent = True

    def _take(self, mine: _Waiting) -> list[_Waiting]:
        """Mine, and of the others in line as many as fit. Whose messages were taken and not sent tries again itself."""
        if mine in self._line:
            self._line.remove(mine)
        together, size = [mine], mine.size
        while self._line and size + self._line[0].size <= MOST_BATCH_BYTES:
            together.append(self._line.pop(0))
            size += together[-1].size
        return together
