"""Messages that cannot be worked on now, as the store cannot be written: again later, without using up deliveries.

A queue gives a message that failed back at once, and gives it up after ten times: a disk that is full for a minute
would make dead letters of all that comes in it. So a copy is sent that is delivered after a pause, longer from time to
time, and the message itself counts as done. To wait with it would hold one of the few threads. The copy's id follows
from the message's, so that duplicate detection drops a second copy where the process dies in between; it also says how
often the message was postponed. After a day of that, the queue gives the message up as it does others.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.core.messages import id_of_copy
from shared.ports import Postponing

log = logging.getLogger("mlpromote")

FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(minutes=10)
#: Of the longest pause, a day has 144.
MOST_ROUNDS = 150

_POSTPONED = re.compile(r":later-([0-9]{1,4})$")


@dataclass(frozen=True)
class Delivered:
    """A message in the hands of the app."""

    queue: str
    message_id: str  #: empty where it is not known: then nothing can be postponed
    body: bytes


def pause(round_: int) -> timedelta:
    """Before the delivery of this copy; they count from 1."""
    return min(FIRST_PAUSE * (1 << min(round_ - 1, 20)), LONGEST_PAUSE)


def postponed(delivered: Delivered, bus: Postponing, clock: Callable[[], datetime], why: str) -> bool:
    """Whether the message comes again by itself, so that this delivery of it is done."""
    found = _POSTPONED.search(delivered.message_id)
    round_ = int(found[1]) + 1 if found else 1
    if not delivered.message_id or round_ > MOST_ROUNDS:
        return False
    kept = _POSTPONED.sub("", delivered.message_id)
    at = clock() + pause(round_)
    bus.postpone(delivered.queue, id_of_copy(kept, f"later-{round_}"), delivered.body, at)
    said = delivered.queue, delivered.message_id, pause(round_).total_seconds(), why
    log.warning("message of %s comes again later: %s, in %d s, since %s", *said)
    return True
