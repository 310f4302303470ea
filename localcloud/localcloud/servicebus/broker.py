"""The queues by address, and the turn in which all input takes effect.

A turn runs once per round of the event loop, after all input of that round has been read: waiting receivers get
messages, the store commits, and only then do connections send their output. So nothing is reported before it is stored,
and all input of a round shares one commit.
"""

import asyncio
import math
import re
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from localcloud.servicebus.config import QueueSettings
from localcloud.servicebus.queue import DEAD_LETTER_SUFFIX, Queue
from localcloud.servicebus.session_queue import SessionQueue
from localcloud.servicebus.store import Store

#: The longest sleep between two checks of the wall clock, which may be changed meanwhile.
_LONGEST_SLEEP = 60.0

_SCHEME_AND_HOST = re.compile(r"^[a-z]+://[^/]*/", re.IGNORECASE)


class Receiver(Protocol):
    """A receiver that waits for messages of a queue."""

    def is_ready(self) -> bool:
        """Whether a message can be delivered right now."""

    def deliver_next(self, now: float) -> bool:
        """Delivers the next message for this receiver; False if there is none."""


class Output(Protocol):
    """A connection that keeps its output until the end of the turn."""

    def flush(self) -> None: ...


class Broker:
    """All queues of the namespace. Must be used from one event loop only."""

    def __init__(self, settings: Iterable[QueueSettings], store: Store) -> None:
        self._store = store
        self._queues: dict[str, Queue] = {}
        for queue in settings:
            dead_letters = Queue(_dead_letter_settings(queue), store, self.now())
            kind = SessionQueue if queue.requires_session else Queue
            for made in (kind(queue, store, self.now(), dead_letters), dead_letters):
                self._queues[made.name.lower()] = made
        self._receivers: dict[Queue, list[Receiver]] = {queue: [] for queue in self._queues.values()}
        self._changed: set[Queue] = set()
        self._outputs: dict[Output, None] = {}
        self._loop = asyncio.get_running_loop()
        self._turn_is_due = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_time = math.inf
        #: Gets the exception if a turn fails. Memory and disk may then differ, so the broker must stop.
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self._look_at_all()

    @staticmethod
    def now() -> float:
        return time.time()

    def queue_at(self, address: str) -> Queue | None:
        """The queue that a link address names, with or without scheme and host; None if there is none."""
        return self._queues.get(_SCHEME_AND_HOST.sub("", address).lower())

    def add_receiver(self, queue: Queue, receiver: Receiver) -> None:
        self._receivers[queue].append(receiver)
        self.changed(queue)

    def remove_receiver(self, queue: Queue, receiver: Receiver) -> None:
        self._receivers[queue].remove(receiver)

    def changed(self, queue: Queue) -> None:
        """Call this after every change of a queue or of what its receivers can take."""
        self._changed.add(queue)
        self._take_turn_soon()

    def has_output(self, output: Output) -> None:
        """Registers output that is flushed at the end of the turn."""
        self._outputs[output] = None
        self._take_turn_soon()

    def _take_turn_soon(self) -> None:
        if not self._turn_is_due and not self.failed.done():
            self._turn_is_due = True
            self._loop.call_soon(self._turn)

    def deliver(self, queue: Queue) -> None:
        """Hands out messages to one receiver after another while there are both."""
        receivers = self._receivers[queue]
        now = self.now()
        passed_over = 0
        while passed_over < len(receivers):
            receiver = receivers.pop(0)
            receivers.append(receiver)
            if not receiver.is_ready():
                passed_over += 1
            elif receiver.deliver_next(now):
                passed_over = 0
            elif isinstance(queue, SessionQueue):
                passed_over += 1  # there may be messages in another receiver's session
            else:
                return

    def _turn(self) -> None:
        self._turn_is_due = False
        changed, self._changed = self._changed, set()
        try:
            for queue in changed:
                self._look_at(queue)
                if queue.dead_letters is not None:
                    self._look_at(queue.dead_letters)
            self._store.commit()
        except Exception as error:  # noqa: BLE001 - handed to whoever awaits `failed`, which ends the broker
            if not self.failed.done():
                self.failed.set_exception(error)
            return
        outputs, self._outputs = self._outputs, {}
        for output in outputs:
            output.flush()

    def _look_at(self, queue: Queue) -> None:
        queue.advance(self.now())
        self.deliver(queue)
        change = queue.next_change()
        if change is not None and change < self._alarm_time:
            self._set_alarm(change)

    def _set_alarm(self, moment: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        sleep = min(max(moment - self.now(), 0.0), _LONGEST_SLEEP)
        self._alarm_time = moment
        self._alarm = self._loop.call_later(sleep, self._look_at_all)

    def _look_at_all(self) -> None:
        """Makes every queue set its alarm again in the next turn."""
        self._alarm_time = math.inf
        self._changed.update(self._queues.values())
        self._take_turn_soon()

    def close(self) -> None:
        """Stops taking turns."""
        self.failed.cancel()
        if self._alarm is not None:
            self._alarm.cancel()


def _dead_letter_settings(queue: QueueSettings) -> QueueSettings:
    """The settings of a dead-letter queue: dead letters do not expire and have no delivery limit."""
    return replace(
        queue,
        name=queue.name + DEAD_LETTER_SUFFIX,
        max_delivery_count=None,
        default_time_to_live=None,
        dead_letter_expired=False,
        duplicate_detection_window=None,
        requires_session=False,
    )
