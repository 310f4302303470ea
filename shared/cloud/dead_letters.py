"""Dead letters on Azure Service Bus: peeks at them, and moves them back to their queue.

Service Bus cannot deliver one chosen dead letter. So a move receives them from the front, and abandons those that were
not chosen. A chosen one is copied first and completed afterwards. If the process dies in between, both remain; the next
move makes the same copy with the same message id, which duplicate detection drops.
"""

import re
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from azure.core.exceptions import AzureError
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceivedMessage,
    ServiceBusReceiver,
    ServiceBusSender,
    ServiceBusSubQueue,
)
from azure.servicebus.amqp import AmqpMessageBodyType
from azure.servicebus.exceptions import (
    MessageLockLostError,
    MessageSizeExceededError,
    ServiceBusAuthorizationError,
)

from shared.cloud.reach import PAUSE_SECONDS, Reach
from shared.core.messages import id_of_copy
from shared.ports import DeadLetter, QueueUnavailableError

MOST_AT_ONCE = 100
#: Receive at least this many at once, since each call is expensive. Those that are not needed are abandoned.
LEAST_AT_ONCE = 10
#: The most letters that one move passes over. It does not reach what lies behind them.
MOST_PASSED_OVER = 5000
#: How long to wait for dead letters that should be there: somebody else may have locked them.
PATIENCE_SECONDS = 1.0
#: For one peek, including the SDK's retries.
LOOK_SECONDS = 15.0
#: How long to wait for others who peek at the same queue.
LINE_SECONDS = 5.0

_REPLAYED = re.compile(r":replay-\d+$")
_REASON, _DESCRIPTION = "DeadLetterReason", "DeadLetterErrorDescription"


class ServiceBusDeadLetters:
    """The `DeadLetters` port. Thread-safe."""

    def __init__(self, client: ServiceBusClient, reach: Reach | None = None) -> None:
        self._client = client
        self._reach = reach or Reach()
        self._windows: dict[str, _Window] = {}
        self._senders: dict[str, ServiceBusSender] = {}
        self._choosing, self._moving = Lock(), Lock()

    def check_sending(self, queue: str) -> None:
        # The broker checks the rights when the link is made.
        with _said_of(queue, self._reach), self._client.get_queue_sender(queue):
            pass

    def peek(self, queue: str, start: int, most: int) -> Sequence[DeadLetter]:
        with self._choosing:
            window = self._windows.setdefault(queue, _Window(self._client, queue))
        with _said_of(queue, self._reach):
            return [_dead_letter(queue, message) for message in window.peek(max(start, 1), most)]

    def move_back(self, queue: str, numbers: Collection[int], seconds: float) -> Collection[int]:
        deadline = time.monotonic() + seconds
        # Two concurrent moves would lock each other's letters.
        with self._moving, _said_of(queue, self._reach), _receiver(self._client, queue) as receiver:
            if queue not in self._senders:
                self._senders[queue] = self._client.get_queue_sender(queue)
            return _Move(receiver, self._senders[queue], set(numbers)).until(deadline)

    def discard(self, queue: str, numbers: Collection[int], seconds: float) -> Collection[int]:
        deadline = time.monotonic() + seconds
        with self._moving, _said_of(queue, self._reach), _receiver(self._client, queue) as receiver:
            return _Removal(receiver, set(numbers)).until(deadline)


def replayed_id(message_id: str, number: int) -> str:
    """The message id of a replayed dead letter: deterministic, and new to the queue."""
    return id_of_copy(_REPLAYED.sub("", message_id), f"replay-{number}")


def _receiver(client: ServiceBusClient, queue: str) -> ServiceBusReceiver:
    return client.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER)


class _Window:
    """A receiver that only peeks. The SDK's receivers are not thread-safe."""

    def __init__(self, client: ServiceBusClient, queue: str) -> None:
        self._client = client
        self._queue = queue
        self._receiver: ServiceBusReceiver | None = None
        self._looking = Lock()

    def peek(self, start: int, most: int) -> Sequence[ServiceBusReceivedMessage]:
        if not self._looking.acquire(timeout=LINE_SECONDS):
            says = f"Others are reading the dead letters of {self._queue}"
            raise QueueUnavailableError(says, retry_after=PAUSE_SECONDS)
        try:
            return self._peek(start, most)
        finally:
            self._looking.release()

    def _peek(self, start: int, most: int) -> Sequence[ServiceBusReceivedMessage]:
        if self._receiver is None:
            self._receiver = _receiver(self._client, self._queue)
        try:
            return self._receiver.peek_messages(most, sequence_number=start, timeout=LOOK_SECONDS)
        except AzureError:
            receiver, self._receiver = self._receiver, None
            receiver.close()
            raise


