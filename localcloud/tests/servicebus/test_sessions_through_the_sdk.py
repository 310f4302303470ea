"""Sessions: what the unmodified SDK finds in a queue that requires them."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.servicebus import (
    NEXT_AVAILABLE_SESSION,
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceiveMode,
    ServiceBusReceiver,
    ServiceBusSubQueue,
)
from azure.servicebus.exceptions import (
    OperationTimeoutError,
    ServiceBusError,
    SessionCannotBeLockedError,
    SessionLockLostError,
)

from localcloud.testing.broker import LONGEST_WAIT, BrokerProcess

from .conftest import Bus, bodies, number_of, receive


class Sessions:
    """A queue of its own, and receivers that are closed after the test."""

    def __init__(self, client: ServiceBusClient, queue: str, stack: ExitStack) -> None:
        self.client = client
        self.queue = queue
        self._stack = stack
        self.sender = stack.enter_context(client.get_queue_sender(queue))

    def send(self, session_id: str, *texts: str) -> None:
        self.sender.send_messages([ServiceBusMessage(text, session_id=session_id) for text in texts])

    def receiver(self, session_id: Any, **options: Any) -> ServiceBusReceiver:
        return self._stack.enter_context(self.client.get_queue_receiver(self.queue, session_id=session_id, **options))


@pytest.fixture
def client(broker: BrokerProcess) -> Iterator[ServiceBusClient]:
    with ServiceBusClient.from_connection_string(broker.connection_string, retry_total=0) as client:
        yield client


@pytest.fixture
def sessions(bus: Bus, client: ServiceBusClient) -> Iterator[Sessions]:
    with ExitStack() as stack:
        yield Sessions(client, bus.queue("sessions"), stack)


@pytest.fixture
def short_sessions(bus: Bus, client: ServiceBusClient) -> Iterator[Sessions]:
    """Locks of half a second."""
    with ExitStack() as stack:
        yield Sessions(client, bus.queue("short-sessions"), stack)


def test_a_receiver_gets_the_messages_of_its_session_alone_and_in_order(sessions: Sessions) -> None:
    for number in range(3):
        sessions.send("a", f"a{number}")
        sessions.send("b", f"b{number}")
    in_a, in_b = sessions.receiver("a"), sessions.receiver("b")
    received = receive(in_b, 3)
    assert bodies(received) == ["b0", "b1", "b2"]
    assert {message.session_id for message in received} == {"b"}
    assert bodies(receive(in_a, 3)) == ["a0", "a1", "a2"]
    for message in received:
        in_b.complete_message(message)
    assert bodies(in_b.peek_messages(10, sequence_number=1)) == []
    assert bodies(in_a.peek_messages(10, sequence_number=1)) == ["a0", "a1", "a2"]


def test_a_waiting_receiver_gets_what_is_sent_to_its_session(bus: Bus, sessions: Sessions) -> None:
    in_a, in_b = sessions.receiver("a"), sessions.receiver("b")
    waiting = bus.run(lambda: in_b.receive_messages(max_wait_time=LONGEST_WAIT))
    sessions.send("a", "not this")
    sessions.send("b", "this")
    assert bodies(waiting.result(LONGEST_WAIT)) == ["this"]
    assert bodies(receive(in_a)) == ["not this"]


def test_an_abandoned_message_is_delivered_again_before_those_behind_it(sessions: Sessions) -> None:
    sessions.send("a", "first", "second")
    receiver = sessions.receiver("a")
    [first] = receive(receiver)
    receiver.abandon_message(first)
    again = receive(receiver, 2)
    assert bodies(again) == ["first", "second"]
    assert [message.delivery_count for message in again] == [1, 0]


def test_a_session_that_is_held_cannot_be_locked(sessions: Sessions) -> None:
    sessions.receiver("a")
    with pytest.raises(SessionCannotBeLockedError, match="another receiver holds the session 'a'"):
        sessions.receiver("a")


def test_a_closed_receiver_frees_its_session_and_its_messages_uncounted(sessions: Sessions) -> None:
    sessions.send("a", "first", "second")
    with sessions.client.get_queue_receiver(sessions.queue, session_id="a") as receiver:
        assert bodies(receive(receiver, 2)) == ["first", "second"]
    again = receive(sessions.receiver("a"), 2)
    assert bodies(again) == ["first", "second"]
    assert [message.delivery_count for message in again] == [0, 0]


def test_the_next_available_session_is_the_free_one_with_the_oldest_message(sessions: Sessions) -> None:
    for session_id in "abc":
        sessions.send(session_id, session_id)
    sessions.receiver("a")
    receiver = sessions.receiver(NEXT_AVAILABLE_SESSION)
    assert receiver.session.session_id == "b"
    assert bodies(receive(receiver)) == ["b"]
    assert sessions.receiver(NEXT_AVAILABLE_SESSION).session.session_id == "c"


def test_a_receiver_waits_for_a_session_with_messages(bus: Bus, sessions: Sessions) -> None:
    waiting = bus.run(lambda: sessions.receiver(NEXT_AVAILABLE_SESSION, max_wait_time=LONGEST_WAIT))
    sessions.send("late", "now")
    assert bodies(receive(waiting.result(LONGEST_WAIT))) == ["now"]


def test_a_receiver_that_waited_in_vain_is_told_so(sessions: Sessions) -> None:
    began = time.monotonic()
    with pytest.raises(OperationTimeoutError):
        sessions.receiver(NEXT_AVAILABLE_SESSION, max_wait_time=1)
    assert time.monotonic() - began < 60, "without a time, it would wait for 60 seconds and more"


def test_a_session_keeps_a_state_across_receivers(sessions: Sessions) -> None:
    with sessions.client.get_queue_receiver(sessions.queue, session_id="a") as receiver:
        assert receiver.session.get_state() is None
        receiver.session.set_state("half done")
    receiver = sessions.receiver("a")
    assert receiver.session.get_state() == b"half done"
    receiver.session.set_state(None)
    assert receiver.session.get_state() is None


def test_sessions_with_messages_or_a_state_are_listed(sessions: Sessions) -> None:
    sessions.send("a", "message")
    sessions.receiver("b").session.set_state("state")
    sessions.receiver("c")
    assert list(sessions.client.list_queue_sessions(sessions.queue)) == ["a", "b"]
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    updated = sessions.client.list_queue_sessions(sessions.queue, state_updated_after=an_hour_ago)
    assert list(updated) == ["b"]


def test_a_renewed_lock_outlives_the_lock_duration(short_sessions: Sessions) -> None:
    short_sessions.send("a", "slow")
    receiver = short_sessions.receiver("a")
    [message] = receive(receiver)
    ends = receiver.session.locked_until_utc
    assert ends is not None
    while datetime.now(UTC) < ends + timedelta(seconds=0.5):
        time.sleep(0.05)
        renewed = receiver.session.renew_lock()
    assert renewed > ends + timedelta(seconds=0.5)
    receiver.complete_message(message)
    assert receiver.peek_messages(10, sequence_number=1) == []


def test_a_lock_that_is_not_renewed_is_lost_and_counts_as_a_delivery(short_sessions: Sessions) -> None:
    short_sessions.send("a", "slow")
    receiver = short_sessions.receiver("a")
    [message] = receive(receiver)
    successor = wait_for_session(short_sessions, "a")
    with pytest.raises(SessionLockLostError):
        receiver.complete_message(message)
    with pytest.raises(SessionLockLostError):
        receiver.session.get_state()
    [again] = receive(successor)
    assert again.delivery_count == 1


def wait_for_session(sessions: Sessions, session_id: str) -> ServiceBusReceiver:
    """A receiver as soon as the session is free."""
    deadline = time.monotonic() + LONGEST_WAIT
    while True:
        try:
            return sessions.receiver(session_id)
        except SessionCannotBeLockedError:
            assert time.monotonic() < deadline


def test_deferred_messages_are_received_in_their_session_alone(sessions: Sessions) -> None:
    sessions.send("a", "later")
    in_a, in_b = sessions.receiver("a"), sessions.receiver("b")
    [message] = receive(in_a)
    in_a.defer_message(message)
    with pytest.raises(ServiceBusError, match=r"the session 'b' .* has no message"):
        in_b.receive_deferred_messages(number_of(message))
    [deferred] = in_a.receive_deferred_messages(number_of(message))
    in_a.complete_message(deferred)
    assert in_a.peek_messages(10, sequence_number=1) == []


def test_dead_letters_of_a_session_are_received_without_one(sessions: Sessions) -> None:
    sessions.send("a", "bad")
    in_a = sessions.receiver("a")
    in_a.dead_letter_message(receive(in_a)[0], reason="it is bad")
    with sessions.client.get_queue_receiver(sessions.queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER) as dead_letters:
        [letter] = receive(dead_letters)
        assert (str(letter), letter.session_id, letter.dead_letter_reason) == ("bad", "a", "it is bad")


def test_received_messages_can_be_deleted_at_once(sessions: Sessions) -> None:
    sessions.send("a", "first", "second")
    receiver = sessions.receiver("a", receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE)
    assert bodies(receive(receiver, 2)) == ["first", "second"]
    assert receiver.peek_messages(10, sequence_number=1) == []


def test_a_scheduled_message_comes_in_its_session(sessions: Sessions) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    sessions.sender.schedule_messages(ServiceBusMessage("scheduled", session_id="a"), soon)
    assert bodies(receive(sessions.receiver("a"))) == ["scheduled"]


def test_a_receiver_without_a_session_is_refused(sessions: Sessions) -> None:
    with (
        pytest.raises(ServiceBusError, match="requires sessions; receive from one of them"),
        sessions.client.get_queue_receiver(sessions.queue) as receiver,
    ):
        receiver.receive_messages(max_wait_time=1)


def test_a_message_without_a_session_is_refused_with_all_that_were_sent_with_it(sessions: Sessions) -> None:
    messages = [ServiceBusMessage("with", session_id="a"), ServiceBusMessage("without")]
    with pytest.raises(ServiceBusError, match="requires sessions: set the session id of every message"):
        sessions.sender.send_messages(messages)
    with pytest.raises(ServiceBusError, match="requires sessions: set the session id of every message"):
        sessions.sender.schedule_messages(messages, datetime.now(UTC) + timedelta(hours=1))
    assert sessions.receiver("a").peek_messages(10, sequence_number=1) == []
