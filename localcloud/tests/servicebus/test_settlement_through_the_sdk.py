"""What becomes of a received message: complete, abandon, defer, dead-letter, or its lock or time running out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusMessageState, ServiceBusReceivedMessage, ServiceBusReceiveMode
from azure.servicebus.exceptions import MessageLockLostError, MessageNotFoundError, ServiceBusError

from localcloud.testing.broker import await_that

from .conftest import Bus, Line, bodies, number_of, receive


@pytest.fixture
def short(bus: Bus) -> Line:
    """Locks last half a second, and three deliveries are the most."""
    return bus.line("short-lock")


def test_a_completed_message_is_gone(line: Line) -> None:
    line.send("a")
    line.receiver.complete_message(line.receive()[0])
    assert line.peek() == []


def test_an_abandoned_message_is_delivered_again_with_a_higher_delivery_count(line: Line) -> None:
    line.send("a", "b")
    [message] = line.receive()
    line.receiver.abandon_message(message)
    [again] = line.receive()
    assert (str(again), again.delivery_count, again.sequence_number) == ("a", 1, message.sequence_number)


def test_a_message_delivered_too_often_becomes_a_dead_letter(short: Line) -> None:
    short.send("poison", message_id="m-1", application_properties={"kept": "yes"})
    for deliveries in range(3):
        [message] = short.receive()
        assert message.delivery_count == deliveries
        short.receiver.abandon_message(message)
    dead_letters = short.dead_letters()
    [dead] = receive(dead_letters)
    assert (str(dead), dead.message_id, dead.delivery_count) == ("poison", "m-1", 3)
    assert dead.dead_letter_reason == "MaxDeliveryCountExceeded"
    assert dead.dead_letter_error_description == "Message could not be consumed after 3 delivery attempts."
    assert dead.dead_letter_source == short.queue
    assert dead.application_properties is not None
    assert dead.application_properties[b"kept"] == b"yes"
    dead_letters.complete_message(dead)
    assert dead_letters.peek_messages(1, sequence_number=1) == []


def test_a_dead_lettered_message_says_why(line: Line) -> None:
    line.send("bad")
    line.receiver.dead_letter_message(line.receive()[0], reason="because", error_description="in detail")
    assert line.peek() == []
    [dead] = receive(line.dead_letters())
    assert (str(dead), dead.dead_letter_reason) == ("bad", "because")
    assert dead.dead_letter_error_description == "in detail"


def test_a_dead_letter_stays_where_it_is_however_often_it_is_abandoned(short: Line) -> None:
    short.send("bad")
    short.receiver.dead_letter_message(short.receive()[0])
    dead_letters = short.dead_letters()
    for deliveries in range(5):
        [dead] = receive(dead_letters)
        assert dead.delivery_count == deliveries
        dead_letters.abandon_message(dead)


def test_a_dead_letter_cannot_be_dead_lettered_again_and_is_not_lost(line: Line) -> None:
    line.send("bad")
    line.receiver.dead_letter_message(line.receive()[0])
    dead_letters = line.dead_letters()
    [dead] = receive(dead_letters)
    with pytest.raises(ServiceBusError):
        dead_letters.dead_letter_message(dead)
    assert bodies(dead_letters.peek_messages(1, sequence_number=1)) == ["bad"]


def test_a_lock_that_runs_out_gives_the_message_to_the_next(short: Line) -> None:
    short.send("a")
    [message] = short.receive()
    [again] = short.receive()
    assert again.delivery_count == 1
    assert again.lock_token != message.lock_token
    with pytest.raises(MessageLockLostError):
        short.receiver.complete_message(_with_trusted_lock(message))
    short.receiver.complete_message(again)
    assert short.peek() == []


def test_a_renewed_lock_holds_beyond_its_first_end(short: Line) -> None:
    short.send("a")
    [message] = short.receive()
    first_end = message.locked_until_utc
    assert first_end is not None
    while datetime.now(UTC) < first_end + timedelta(seconds=0.2):
        renewed = short.receiver.renew_message_lock(message)
        assert renewed > datetime.now(UTC)
    short.receiver.complete_message(message)
    assert short.peek() == []


def test_a_message_can_be_completed_after_its_link_is_gone(line: Line) -> None:
    line.send("a")
    [message] = line.receive()
    link: Any = line.receiver._handler._link
    link.detach()
    line.receiver.complete_message(message)
    assert line.peek() == []


def test_a_lost_lock_cannot_be_renewed(short: Line) -> None:
    short.send("a")
    [message] = short.receive()
    short.receive()
    with pytest.raises(MessageLockLostError):
        short.receiver.renew_message_lock(_with_trusted_lock(message))


def test_a_deferred_message_comes_only_by_its_sequence_number(line: Line) -> None:
    line.send("later", "next")
    [message] = line.receive()
    number = number_of(message)
    line.receiver.defer_message(message)
    assert bodies(line.receive()) == ["next"]
    assert line.peek()[0].state is ServiceBusMessageState.DEFERRED
    [deferred] = line.receiver.receive_deferred_messages(number)
    assert str(deferred) == "later"
    line.receiver.abandon_message(deferred)
    [deferred] = line.receiver.receive_deferred_messages(number)
    line.receiver.complete_message(deferred)
    with pytest.raises(MessageNotFoundError):
        line.receiver.receive_deferred_messages(number, timeout=1)


def test_a_deferred_message_can_be_received_and_deleted(line: Line) -> None:
    line.send("later")
    [message] = line.receive()
    line.receiver.defer_message(message)
    receiver = line.bus.receiver(line.queue, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE)
    assert bodies(receiver.receive_deferred_messages(number_of(message))) == ["later"]
    assert line.peek() == []


def test_a_sequence_number_given_twice_counts_once(line: Line) -> None:
    line.send("later")
    [message] = line.receive()
    line.receiver.defer_message(message)
    number = number_of(message)
    assert bodies(line.receiver.receive_deferred_messages([number, number])) == ["later"]
    [scheduled] = line.sender.schedule_messages(ServiceBusMessage("never"), datetime.now(UTC) + timedelta(hours=1))
    line.sender.cancel_scheduled_messages([scheduled, scheduled])
    assert bodies(line.peek()) == ["later"]


def test_a_deferred_message_can_be_dead_lettered(line: Line) -> None:
    line.send("later")
    [message] = line.receive()
    line.receiver.defer_message(message)
    [deferred] = line.receiver.receive_deferred_messages(number_of(message))
    line.receiver.dead_letter_message(deferred, reason="in the end")
    [dead] = receive(line.dead_letters())
    assert dead.dead_letter_reason == "in the end"


def test_an_expired_message_is_dropped(bus: Bus) -> None:
    line = bus.line("expiring")
    line.send("a")
    assert bodies(line.peek()) == ["a"]
    await_that(lambda: line.peek() == [])
    assert line.dead_letters().peek_messages(1) == []


def test_an_expired_message_becomes_a_dead_letter_if_the_queue_says_so(bus: Bus) -> None:
    line = bus.line("expiring-to-dead-letters")
    line.send("a")
    [dead] = receive(line.dead_letters())
    assert (str(dead), dead.dead_letter_reason) == ("a", "TTLExpiredException")
    assert dead.dead_letter_error_description == "The message expired and was dead lettered."
    assert line.peek() == []


def test_a_message_expires_after_its_own_time_to_live(line: Line) -> None:
    line.send("short", time_to_live=timedelta(seconds=0.2))
    line.send("long", time_to_live=timedelta(hours=1))
    await_that(lambda: bodies(line.peek()) == ["long"])
    assert line.receive()[0].time_to_live == timedelta(hours=1)


def test_a_queue_shortens_longer_times_to_live_to_its_own(bus: Bus) -> None:
    line = bus.line("expiring")
    line.send("a", time_to_live=timedelta(hours=1))
    await_that(lambda: line.peek() == [])


def test_a_locked_message_does_not_expire(bus: Bus) -> None:
    line = bus.line("expiring")
    line.send("first")
    [message] = line.receive()
    line.send("second")
    await_that(lambda: bodies(line.peek()) == ["first"])
    line.receiver.abandon_message(message)
    await_that(lambda: line.peek() == [])


def test_scheduled_messages_come_at_their_time_unless_cancelled(line: Line) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=0.5)
    messages = [ServiceBusMessage("kept"), ServiceBusMessage("cancelled")]
    kept, cancelled = line.sender.schedule_messages(messages, moment)
    line.sender.send_messages(ServiceBusMessage("sent", scheduled_enqueue_time_utc=moment))
    line.sender.cancel_scheduled_messages(cancelled)
    waiting = line.peek()
    assert bodies(waiting) == ["kept", "sent"]
    assert {message.state for message in waiting} == {ServiceBusMessageState.SCHEDULED}
    received = line.receive(2)
    late = datetime.now(UTC) - moment
    assert bodies(received) == ["kept", "sent"]
    assert timedelta(0) <= late < timedelta(seconds=0.25)
    assert number_of(received[0]) > kept  # a scheduled message's number ends with its waiting


def test_cancelling_what_is_not_scheduled_is_an_error(line: Line) -> None:
    line.send("a")
    with pytest.raises(MessageNotFoundError):
        line.sender.cancel_scheduled_messages(number_of(line.peek()[0]), timeout=1)
    assert bodies(line.peek()) == ["a"]


def _with_trusted_lock(message: ServiceBusReceivedMessage) -> ServiceBusReceivedMessage:
    """Keeps the SDK from judging by its own clock, so that the broker has to."""
    message._expiry = datetime.now(UTC) + timedelta(minutes=1)
    return message
