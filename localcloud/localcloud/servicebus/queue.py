"""One queue, and the life of its messages.

A message is active, scheduled or deferred; an active or deferred one may be locked by a receiver.

- scheduled: becomes active at its time, as if sent then, with a new sequence number;
- locked: until it is completed, dead-lettered, abandoned, released or deferred, or the lock expires, which counts as
  abandoning. Abandoning and deferring count as deliveries; releasing (a receiver returns what it never read) does not;
- delivered too often: goes to the dead-letter queue, even if it is deferred;
- expired: goes there too if the queue is configured so, otherwise it is dropped. A locked message does not expire, and
  a deferred one only when it is requested.

Every change goes to the store, which writes it later. Locks are not stored: after a restart all messages are free.
The queue has no clock: callers pass the time, in seconds since 1970.
"""

import heapq
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from localcloud.servicebus.config import QueueSettings
from localcloud.servicebus.message import Message, State, with_application_properties
from localcloud.servicebus.store import Store

REASON = "DeadLetterReason"
DESCRIPTION = "DeadLetterErrorDescription"
DEAD_LETTER_SUFFIX = "/$DeadLetterQueue"
#: A heap may hold twice as many entries as messages, and this many more.
_MOST_OUTDATED = 1000


class MessageLockLostError(Exception):
    """No message is locked by this token, or no longer."""


class MessageNotFoundError(Exception):
    """The queue has no such message in the requested state."""


class AlreadyDeadLetterError(Exception):
    """A dead letter cannot be dead-lettered again."""


@dataclass(slots=True)
class Lock:
    token: uuid.UUID
    message: Message
    until: float