class _Removal:
    """Removes chosen dead letters."""

    def __init__(self, receiver: ServiceBusReceiver, wanted: set[int]) -> None:
        self._receiver = receiver
        self._wanted = wanted
        self._gone: set[int] = set()
        self._in_hand: dict[int, ServiceBusReceivedMessage] = {}

    def until(self, deadline: float) -> set[int]:
        """The numbers of those that were removed. All other letters that it received are abandoned, whatever
        happens."""
        try:
            while self._wanted - self._gone and len(self._in_hand) < MOST_PASSED_OVER and time.monotonic() < deadline:
                if not self._take():
                    break
                self._settle([self._in_hand[number] for number in sorted(self._wanted & self._in_hand.keys())])
        finally:
            for message in self._in_hand.values():
                self._give_back(message)
        return self._gone

    def _settle(self, chosen: Sequence[ServiceBusReceivedMessage]) -> None:
        for message in chosen:
            self._complete(message)

    def _take(self) -> bool:
        """Receive more dead letters, and return whether there were any."""
        left = len(self._wanted - self._gone)
        most = min(max(left, LEAST_AT_ONCE), MOST_AT_ONCE)
        taken = self._receiver.receive_messages(most, max_wait_time=PATIENCE_SECONDS)
        self._in_hand.update({_number(message): message for message in taken})
        return bool(taken)

    def _complete(self, message: ServiceBusReceivedMessage) -> None:
        """Complete a letter. If its lock was lost, it remains beside its copy: it is moved again, and the second copy
        is dropped."""
        del self._in_hand[_number(message)]
        try:
            self._receiver.complete_message(message)
        except MessageLockLostError:
            return
        self._gone.add(_number(message))

    def _give_back(self, message: ServiceBusReceivedMessage) -> None:
        try:
            self._receiver.abandon_message(message)
        except MessageLockLostError:
            return  # the broker has it back already


class _Move(_Removal):
    """Copies chosen dead letters to their queue before it removes them."""

    def __init__(self, receiver: ServiceBusReceiver, sender: ServiceBusSender, wanted: set[int]) -> None:
        super().__init__(receiver, wanted)
        self._sender = sender

    def _settle(self, chosen: Sequence[ServiceBusReceivedMessage]) -> None:
        for batch in self._batches(chosen):
            self._sender.send_messages([_copy(message) for message in batch])
            super()._settle(batch)

    def _batches(self, all_chosen: Sequence[ServiceBusReceivedMessage]) -> Iterator[list[ServiceBusReceivedMessage]]:
        """Group letters by what the broker accepts in one batch."""
        batch = self._sender.create_message_batch()
        chosen: list[ServiceBusReceivedMessage] = []
        for message in all_chosen:
            try:
                batch.add_message(_copy(message))
            except MessageSizeExceededError:
                if not chosen:
                    raise
                yield chosen
                batch, chosen = self._sender.create_message_batch(), []
                batch.add_message(_copy(message))
            chosen.append(message)
        if chosen:
            yield chosen


@contextmanager
def _said_of(queue: str, reach: Reach) -> Iterator[None]:
    try:
        with reach.tried():
            yield
    except AzureError as fault:
        says = f"Queue {queue} cannot be reached ({type(fault).__name__}): {fault}"
        if isinstance(fault, ServiceBusAuthorizationError):
            says += " The app needs the roles Azure Service Bus Data Receiver and Data Sender on that queue."
        raise QueueUnavailableError(says) from fault


def _dead_letter(queue: str, message: ServiceBusReceivedMessage) -> DeadLetter:
    return DeadLetter(
        queue=queue,
        number=_number(message),
        message_id=str(message.message_id or ""),
        body=_body(message),
        reason=message.dead_letter_reason or "",
        description=message.dead_letter_error_description or "",
        deliveries=message.delivery_count or 0,
        enqueued=message.enqueued_time_utc or datetime.fromtimestamp(0, UTC),
    )


def _number(message: ServiceBusReceivedMessage) -> int:
    return message.sequence_number or 0


def _body(message: ServiceBusReceivedMessage) -> bytes:
    if message.body_type is AmqpMessageBodyType.DATA:
        return b"".join(message.body)
    return str(message).encode()


def _copy(message: ServiceBusReceivedMessage) -> ServiceBusMessage:
    """The message as its sender made it, with the id of its replay."""
    return ServiceBusMessage(
        _body(message),
        message_id=replayed_id(str(message.message_id or ""), _number(message)),
        application_properties=_properties(message),
        subject=message.subject,
        content_type=message.content_type,
        correlation_id=message.correlation_id,
        to=message.to,
        reply_to=message.reply_to,
    )


def _properties(message: ServiceBusReceivedMessage) -> dict[str | bytes, Any]:
    """The properties that the sender set. The SDK returns texts as bytes."""
    given = {_text(name): _text(value) for name, value in (message.application_properties or {}).items()}
    return {name: value for name, value in given.items() if name not in (_REASON, _DESCRIPTION)}


def _text(value: Any) -> Any:
    try:
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return value
