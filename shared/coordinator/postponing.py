"""Postpones messages while the store cannot be written, without using up their deliveries.

A queue redelivers a failed message at once and dead-letters it after ten deliveries: a disk that is full for a minute
would turn every message of that minute into a dead letter. So a copy is sent, to be delivered after a pause that grows
each time, and the message itself is completed. Waiting with the message would block one of the few threads. The copy's
id is derived from the message's, so that duplicate detection drops a second copy if the process dies in between. The id
also counts the postponements. After a day, the queue dead-letters the message like any other.
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
#: A day has 144 of the longest pause.
MOST_ROUNDS = 150

_POSTPONED = re.compile(r":later-([0-9]{1,4})$")


@dataclass(frozen=True)
class Delivered:
    """A message that the app is processing."""

    queue: str
    message_id: str  #: empty if unknown: then the message cannot be postponed
    body: bytes


def pause(round_: int) -> timedelta:
    """The pause before the delivery of this copy; copies count from 1."""
    return min(FIRST_PAUSE * (1 << min(round_ - 1, 20)), LONGEST_PAUSE)


def postponed(delivered: Delivered, bus: Postponing, clock: Callable[[], datetime], why: str) -> bool:
    """Postpone the message if possible. Return whether a copy will be delivered, so that this delivery is done."""
    found = _POSTPONED.search(delivered.message_id)
    round_ = int(found[1]) + 1 if found else 1
    if not delivered.message_id or round_ > MOST_ROUNDS:
        return False
    kept = _POSTPONED.sub("", delivered.message_id)
    at = clock() + pause(round_)
    bus.postpone(delivered.queue, id_of_copy(kept, f"later-{round_}"), delivered.body, at)
    said = delivered.queue, delivered.message_id, pause(round_).total_seconds(), why
    log.warning("postponed a message of %s (%s) by %d s: %s", *said)
    return True