class Queue:
    """The messages of one queue, or of its dead-letter queue, which is the one without a dead-letter queue."""

    def __init__(self, settings: QueueSettings, store: Store, now: float, dead_letters: "Queue | None" = None) -> None:
        self.name = settings.name
        self.dead_letters = dead_letters
        self.max_message_size = settings.max_message_size
        self._settings = settings
        self._store = store
        self._sequence_number = store.last_sequence_number(self.name)
        self._messages: dict[int, Message] = {}
        self._locks: dict[uuid.UUID, Lock] = {}
        self._locked: set[int] = set()
        # Heaps and the deque keep outdated entries of messages. These are dropped when they come up, or when they are
        # too many.
        self._available: list[int] = []
        self._scheduled: list[tuple[float, int]] = []
        self._expiring: list[tuple[float, int]] = []
        self._lock_ends: list[tuple[float, uuid.UUID]] = []
        self._known_ids: dict[str, int] = {}
        self._forgetting: deque[tuple[float, str]] = deque()
        self._restore(now)

    def _restore(self, now: float) -> None:
        for message in self._store.messages(self.name):
            self._place(message)
        for message_id, sequence_number, forget_at in self._store.message_ids(self.name):
            self._known_ids[message_id] = sequence_number
            self._forgetting.append((forget_at, message_id))
        self.advance(now)

    # ---------------------------------------------------------------------------------------------------- sending

    def check(self, messages: Iterable[Message]) -> None:
        """Checks all messages of a request before any of them is sent."""

    def send(self, message: Message, message_id: str, now: float) -> int:
        """Accepts a message and returns its sequence number; for a duplicate, the first one's number."""
        window = self._settings.duplicate_detection_window
        if window is not None:
            self._forget_ids(now)
            if message_id in self._known_ids:
                return self._known_ids[message_id]
        if message.time_to_live is None:
            message.time_to_live = self._settings.default_time_to_live
        elif self._settings.default_time_to_live is not None:
            message.time_to_live = min(message.time_to_live, self._settings.default_time_to_live)
        if message.scheduled_time is not None and message.scheduled_time > now:
            message.state = State.SCHEDULED
        self._enqueue(message, now)
        if window is not None:
            self._known_ids[message_id] = message.sequence_number
            self._forgetting.append((now + window, message_id))
            self._store.remember(self.name, message_id, message.sequence_number, now + window)
        return message.sequence_number

    def cancel_scheduled(self, sequence_numbers: list[int]) -> None:
        """Removes scheduled messages, all or none if one is missing. Raises `MessageNotFoundError`."""
        for message in self._find(sequence_numbers, State.SCHEDULED):
            self._remove(message)

    def _enqueue(self, message: Message, now: float) -> None:
        self._sequence_number += 1
        message.sequence_number = self._sequence_number
        message.enqueued_time = now
        if message.time_to_live is not None and message.state is State.ACTIVE:
            message.expires_at = now + message.time_to_live
        self._store.insert(self.name, message)
        self._place(message)

    def _place(self, message: Message) -> None:
        number = message.sequence_number
        self._messages[number] = message
        if message.state is State.SCHEDULED and message.scheduled_time is not None:
            heapq.heappush(self._scheduled, (message.scheduled_time, number))
        elif message.state is State.ACTIVE:
            self._make_available(message)

    def _make_available(self, message: Message) -> None:
        heapq.heappush(self._available_beside(message), message.sequence_number)
        if message.expires_at is not None:
            heapq.heappush(self._expiring, (message.expires_at, message.sequence_number))

    def _available_beside(self, message: Message) -> list[int]:
        """The heap of available messages that contains the message."""
        return self._available

    def _forget_available(self) -> None:
        """Empties all heaps of available messages."""
        self._available.clear()

    def _remove(self, message: Message) -> None:
        del self._messages[message.sequence_number]
        self._store.delete(self.name, message)

    # --------------------------------------------------------------------------------------------------- receiving

    def lock_next(self, now: float) -> Lock | None:
        """Locks the first available message."""
        message = self._next(self._available, now)
        return None if message is None else self._lock(message, now)

    def take_next(self, now: float) -> Message | None:
        """Removes the first available message, for receivers that never settle."""
        message = self._next(self._available, now)
        if message is not None:
            self._remove(message)
        return message

    def lock_deferred(self, sequence_numbers: list[int], now: float) -> list[Lock]:
        """Locks deferred messages. Raises `MessageNotFoundError` unless all are there and free."""
        self._expire_deferred(sequence_numbers, now)
        return [self._lock(message, now) for message in self._find(sequence_numbers, State.DEFERRED)]

    def take_deferred(self, sequence_numbers: list[int], now: float) -> list[Message]:
        """Removes deferred messages. Raises `MessageNotFoundError` unless all are there and free."""
        self._expire_deferred(sequence_numbers, now)
        messages = self._find(sequence_numbers, State.DEFERRED)
        for message in messages:
            self._remove(message)
        return messages

    def peek(self, from_sequence_number: int, count: int) -> list[Message]:
        """Messages in any state, by sequence number, without locking them."""
        later = (message for number, message in self._messages.items() if number >= from_sequence_number)
        return list(islice(later, count))

    def _next(self, available: list[int], now: float) -> Message | None:
        self.advance(now)
        while available:
            message = self._free_active(heapq.heappop(available))
            if message is not None:
                return message
        return None

    def _free_active(self, number: int) -> Message | None:
        message = self._messages.get(number)
        if message is None or message.state is not State.ACTIVE or number in self._locked:
            return None
        return message

    def _lock(self, message: Message, now: float) -> Lock:
        lock = Lock(uuid.uuid4(), message, self._locked_until(message, now))
        self._locks[lock.token] = lock
        self._locked.add(message.sequence_number)
        heapq.heappush(self._lock_ends, (lock.until, lock.token))
        return lock

    def _locked_until(self, message: Message, now: float) -> float:
        return now + self._settings.lock_duration

    def _find(self, sequence_numbers: list[int], state: State) -> list[Message]:
        found = []
        for number in sequence_numbers:
            message = self._messages.get(number)
            if message is None or message.state is not state or number in self._locked:
                raise MessageNotFoundError(f"{self.name} has no {state.name.lower()} message {number}")
            found.append(message)
        return found

    # ---------------------------------------------------------------------------------------------------- settling

    def renew(self, token: uuid.UUID, now: float) -> float:
        """Renews the lock for another lock duration and returns its end. Raises `MessageLockLostError`."""
        lock = self._lock_of(token, now)
        lock.until = now + self._settings.lock_duration
        heapq.heappush(self._lock_ends, (lock.until, token))
        return lock.until

    def complete(self, token: uuid.UUID, now: float) -> None:
        """Raises `MessageLockLostError`."""
        self._remove(self._unlock(token, now))

    def abandon(self, token: uuid.UUID, now: float) -> None:
        """Raises `MessageLockLostError`."""
        self._give_back(self._unlock(token, now), now)

    def release(self, token: uuid.UUID, now: float) -> None:
        """Returns a message to the queue as if it had never been received. Raises `MessageLockLostError`."""
        message = self._unlock(token, now)
        if message.state is State.ACTIVE:
            self._make_available(message)

    def defer(self, token: uuid.UUID, now: float) -> None:
        """Keeps the message for requests by its sequence number. Raises `MessageLockLostError`."""
        message = self._unlock(token, now)
        message.state = State.DEFERRED
        self._give_back(message, now)

    def dead_letter(self, token: uuid.UUID, reason: str | None, description: str | None, now: float) -> None:
        """Raises `MessageLockLostError`, or `AlreadyDeadLetterError` in a dead-letter queue."""
        self._lock_of(token, now)
        if self.dead_letters is None:
            raise AlreadyDeadLetterError(f"{self.name} has no dead-letter queue of its own")
        self._bury(self._unlock(token, now), self.dead_letters, reason, description, now)

    def _lock_of(self, token: uuid.UUID, now: float) -> Lock:
        lock = self._locks.get(token)
        if lock is None or lock.until <= now:
            raise MessageLockLostError(f"the lock {token} of a message in {self.name} is lost or was settled before")
        return lock

    def _unlock(self, token: uuid.UUID, now: float) -> Message:
        message = self._lock_of(token, now).message
        del self._locks[token]
        self._locked.discard(message.sequence_number)
        return message

    def _give_back(self, message: Message, now: float) -> None:
        message.delivery_count += 1
        most = self._settings.max_delivery_count
        if self.dead_letters is not None and most is not None and message.delivery_count >= most:
            description = f"Message could not be consumed after {most} delivery attempts."
            self._bury(message, self.dead_letters, "MaxDeliveryCountExceeded", description, now)
            return
        self._store.update(self.name, message)
        if message.state is State.ACTIVE:
            self._make_available(message)

    def _bury(
        self, message: Message, dead_letters: "Queue", reason: str | None, description: str | None, now: float
    ) -> None:
        """Moves a message to the dead-letter queue, where it never expires."""
        said = {key: value for key, value in ((REASON, reason), (DESCRIPTION, description)) if value is not None}
        self._remove(message)
        content = with_application_properties(message.content, said)
        buried = _active_again(
            message, content=content, dead_letter_source=self.name, time_to_live=None, expires_at=None
        )
        dead_letters._enqueue(buried, now)

    # -------------------------------------------------------------------------------------------------------- time

    def advance(self, now: float) -> None:
        """Does everything that is due: ends locks, activates scheduled messages, expires messages."""
        self._drop_outdated()
        while self._lock_ends and self._lock_ends[0][0] <= now:
            lock = self._locks.get(heapq.heappop(self._lock_ends)[1])
            if lock is not None and lock.until <= now:
                del self._locks[lock.token]
                self._locked.discard(lock.message.sequence_number)
                self._give_back(lock.message, now)
        while self._scheduled and self._scheduled[0][0] <= now:
            message = self._messages.get(heapq.heappop(self._scheduled)[1])
            if message is not None:
                self._activate(message, now)
        while self._expiring and self._expiring[0][0] <= now:
            message = self._free_active(heapq.heappop(self._expiring)[1])
            if message is not None:
                self._expire(message, now)

    def next_change(self) -> float | None:
        """When something is next due; None if nothing is."""
        while self._lock_ends and self._lock_ends[0][1] not in self._locks:
            heapq.heappop(self._lock_ends)
        for heap in (self._scheduled, self._expiring):
            while heap and heap[0][1] not in self._messages:
                heapq.heappop(heap)
        first = [heap[0][0] for heap in (self._lock_ends, self._scheduled, self._expiring) if heap]
        return min(first, default=None)

    def _drop_outdated(self) -> None:
        if len(self._lock_ends) > 2 * len(self._locks) + _MOST_OUTDATED:
            self._lock_ends = [(lock.until, token) for token, lock in self._locks.items()]
            heapq.heapify(self._lock_ends)
        longest = max(len(self._available), len(self._scheduled), len(self._expiring))
        if longest > 2 * len(self._messages) + _MOST_OUTDATED:
            self._forget_available()
            self._scheduled, self._expiring = [], []
            for message in self._messages.values():
                if message.sequence_number not in self._locked:
                    self._place(message)

    def _activate(self, message: Message, now: float) -> None:
        """Sends the message again, so that its old sequence number is no longer valid."""
        self._remove(message)
        self._enqueue(_active_again(message), now)

    def _expire(self, message: Message, now: float) -> None:
        if self.dead_letters is not None and self._settings.dead_letter_expired:
            description = "The message expired and was dead lettered."
            self._bury(message, self.dead_letters, "TTLExpiredException", description, now)
        else:
            self._remove(message)

    def _expire_deferred(self, sequence_numbers: list[int], now: float) -> None:
        for number in sequence_numbers:
            message = self._messages.get(number)
            if message is None or message.state is not State.DEFERRED or number in self._locked:
                continue
            if message.expires_at is not None and message.expires_at <= now:
                self._expire(message, now)

    def _forget_ids(self, now: float) -> None:
        for message_id in self._outdated_ids(now):
            del self._known_ids[message_id]
            self._store.forget(self.name, message_id)

    def _outdated_ids(self, now: float) -> Iterator[str]:
        while self._forgetting and self._forgetting[0][0] <= now:
            yield self._forgetting.popleft()[1]


def _active_again(message: Message, **changes: Any) -> Message:
    """A copy to be enqueued: the store must not see one message under two sequence numbers."""
    return replace(message, state=State.ACTIVE, scheduled_time=None, **changes)
