"""Links that receive from one session of a queue, and how a client requests a session and learns which one it got.

A client that names a session gets it at once or is refused. One that names none waits for the next free session with
messages, and its link is confirmed only then.
"""

import asyncio
from typing import Any, Protocol

from localcloud.servicebus.amqp_types import Described, Symbol
from localcloud.servicebus.broker import Broker
from localcloud.servicebus.links import Channel, QueueLink
from localcloud.servicebus.message import Message
from localcloud.servicebus.performatives import Attach, field, with_field
from localcloud.servicebus.queue import Lock
from localcloud.servicebus.session_queue import SessionLock, SessionQueue
from localcloud.servicebus.settlement import SESSION_LOCK_LOST

SESSION_FILTER = "com.microsoft:session-filter"
TIMEOUT = "com.microsoft:timeout"
_LOCKED_UNTIL = Symbol("com.microsoft:locked-until-utc")
#: Position of the filters in a source's fields.
_FILTERS = 7

#: Seconds that a client waits for a session if it does not say how long.
_LONGEST_WAIT = 60.0
#: .NET counts time in tenths of a microsecond since the year 1; 1970 in this count.
_TICKS_PER_SECOND, _TICKS_AT_1970 = 10_000_000, 621_355_968_000_000_000


class SessionChannel(Channel, Protocol):
    """How a session's link sends."""

    def confirm(self, link: "SessionLink") -> None:
        """Tells the client that its link has a session now."""

    def end_link(self, handle: int, condition: str, description: str) -> None:
        """Detaches a link with an error, even an unconfirmed one."""


class SessionLink(QueueLink):
    """Delivers the messages of one session."""

    def __init__(self, session: SessionChannel, attach: Attach, queue: SessionQueue, broker: Broker) -> None:
        """Raises `SessionCannotBeLockedError` if the client names a session that another link holds."""
        super().__init__(session, attach, queue, broker)
        self.attach = attach
        self._channel = session
        self._queue = queue
        #: None while the link waits for a session.
        self.lock: SessionLock | None = None
        self._alarm: asyncio.TimerHandle | None = None
        session_id = asked_session(attach)
        if session_id is not None:
            self.lock = queue.accept(session_id, attach.name, self._lost, broker.now())
            broker.changed(queue)

    def opened(self) -> None:
        super().opened()
        if self.lock is None:
            self._alarm = asyncio.get_running_loop().call_later(_patience(self.attach), self._give_up)

    def closed(self) -> None:
        super().closed()
        if self._alarm is not None:
            self._alarm.cancel()
        if self.lock is not None:
            self._queue.let_go(self.lock, self._broker.now())
            self._broker.changed(self._queue)

    def is_ready(self) -> bool:
        return self.lock is None or super().is_ready()

    def deliver_next(self, now: float) -> bool:
        if self.lock is not None:
            return super().deliver_next(now)
        self.lock = self._queue.accept_next(self.attach.name, self._lost, now)
        if self.lock is None:
            return False
        if self._alarm is not None:
            self._alarm.cancel()
        self._channel.confirm(self)
        self._broker.changed(self._queue)
        return True

    def confirmation(self, reply: Attach) -> Attach:
        """The reply to the client's attach, with the session and the end of its lock."""
        assert self.lock is not None
        filters = {**filters_of(self.attach), Symbol(SESSION_FILTER): self.lock.session_id}
        ticks = _TICKS_AT_1970 + int(self.lock.until * _TICKS_PER_SECOND)
        return reply._replace(source=with_field(reply.source, _FILTERS, filters), properties={_LOCKED_UNTIL: ticks})

    def _take(self, now: float) -> Message | None:
        return None if self.lock is None else self._queue.take_next_in(self.lock, now)

    def _lock(self, now: float) -> Lock | None:
        return None if self.lock is None else self._queue.lock_next_in(self.lock, now)

    def _lost(self) -> None:
        description = f"The lock of the session is lost: it was not renewed in time. Queue: {self._queue.name}."
        self._channel.end_link(self.attach.handle, SESSION_LOCK_LOST, description)

    def _give_up(self) -> None:
        description = f"No session of {self._queue.name} with messages became free in the given time."
        self._channel.end_link(self.attach.handle, TIMEOUT, description)


def filters_of(attach: Attach) -> dict[Any, Any]:
    """The filters that a client requests."""
    filters = field(attach.source, _FILTERS)
    return filters if isinstance(filters, dict) else {}


def asked_session(attach: Attach) -> str | None:
    """The session that a client names; None if it takes any."""
    value = filters_of(attach).get(SESSION_FILTER)
    if isinstance(value, Described):
        value = value.value
    return value if isinstance(value, str) else None


def _patience(attach: Attach) -> float:
    """Seconds that the client waits for a session."""
    properties = attach.properties if isinstance(attach.properties, dict) else {}
    milliseconds = properties.get(TIMEOUT)
    return milliseconds / 1000 if isinstance(milliseconds, int) else _LONGEST_WAIT
