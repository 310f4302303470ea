"""The ports of the queues, their dead letters, and the topic."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.core.holds import HoldLine
from shared.core.journal import JournalEntry
from shared.core.messages import Command, News, Report
from shared.core.promotion import Lane
from shared.core.wire import Moment


class Bus(Protocol):
    """The queues. Each method returns once the broker has accepted the messages. The broker accepts and drops a message
    id that it has seen before.

    Each method raises `QueueUnavailableError` within a few seconds if the broker cannot be reached, and may then be
    called again with the same messages.
    """

    def check(self) -> None:
        """Raise if the broker was unreachable a moment ago; does not wait."""

    def send_events(self, events: Sequence[News]) -> None: ...
    def send_commands(self, commands: Sequence[Command]) -> None: ...

    def send_reports(self, environment: str, reports: Sequence[Report]) -> None:
        """Send reports of the environment's worker, through a queue to which no other worker may send."""


class Postponing(Protocol):
    """Postpones messages that cannot be processed now."""

    def postpone(self, queue: str, message_id: str, body: bytes, at: datetime) -> None:
        """Send a copy under this message id, to be delivered at that time. Raises as `Bus` does."""


@dataclass(frozen=True)
class DeadLetter:
    """A message that its queue has given up."""

    queue: str
    number: int  #: its sequence number, from 1, unique in the queue
    message_id: str
    body: bytes
    reason: str  #: the broker's reason, such as MaxDeliveryCountExceeded; empty if there is none
    description: str
    deliveries: int  #: so far; a replay of other letters that passes over it counts as one
    enqueued: Moment


@dataclass(frozen=True)
class DiscardedLetter:
    """A dead letter that a person has discarded for good: what it was, and who decided."""

    id: str  #: `queue:sequence number`
    message_id: str
    enqueued: Moment
    gave_up: str  #: why it became a dead letter, in words
    content: str  #: its body, encoded as `encoding` says
    encoding: str  #: `utf-8` or `base64`
    size: int  #: of its body in bytes; `content` holds less only if the message is longer than what is stored
    by: str
    reason: str
    at: Moment


@dataclass(frozen=True)
class DiscardedPage:
    """Some discarded letters, the most recently sent first; `following` as in `Page`."""

    letters: Sequence[DiscardedLetter]
    following: str | None


class DiscardedLetters(Protocol):
    """The journal of discarded letters."""

    def keep(self, letter: DiscardedLetter) -> None:
        """Store a letter. For the same letter, the last decision replaces earlier ones."""

    def page(self, most: int, following: str | None) -> DiscardedPage:
        """One page. Raises ValueError if `following` is not a valid continuation."""


class QueueUnavailableError(Exception):
    """The queue cannot be used; the text is a sentence for people.

    `retry_after`: seconds after which to try again, if it may be available by then.
    """

    def __init__(self, says: str, retry_after: float | None = None) -> None:
        super().__init__(says)
        self.retry_after = retry_after


class DeadLetters(Protocol):
    """The dead letters of the queues. Each method may raise `QueueUnavailableError`."""

    def check_sending(self, queue: str) -> None:
        """Raise if messages may not be sent to the queue, which `move_back` does. Sends nothing."""

    def peek(self, queue: str, start: int, most: int) -> Sequence[DeadLetter]:
        """At most `most` letters from the number `start` on, in order, without removing them. Empty only at the end."""

    def move_back(self, queue: str, numbers: Collection[int], seconds: float) -> Collection[int]:
        """Send these to their queue again under new message ids. Returns the numbers of those that were moved.

        The others no longer exist, are locked by somebody else, or were not reached within `seconds`. A message is
        never lost. It is sent twice only if the process dies while moving it and the move is repeated after the window
        of duplicate detection.
        """

    def discard(self, queue: str, numbers: Collection[int], seconds: float) -> Collection[int]:
        """Remove these for good. Returns the numbers of those that were removed; for the others, see `move_back`."""


class Topic(Protocol):
    """The topic on which changes of promotions are published."""

    def publish(self, lane: Lane, journal: Sequence[JournalEntry]) -> bool:
        """Publish these changes, all of promotions in `lane`. Takes a few seconds at most, and raises nothing on
        failure.

        False if something may still be unpublished, and would be lost with this process.
        """

    def publish_holds(self, lines: Sequence[HoldLine]) -> bool:
        """The same for lines of the history of holds."""

    def tell_of_source(self, source: str, digest: str, trouble: str) -> None:
        """Publish that the bundle that a source published last is not used. Raises nothing on failure."""

    def check(self) -> None:
        """Connect, and publish nothing. Raises `TopicUnavailableError`."""


class TopicUnavailableError(Exception):
    """The topic cannot be reached; the text is a sentence for people."""
