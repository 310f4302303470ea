"""Sending and receiving: what the unmodified SDK gets out of a queue is what it put in."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiveMode
from azure.servicebus.aio import ServiceBusClient as AsyncServiceBusClient
from azure.servicebus.exceptions import MessageSizeExceededError, MessagingEntityNotFoundError, ServiceBusError

from localcloud.testing.broker import LONGEST_WAIT, BrokerProcess

from .conftest import Bus, Line, bodies, number_of, receive

MEGABYTE = 1024 * 1024
STANDARD = 256 * 1024


@pytest.fixture
def client(bus: Bus) -> ServiceBusClient:
    return bus.client


def test_a_message_arrives_with_all_that_its_sender_wrote(line: Line) -> None:
    sent = ServiceBusMessage(
        b"body",
        message_id="m-1",
        subject="subject",
        correlation_id="c-1",
        content_type="application/json",
        reply_to="elsewhere",
        to="somewhere",
        application_properties={"whole": 7, "text": "seven", "real": 7.5, "yes": True},
    )
    line.sender.send_messages(sent)
    [message] = line.receive()
    assert b"".join(message.body) == b"body"
    assert (message.message_id, message.subject, message.correlation_id) == ("m-1", "subject", "c-1")
    assert (message.content_type, message.reply_to, message.to) == ("application/json", "elsewhere", "somewhere")
    assert message.application_properties == {b"whole": 7, b"text": b"seven", b"real": 7.5, b"yes": True}


def test_the_broker_says_when_and_how_a_message_was_delivered(line: Line) -> None:
    line.send("one", "two")
    first, second = line.receive(2)
    now = datetime.now(UTC)
    assert number_of(second) == number_of(first) + 1
    assert first.delivery_count == 0
    assert first.enqueued_time_utc is not None
    assert abs(first.enqueued_time_utc - now) < timedelta(seconds=60)
    assert first.locked_until_utc is not None
    assert timedelta(seconds=10) < first.locked_until_utc - now <= timedelta(seconds=60)
    assert first.lock_token != second.lock_token
    assert first.raw_amqp_message.delivery_annotations == {b"x-opt-lock-token": first.lock_token}


def test_a_message_without_an_id_gets_one(line: Line) -> None:
    line.send("a")
    line.send("b", subject="s")
    first, second = line.receive(2)
    assert first.message_id
    assert second.message_id
    assert first.message_id != second.message_id
    assert second.subject == "s"


def test_batches_arrive_in_order(line: Line) -> None:
    batch = line.sender.create_message_batch()
    for number in range(50):
        batch.add_message(ServiceBusMessage(f"m{number}"))
    line.sender.send_messages(batch)
    single = line.sender.create_message_batch()
    single.add_message(ServiceBusMessage("last"))
    line.sender.send_messages(single)
    receiver = line.bus.receiver(line.queue, prefetch_count=20)
    assert bodies(receive(receiver, 51)) == [*(f"m{number}" for number in range(50)), "last"]


def test_a_megabyte_goes_through_where_the_queue_allows_it_and_comes_out_whole(bus: Bus) -> None:
    line = bus.line("large")
    body = bytes(range(256)) * ((MEGABYTE - 1024) // 256)
    line.sender.send_messages(ServiceBusMessage(body))
    [message] = line.receive()
    assert b"".join(message.body) == body
    line.receiver.complete_message(message)
    assert line.peek() == []


def test_256_kb_are_the_most_unless_the_queue_says_otherwise(line: Line) -> None:
    almost = b"x" * (STANDARD - 1024)
    line.sender.send_messages(ServiceBusMessage(almost))
    assert b"".join(line.receive()[0].body) == almost
    assert line.sender.create_message_batch().max_size_in_bytes == STANDARD


@pytest.mark.parametrize(("kind", "most"), [("plain", STANDARD), ("large", MEGABYTE)])
def test_more_than_the_most_is_refused_and_the_sender_goes_on(kind: str, most: int, bus: Bus) -> None:
    line = bus.line(kind)
    with pytest.raises(MessageSizeExceededError):
        line.sender.send_messages(ServiceBusMessage(b"x" * (most + 1)))
    line.send("small")
    assert bodies(line.receive()) == ["small"]


def test_more_than_the_most_cannot_be_scheduled_and_the_sender_goes_on(line: Line) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=1)
    halves = [ServiceBusMessage(b"x" * (STANDARD // 2)) for _ in range(2)]
    for too_much in (ServiceBusMessage(b"x" * (STANDARD + 1)), halves):
        with pytest.raises(MessageSizeExceededError):
            line.sender.schedule_messages(too_much, soon)
    line.sender.schedule_messages(ServiceBusMessage("small"), soon)
    assert bodies(line.peek()) == ["small"]


def test_receive_and_delete_takes_messages_for_good(line: Line) -> None:
    line.send("a", "b", "c")
    receiver = line.bus.receiver(line.queue, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE)
    assert bodies(receive(receiver, 3)) == ["a", "b", "c"]
    assert line.peek() == []


def test_peeking_goes_on_from_where_it_was_and_locks_nothing(line: Line) -> None:
    line.send("a", "b", "c", "d", "e")
    assert bodies(line.receiver.peek_messages(3)) == ["a", "b", "c"]
    assert bodies(line.receiver.peek_messages(3)) == ["d", "e"]
    assert line.receiver.peek_messages(3) == []
    assert bodies(line.receive(5)) == ["a", "b", "c", "d", "e"]


def test_a_closing_receiver_gives_back_what_it_prefetched(line: Line) -> None:
    line.send(*(f"m{number}" for number in range(30)))
    with line.bus.client.get_queue_receiver(line.queue, prefetch_count=30) as receiver:
        receiver.complete_message(receive(receiver)[0])
    rest = line.receive(29)
    assert bodies(rest) == [f"m{number}" for number in range(1, 30)]
    assert {message.delivery_count for message in rest} == {0}


def test_two_receivers_share_the_messages_and_none_comes_twice(line: Line) -> None:
    other = line.bus.receiver(line.queue)
    line.send(*(f"m{number}" for number in range(20)))
    received = bodies(line.receive(10)) + bodies(receive(other, 10))
    assert sorted(received) == sorted(f"m{number}" for number in range(20))


def test_a_waiting_receiver_is_woken_at_once(line: Line) -> None:
    took = []
    for _ in range(10):
        waiting = line.bus.run(line.receive)
        started = time.monotonic()
        line.send("now")
        [message] = waiting.result(LONGEST_WAIT)
        took.append(time.monotonic() - started)
        line.receiver.complete_message(message)
    # One or two milliseconds, if the machine is not busy just then. A poll of the broker's would take longer.
    assert min(took) < 0.1


def test_queue_names_ignore_case(line: Line) -> None:
    line.bus.sender(line.queue.upper()).send_messages(ServiceBusMessage("a"))
    assert bodies(line.receive()) == ["a"]


def test_an_unknown_queue_is_not_found_by_senders_and_receivers(client: ServiceBusClient) -> None:
    left_out = r"The messaging entity '.*nowhere' could not be found\. .*queues with forwarding, are left out"
    with pytest.raises(MessagingEntityNotFoundError, match=left_out), client.get_queue_sender("nowhere") as sender:
        sender.send_messages(ServiceBusMessage("a"))
    with pytest.raises(MessagingEntityNotFoundError), client.get_queue_receiver("nowhere") as receiver:
        receiver.receive_messages(max_wait_time=1)


def test_a_session_receiver_is_refused(line: Line, client: ServiceBusClient) -> None:
    with (
        pytest.raises(ServiceBusError, match="no sessions"),
        client.get_queue_receiver(line.queue, session_id="s") as receiver,
    ):
        receiver.receive_messages(max_wait_time=1)


def test_nobody_can_send_to_a_dead_letter_queue(line: Line, client: ServiceBusClient) -> None:
    with (
        pytest.raises(ServiceBusError, match="dead letters only"),
        client.get_queue_sender(f"{line.queue}/$DeadLetterQueue") as sender,
    ):
        sender.send_messages(ServiceBusMessage("a"))


def test_a_message_id_seen_within_the_window_is_dropped(bus: Bus) -> None:
    line = bus.line("unique")
    line.send("first", message_id="same")
    line.receiver.complete_message(line.receive()[0])
    line.send("again", message_id="same")
    line.send("new", message_id="other")
    assert bodies(line.receive()) == ["new"]
    assert bodies(line.peek()) == ["new"]


def test_a_message_id_is_free_again_after_the_window(bus: Bus) -> None:
    line = bus.line("short-window")
    line.send("first", message_id="same")
    deadline = time.monotonic() + LONGEST_WAIT
    while len(line.peek()) < 2:
        assert time.monotonic() < deadline
        line.send("again", message_id="same")
    assert bodies(line.receive(2)) == ["first", "again"]


async def test_the_async_client_sends_receives_and_settles(broker: BrokerProcess, line: Line) -> None:
    async with AsyncServiceBusClient.from_connection_string(broker.connection_string) as client:
        async with client.get_queue_sender(line.queue) as sender:
            await sender.send_messages([ServiceBusMessage(f"m{number}") for number in range(5)])
        received = []
        async with client.get_queue_receiver(line.queue, max_wait_time=LONGEST_WAIT) as receiver:
            async for message in receiver:
                received.append(str(message))
                if len(received) == 1:
                    await receiver.abandon_message(message)
                else:
                    await receiver.complete_message(message)
                if len(received) == 6:
                    break
    assert received == ["m0", "m0", "m1", "m2", "m3", "m4"]
    assert line.peek() == []


def test_azures_largest_time_to_live_is_none(bus: Bus) -> None:
    line = bus.line("endless")
    line.send("for ever")
    [message] = line.receive()
    assert message.time_to_live is None
    assert message.expires_at_utc is None
