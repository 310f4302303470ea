"""The rules of one queue, on a clock that the test turns, and over a store that is opened again."""

import gc
import tracemalloc
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from localcloud.servicebus.config import QueueSettings
from localcloud.servicebus.message import VALUE, Message, State, encode_section
from localcloud.servicebus.queue import MessageLockLostError, MessageNotFoundError, Queue
from localcloud.servicebus.store import Store, StoreError

NOW = 1_000_000.0


def make_queue(store: Store, now: float = NOW, **changes: Any) -> Queue:
    rules = QueueSettings(**{"name": "q", "lock_duration": 10.0, "max_delivery_count": 3, **changes})
    dead_letters = Queue(QueueSettings("q/dead", lock_duration=10.0, max_delivery_count=None), store, now)
    return Queue(rules, store, now, dead_letters)


def message(**fields: Any) -> Message:
    return Message(content=encode_section(VALUE, "body"), annotations={}, **fields)


def send(queue: Queue, now: float = NOW, message_id: str | None = None, **fields: Any) -> int:
    return queue.send(message(**fields), message_id or uuid.uuid4().hex, now)


def _count(queue: Queue) -> int:
    return len(queue.peek(0, 10_000))


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(Store.in_memory()) as store:
        yield store


def test_messages_are_received_in_the_order_of_their_sequence_numbers(store: Store) -> None:
    queue = make_queue(store)
    numbers = [send(queue) for _ in range(3)]
    locks = [queue.lock_next(NOW) for _ in range(4)]
    assert [lock and lock.message.sequence_number for lock in locks] == [*numbers, None]


def test_an_abandoned_message_goes_back_to_its_place(store: Store) -> None:
    queue = make_queue(store)
    first, _ = send(queue), send(queue)
    lock = queue.lock_next(NOW)
    assert lock is not None
    queue.abandon(lock.token, NOW)
    again = queue.lock_next(NOW)
    assert again is not None
    assert again.message.sequence_number == first


def test_messages_that_are_gone_take_no_memory(store: Store) -> None:
    queue = make_queue(store, default_time_to_live=3600.0)
    tracemalloc.start()
    _pass_through(queue, 2000)
    before = _memory()
    _pass_through(queue, 4000)
    assert _memory() - before < 500_000
    tracemalloc.stop()


def _pass_through(queue: Queue, number: int) -> None:
    for _ in range(number):
        queue.cancel_scheduled([send(queue, scheduled_time=NOW + 3600)])
        send(queue)
        lock = queue.lock_next(NOW)
        assert lock is not None
        queue.complete(lock.token, NOW)


def _memory() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_a_lock_ends_at_its_time_and_not_before(store: Store) -> None:
    queue = make_queue(store)
    send(queue)
    lock = queue.lock_next(NOW)
    assert lock is not None
    assert queue.next_change() == NOW + 10
    assert queue.lock_next(NOW + 9.9) is None
    with pytest.raises(MessageLockLostError):
        queue.complete(lock.token, NOW + 10)
    again = queue.lock_next(NOW + 10)
    assert again is not None
    assert again.message.delivery_count == 1


def test_renewing_moves_the_end_of_a_lock(store: Store) -> None:
    queue = make_queue(store)
    send(queue)
    lock = queue.lock_next(NOW)
    assert lock is not None
    assert queue.renew(lock.token, NOW + 8) == NOW + 18
    assert queue.lock_next(NOW + 17) is None
    queue.complete(lock.token, NOW + 17)
    assert _count(queue) == 0


def test_a_scheduled_message_becomes_active_at_its_time_behind_what_is_there(store: Store) -> None:
    queue = make_queue(store)
    scheduled = send(queue, scheduled_time=NOW + 5)
    sent = send(queue, now=NOW + 1)
    assert queue.next_change() == NOW + 5
    queue.advance(NOW + 5)
    received = [queue.take_next(NOW + 5), queue.take_next(NOW + 5)]
    assert [taken and taken.sequence_number for taken in received] == [sent, scheduled + 2]
    assert received[1] is not None
    assert received[1].enqueued_time == NOW + 5


def test_time_to_live_counts_from_when_a_scheduled_message_becomes_active(store: Store) -> None:
    queue = make_queue(store, default_time_to_live=3.0)
    send(queue, scheduled_time=NOW + 5)
    queue.advance(NOW + 7.9)
    assert _count(queue) == 1
    queue.advance(NOW + 12)
    assert _count(queue) == 0


def test_a_locked_message_expires_only_when_it_is_given_back(store: Store) -> None:
    queue = make_queue(store, default_time_to_live=3.0)
    send(queue)
    lock = queue.lock_next(NOW)
    assert lock is not None
    queue.advance(NOW + 4)
    assert _count(queue) == 1
    queue.abandon(lock.token, NOW + 4)
    queue.advance(NOW + 4)
    assert _count(queue) == 0


