"""The queues by their names, and what is asked of their dead letters; implemented in `shared/cloud/dead_letters.py`."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

EVENTS_QUEUE = "promotion-events"
_STEPS, _REPORTS = "steps-", "reports-"
#: Sequence numbers go from 1 to this one.
MOST_NUMBER = 2**63 - 1


def steps_queue(environment: str) -> str:
    """The commands for an environment's worker: the coordinator sends, that worker listens."""
    return _STEPS + environment


def reports_queue(environment: str) -> str:
    """What an environment's worker has to tell: that worker sends, the coordinator listens."""
    return _REPORTS + environment


def all_queues(environments: Iterable[str]) -> list[str]:
    """The names of all queues of an app with these environments."""
    names = list(environments)
    return [EVENTS_QUEUE, *map(steps_queue, names), *map(reports_queue, names)]


def environment_of(queue: str) -> str | None:
    """The environment that a queue belongs to; None for the queue of events."""
    found = next((prefix for prefix in (_STEPS, _REPORTS) if queue.startswith(prefix)), None)
    return queue.removeprefix(found) if found else None


def number_in(text: str) -> int | None:
    """The sequence number that a text is; None for anything that no sequence number is written as."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_NUMBER))):
        return None
    number = int(text)
    return number if str(number) == text and 1 <= number <= MOST_NUMBER else None


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


class QueueUnavailableError(Exception):
    """The broker does not let us at the queue; the text is a sentence for people."""


class DeadLetters(Protocol):
    """What the queues gave up. Each method raises `QueueUnavailableError`."""

    def check_sending(self, queue: str) -> None:
        """Raises if messages may not be sent to the queue, as moving back does; sends none."""

    def look(self, queue: str, start: int, most: int) -> Sequence[DeadLetter]:
        """Those from the number `start` on, in order, without taking them: at most so many; none only at the end."""

    def move_back(self, queue: str, numbers: Collection[int], seconds: float) -> Collection[int]:
        """Give these to their queue again, under new message ids; the numbers of those that went.

        The others are gone, in the hands of somebody else, or their turn did not come within `seconds`. A message is
        never lost, and goes twice only if this dies on it and is asked again after the time of duplicate detection.
        """
