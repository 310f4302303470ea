"""A queue whose messages belong to sessions, each held by one receiver at a time.

A session exists as long as it has messages, a state or a holder. Only its holder gets its messages, in the order of
their sequence numbers. Everything that it locks stays locked as long as the session does:

- renewing the session's lock renews that of every message;
- when the lock expires, the messages count as delivered once more, as after any expired lock;
- when the receiver releases the session, they do not.

Messages are dead-lettered into an ordinary queue.
"""

import heapq
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from localcloud.servicebus.config import QueueSettings
from localcloud.servicebus.message import Message, State
from localcloud.servicebus.queue import Lock, MessageLockLostError, MessageNotFoundError, Queue
from localcloud.servicebus.store import SessionState, Store


class SessionCannotBeLockedError(Exception):
    """Another receiver holds the session."""


class SessionLockLostError(MessageLockLostError):
    """The session and its messages are not locked, or no longer."""


class SessionRequiredError(Exception):
    """A message without a session id."""


@dataclass(slots=True, eq=False)
class SessionLock:
    """A receiver's hold on a session, until a time in seconds since 1970."""

    session_id: str
    #: The receiver, by the name of its link.
    holder: str
    until: float
    #: Called when the lock expires.
    lost: Callable[[], None]


class SessionQueue(Queue):
    """The messages of one queue, by session."""

    def __init__(self, settings: QueueSettings, store: Store, now: float, dead_letters: Queue) -> None:
        self._by_session: dict[str, list[int]] = {}
        self._session_locks: dict[str, SessionLock] = {}
        self._states = store.session_states(settings.name)
        super().__init__(settings, store, now, dead_letters)

    def check(self, messages: Iterable[Message]) -> None:
        """Raises `SessionRequiredError`."""
        if not all(message.session_id for message in messages):
            raise SessionRequiredError(f"{self.name} requires sessions: set the session id of every message sent to it")

    # -------------------------------------------------------------------------------------------- holding sessions

    def accept(self, session_id: str, holder: str, lost: Callable[[], None], now: float) -> SessionLock:
        """Locks a session, which need not have messages. Raises `SessionCannotBeLockedError`."""
        self.advance(now)
        if session_id in self._session_locks:
            raise SessionCannotBeLockedError(f"another receiver holds the session {session_id!r} of {self.name}")
        lock = SessionLock(session_id, holder, now + self._settings.lock_duration, lost)
        self._session_locks[session_id] = lock
        return lock

    def accept_next(self, holder: str, lost: Callable[[], None], now: float) -> SessionLock | None:
        """Locks the free session whose next message is the first one; None if there is none."""
        self.advance(now)
        free = [session_id for session_id in list(self._by_session) if self._first_of(session_id) is not None]
        free = [session_id for session_id in free if session_id not in self._session_locks]
        if not free:
            return None
        return self.accept(min(free, key=lambda session_id: self._by_session[session_id][0]), holder, lost, now)

    def let_go(self, lock: SessionLock, now: float) -> None:
        """Releases the session and returns its messages as if they had never been received."""
        self.advance(now)
        if self._session_locks.get(lock.session_id) is not lock:
            return
        for locked in self._locks_in(lock.session_id):
            self.release(locked.token, now)
        del self._session_locks[lock.session_id]

    def renew_session(self, session_id: str, holder: str | None, now: float) -> float:
        """Locks session and messages for another lock duration and returns until when.

        Raises `SessionLockLostError`.
        """
        held = self.held(session_id, holder, now)
        held.until = now + self._settings.lock_duration
        for lock in self._locks_in(session_id):
            self.renew(lock.token, now)
        return held.until

    def held(self, session_id: str, holder: str | None, now: float) -> SessionLock:
        """The lock of a session; with `holder`, only if held by that one. Raises `SessionLockLostError`."""
        lock = self._session_locks.get(session_id)
        if lock is None or lock.until <= now or holder not in (None, lock.holder):
            raise SessionLockLostError(f"the lock of the session {session_id!r} of {self.name} is lost")
        return lock

    def _locks_in(self, session_id: str) -> list[Lock]:
        return [lock for lock in self._locks.values() if lock.message.session_id == session_id]

    # --------------------------------------------------------------------------------------------------- receiving

    def lock_next_in(self, session: SessionLock, now: float) -> Lock | None:
        """Locks the first available message of a session that is held."""
        message = self._next(self._by_session.get(session.session_id, []), now)
        return None if message is None else self._lock(message, now)

    def take_next_in(self, session: SessionLock, now: float) -> Message | None:
        """Removes the first available message of a session that is held."""
        message = self._next(self._by_session.get(session.session_id, []), now)
        if message is not None:
            self._remove(message)
        return message

    def peek_in(self, session_id: str, from_sequence_number: int, count: int) -> list[Message]:
        """Like `peek`, for one session."""
        later = self.peek(from_sequence_number, len(self._messages))
        return [message for message in later if message.session_id == session_id][:count]

    def check_deferred(self, session_id: str, holder: str | None, sequence_numbers: list[int], now: float) -> None:
        """Raises `SessionLockLostError`, or `MessageNotFoundError` for messages of another session."""
        self.held(session_id, holder, now)
        for number in sequence_numbers:
            message = self._messages.get(number)
            if message is not None and message.session_id != session_id:
                raise MessageNotFoundError(f"the session {session_id!r} of {self.name} has no message {number}")

    def _available_beside(self, message: Message) -> list[int]:
        return self._by_session.setdefault(message.session_id or "", [])

    def _forget_available(self) -> None:
        self._by_session.clear()

    def _locked_until(self, message: Message, now: float) -> float:
        lock = self._session_locks.get(message.session_id or "")
        return super()._locked_until(message, now) if lock is None else lock.until

    def _lock_of(self, token: uuid.UUID, now: float) -> Lock:
        try:
            return super()._lock_of(token, now)
        except MessageLockLostError as lost:
            raise SessionLockLostError(str(lost)) from lost

    def _first_of(self, session_id: str) -> int | None:
        """The first available message of a session; forgets those that have moved on."""
        available = self._by_session[session_id]
        while available and self._free_active(available[0]) is None:
            heapq.heappop(available)
        if available:
            return available[0]
        if session_id not in self._session_locks:
            del self._by_session[session_id]
        return None

    # ------------------------------------------------------------------------------------------- states of sessions

    def state(self, session_id: str) -> bytes | None:
        """The stored state of the session; None if there is none."""
        kept = self._states.get(session_id)
        return None if kept is None else kept.content

    def set_state(self, session_id: str, content: bytes | None, now: float) -> None:
        """Stores the state of a session; None removes it."""
        if content is None:
            self._states.pop(session_id, None)
        else:
            self._states[session_id] = SessionState(content, now)
        self._store.set_session_state(self.name, session_id, self._states.get(session_id))

    def sessions(self, updated_after: float | None) -> list[str]:
        """The ids of sessions with active messages or a state; with a time, of sessions with a newer state."""
        if updated_after is not None:
            return sorted(one for one, state in self._states.items() if state.updated_at > updated_after)
        active = {one.session_id for one in self._messages.values() if one.state is State.ACTIVE and one.session_id}
        return sorted(active | set(self._states))

    # -------------------------------------------------------------------------------------------------------- time

    def advance(self, now: float) -> None:
        """Like any queue's `advance`; also ends expired locks of sessions."""
        super().advance(now)
        for lock in [lock for lock in self._session_locks.values() if lock.until <= now]:
            del self._session_locks[lock.session_id]
            lock.lost()

    def next_change(self) -> float | None:
        """As for any queue."""
        ends = [lock.until for lock in self._session_locks.values()]
        change = super().next_change()
        return min(ends if change is None else [*ends, change], default=None)
