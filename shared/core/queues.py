"""The names of the queues, and the sequence numbers of their messages."""

from collections.abc import Iterable

EVENTS_QUEUE = "promotion-events"
_STEPS, _REPORTS = "steps-", "reports-"
#: Sequence numbers run from 1 to this.
MOST_NUMBER = 2**63 - 1


def steps_queue(environment: str) -> str:
    """The queue of an environment's commands: the coordinator sends, the environment's worker listens."""
    return _STEPS + environment


def reports_queue(environment: str) -> str:
    """The queue of an environment's reports: its worker sends, the coordinator listens."""
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
    """The text as a sequence number; None if it is not one."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_NUMBER))):
        return None
    number = int(text)
    return number if str(number) == text and 1 <= number <= MOST_NUMBER else None
