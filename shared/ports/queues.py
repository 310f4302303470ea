"""The queues, what they gave up, and the topic."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.core.journal import JournalEntry
from shared.core.messages import Command, News, Report
from shared.core.promotion import Lane


class Bus(Protocol):
    """The queues. Returns once the broker has accepted; a message id that it saw before is accepted and dropped.

    Each method raises `QueueUnavailableError` within a few seconds if the broker is out of reach, and may then be
    called again with the same messages.
    """

    def check(self) -> None:
        """Raises if the broker was out of reach a moment ago; does not wait."""

    def send_events(self, events: Sequence[News]) -> None: ...
    def send_commands(self, commands: Sequence[Command]) -> None: ...

    def send_reports(self, environment: str, reports: Sequence[Report]) -> None:
        """From the environment's worker, through a queue that no other worker may send to."""


class Postponing(Protocol):
    """Messages that cannot be worked on now."""

    def postpone(self, queue: str, message_id: str, body: bytes, at: datetime) -> None:
        """Send a copy under this message id that is delivered from then on. Raises as `Bus` does."""


@dataclass(frozen=True)
class DeadLetter:
    """A message that its queue has given up."""

    queue: str
    number: int  #: its sequence number, from 1: no other message of the queue ever has it
    message_id: str
    body: bytes
    reason: str  #: the broker's word for it, such as MaxDeliveryCountExceeded; empty where none was given
    description: str
    deliveries: int  #: so far; a replay of others that passes over it counts as one
    enqueued: datetime


@dataclass(frozen=True)
class DiscardedLetter:
    """A dead letter that a person has put aside for good: what it was, and whose decision it was."""

    id: str  #: `queue:sequence number`
    message_id: str
    enqueued: datetime
    gave_up: str  #: why its queue gave it up, in words
    content: str  #: of its body, as `encoding` says
    encoding: str  #: `utf-8` or `base64`
    size: int  #: of its body in bytes; more than `content` holds only where a message is beyond what is kept
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class DiscardedPage:
    """Some discarded letters, the last that was sent first; `following` as in `Page`."""

    letters: Sequence[DiscardedLetter]
    following: str | None


class DiscardedLetters(Protocol):
    """The journal of what people have put aside."""

    def keep(self, letter: DiscardedLetter) -> None:
        """Of the same letter again, the last decision is kept."""

    def page(self, most: int, following: str | None) -> DiscardedPage:
        """Raises ValueError where `following` is none of ours."""


class QueueUnavailableError(Exception):
    """The broker does not let us at the queue; the text is a sentence for people.

    `retry_after`: in how many seconds to ask again, where it may be there again by then.
    """

    def __init__(self, says: str, retry_after: float | None = None) -> None:
        super().__init__(says)
        self.retry_after = retry_after


class DeadLetters(Protocol):
    """What the queues gave up. Each method raises `QueueUnavailableError`."""

    def check_sending(self, queue: str) -> None:
        """Raises if messages may not be sent to the queue, as moving back does; sends none."""

    def peek(self, queue: str, start: int, most: int) -> Sequence[DeadLetter]:
        """Those from the number `start` on, in order, without taking them: at most so many; none only at the end."""

    def move_back(self, queue: str, numbers: Collection[int], seconds: float) -> Collection[int]:
        """Give these to their queue again, under new message ids; the numbers of those that went.

        The others are gone, in the hands of somebody else, or their turn did not come within `seconds`. A message is
        never lost, and goes twice only if this dies on it and is asked again after the time of duplicate detection.
        """

    def discard(self, queue: str, numbers: Collection[int], seconds: float) -> Collection[int]:
        """Take these away for good; the numbers of those that went. The others as with `move_back`."""


class Topic(Protocol):
    """Whoever wants to know what becomes of promotions subscribes here."""

    def publish(self, lane: Lane, journal: Sequence[JournalEntry]) -> bool:
        """Tell of these changes, all of promotions in `lane`. Takes a few seconds at most; trouble raises nothing.

        False where something may still wait to be told, and would be lost with this process.
        """

    def check(self) -> None:
        """Connect, and publish nothing. Raises `TopicUnavailableError`."""


class TopicUnavailableError(Exception):
    """The topic is out of reach; the text is a sentence for people."""