@pytest.mark.parametrize(("to_dead_letters", "dead"), [(True, 1), (False, 0)])
def test_a_deferred_message_expires_when_it_is_asked_for(store: Store, to_dead_letters: bool, dead: int) -> None:
    queue = make_queue(store, default_time_to_live=3.0, dead_letter_expired=to_dead_letters)
    number = _defer_one(queue)
    queue.advance(NOW + 1000)
    assert _count(queue) == 1
    with pytest.raises(MessageNotFoundError):
        queue.lock_deferred([number], NOW + 1000)
    assert queue.dead_letters is not None
    assert (_count(queue), _count(queue.dead_letters)) == (0, dead)


def test_an_expired_deferred_message_is_not_taken(store: Store) -> None:
    queue = make_queue(store, default_time_to_live=3.0)
    number = _defer_one(queue)
    with pytest.raises(MessageNotFoundError):
        queue.take_deferred([number], NOW + 3)
    assert _count(queue) == 0


def test_deferring_the_last_delivery_makes_a_dead_letter(store: Store) -> None:
    queue = make_queue(store, max_delivery_count=1)
    number = _defer_one(queue)
    with pytest.raises(MessageNotFoundError):
        queue.lock_deferred([number], NOW)
    assert queue.dead_letters is not None
    [dead] = queue.dead_letters.peek(0, 10)
    assert b"MaxDeliveryCountExceeded" in dead.content


def _defer_one(queue: Queue) -> int:
    number = send(queue)
    lock = queue.lock_next(NOW)
    assert lock is not None
    queue.defer(lock.token, NOW)
    return number


def test_a_locked_deferred_message_returns_to_the_deferred_ones(store: Store) -> None:
    queue = make_queue(store)
    number = _defer_one(queue)
    queue.lock_deferred([number], NOW)
    with pytest.raises(MessageNotFoundError):
        queue.lock_deferred([number], NOW)
    queue.advance(NOW + 10)
    assert queue.lock_next(NOW + 10) is None
    assert queue.take_deferred([number], NOW + 10)[0].delivery_count == 2


def test_cancelling_is_all_or_nothing(store: Store) -> None:
    queue = make_queue(store)
    scheduled, sent = send(queue, scheduled_time=NOW + 5), send(queue)
    with pytest.raises(MessageNotFoundError):
        queue.cancel_scheduled([scheduled, sent])
    assert _count(queue) == 2


def test_a_duplicate_is_answered_with_the_first_one_s_number(store: Store) -> None:
    queue = make_queue(store, duplicate_detection_window=60.0)
    first = send(queue, message_id="same")
    assert send(queue, now=NOW + 59, message_id="same") == first
    assert send(queue, now=NOW + 60, message_id="same") != first
    assert _count(queue) == 2


def test_only_one_broker_can_use_the_same_data(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)), pytest.raises(StoreError, match="is another broker running on this data"):
        Store.open(tmp_path)
    Store.open(tmp_path).close()


class Histories(RuleBasedStateMachine):
    """Any history leaves memory and store in agreement, and no message lost, doubled or in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.store = Store.in_memory()
        self.queue = self.opened()
        self.tokens: list[uuid.UUID] = []
        self.sent = self.settled = 0

    def opened(self) -> Queue:
        return make_queue(self.store, self.now, dead_letter_expired=True)

    @rule(delay=st.sampled_from([None, 2.0]), ttl=st.sampled_from([None, 4.0]))
    def send(self, delay: float | None, ttl: float | None) -> None:
        moment = None if delay is None else self.now + delay
        send(self.queue, self.now, scheduled_time=moment, time_to_live=ttl)
        self.sent += 1

    @rule()
    def receive(self) -> None:
        lock = self.queue.lock_next(self.now)
        if lock is not None:
            self.tokens.append(lock.token)

    @rule()
    def receive_deferred(self) -> None:
        for found in self.queue.peek(0, 100):
            if found.state is State.DEFERRED:
                try:
                    self.tokens += [lock.token for lock in self.queue.lock_deferred([found.sequence_number], self.now)]
                except MessageNotFoundError:
                    continue

    @precondition(lambda self: self.tokens)
    @rule(how=st.sampled_from(["complete", "abandon", "release", "defer", "dead_letter", "renew"]), data=st.data())
    def settle(self, how: str, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(self.tokens))
        extra = ("reason", None) if how == "dead_letter" else ()
        try:
            getattr(self.queue, how)(token, *extra, self.now)
        except MessageLockLostError:
            return
        self.settled += how == "complete"

    @rule(seconds=st.sampled_from([0.5, 3.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.queue.advance(self.now)

    @rule()
    def restart(self) -> None:
        self.store.commit()
        self.queue = self.opened()

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        assert self.queue.dead_letters is not None
        assert _count(self.queue) + _count(self.queue.dead_letters) + self.settled == self.sent

    @invariant()
    def memory_and_store_agree(self) -> None:
        self.store.commit()
        for queue in (self.queue, self.queue.dead_letters):
            assert queue is not None
            stored = [(m.sequence_number, m.state, m.delivery_count) for m in self.store.messages(queue.name)]
            assert stored == [(m.sequence_number, m.state, m.delivery_count) for m in queue.peek(0, 10_000)]

    def teardown(self) -> None:
        self.store.close()


Histories.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestHistories = Histories.TestCase
