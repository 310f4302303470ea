"""Sending and receiving: what the unmodified SDK gets out of a queue is what it put in."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiveMode
from azure.servicebus.exceptions import MessageSizeExceededError, MessagingEntityNotFoundError, ServiceBusError

from .conftest import bodies, is_empty, receive

MEGABYTE = 1024 * 1024


def test_a_message_arrives_with_all_that_its_sender_wrote(client: ServiceBusClient, queue: str) -> None:
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
    with client.get_queue_sender(queue) as sender, client.get_queue_receiver(queue) as receiver:
        sender.send_messages(sent)
        [message] = receive(receiver)
        assert b"".join(message.body) == b"body"
        assert (message.message_id, message.subject, message.correlation_id) == ("m-1", "subject", "c-1")
        assert (message.content_type, message.reply_to, message.to) == ("application/json", "elsewhere", "somewhere")
        assert message.application_properties == {b"whole": 7, b"text": b"seven", b"real": 7.5, b"yes": True}
        receiver.complete_message(message)


def test_the_broker_says_when_and_how_a_message_was_delivered(client: ServiceBusClient, queue: str) -> None:
    with client.get_queue_sender(queue) as sender, client.get_queue_receiver(queue) as receiver:
        sender.send_messages([ServiceBusMessage("one"), ServiceBusMessage("two")])
        first, second = receive(receiver, 2)
        now = datetime.now(UTC)
        assert second.sequence_number == first.sequence_number + 1
        assert first.delivery_count == 0
        assert first.enqueued_time_utc is not None
        assert abs(first.enqueued_time_utc - now) < timedelta(seconds=5)
        assert first.locked_until_utc is not None
        assert timedelta(seconds=50) < first.locked_until_utc - now <= timedelta(seconds=60)
        assert first.lock_token != second.lock_token


def test_a_message_without_an_id_gets_one(client: ServiceBusClient, queue: str) -> None:
    with client.get_queue_sender(queue) as sender, client.get_queue_receiver(queue) as receiver:
        sender.send_messages([ServiceBusMessage("a"), ServiceBusMessage("b", subject="s")])
        first, second = receive(receiver, 2)
        assert first.message_id
        assert second.message_id
        assert first.message_id != second.message_id
        assert second.subject == "s"


def test_batches_arrive_in_order(client: ServiceBusClient, queue: str) -> None:
    with client.get_queue_sender(queue) as sender, client.get_queue_receiver(queue, prefetch_count=20) as receiver:
        batch = sender.create_message_batch()
        for number in range(50):
            batch.add_message(ServiceBusMessage(f"m{number}"))
        sender.send_messages(batch)
        single = sender.create_message_batch()
        single.add_message(ServiceBusMessage("last"))
        sender.send_messages(single)
        assert bodies(receive(receiver, 51)) == [*(f"m{number}" for number in range(50)), "last"]


def test_a_megabyte_goes_through_and_comes_out_whole(client: ServiceBusClient, queue: str) -> None:
    body = bytes(range(256)) * ((MEGABYTE - 1024) // 256)
    with client.get_queue_sender(queue) as sender, client.get_queue_receiver(queue) as receiver:
        sender.send_messages(ServiceBusMessage(body))
        [message] = receive(receiver)
        assert b"".join(message.body) == body
        receiver.complete_message(message)
    assert is_empty(client, queue)


def test_more_than_a_megabyte_is_refused_and_the_sender_goes_on(client: ServiceBusClient, queue: str) -> None:
    with client.get_queue_sender(queue) as sender, client.get_queue_receiver(queue) as receiver:
        with pytest.raises(MessageSizeExceededError):
            sender.send_messages(ServiceBusMessage(b"x" * (MEGABYTE + 1)))
        sender.send_messages(ServiceBusMessage("small"))
        assert bodies(receive(receiver)) == ["small"]


def test_receive_and_delete_takes_messages_for_good(client: ServiceBusClient, queue: str) -> None:
    with client.get_queue_sender(queue) as sender:
        sender.send_messages([ServiceBusMessage(f"m{number}") for number in range(5)])
    with client.get_queue_receiver(queue, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE) as receiver:
        assert bodies(receive(receiver, 5)) == [f"m{number}" for number in range(5)]
    assert is_empty(client, queue)


def test_peeking_goes_on_from_where_it_was_and_locks_nothing(client: ServiceBusClient, queue: str) -> None:
    with client.get_queue_sender(queue) as sender, client.get_queue_receiver(queue) as receiver:
        sender.send_messages([ServiceBusMessage(f"m{number}") for number in range(5)])
        assert bodies(receiver.peek_messages(3)) == ["m0", "m1", "m2"]
        assert bodies(receiver.peek_messages(3)) == ["m3", "m4"]
        assert receiver.peek_messages(3) == []
        assert bodies(receive(receiver, 5)) == [f"m{number}" for number in range(5)]


def test_a_closing_receiver_gives_back_what_it_prefetched(client: ServiceBusClient, queue: str) -> None:
    with client.get_queue_sender(queue) as sender:
        sender.send_messages([ServiceBusMessage(f"m{number}") for number in range(30)])
    with client.get_queue_receiver(queue, prefetch_count=30) as receiver:
        receiver.complete_message(receive(receiver)[0])
    with client.get_queue_receiver(queue) as receiver:
        rest = receive(receiver, 29)
        assert bodies(rest) == [f"m{number}" for number in range(1, 30)]
        assert {message.delivery_count for message in rest} == {0}


def test_two_receivers_share_the_messages_and_none_comes_twice(client: ServiceBusClient, queue: str) -> None:
    with (
        client.get_queue_receiver(queue) as one,
        client.get_queue_receiver(queue) as other,
        client.get_queue_sender(queue) as sender,
    ):
        sender.send_messages([ServiceBusMessage(f"m{number}") for number in range(20)])
        received = bodies(receive(one, 10)) + bodies(receive(other, 10))
        assert sorted(received) == sorted(f"m{number}" for number in range(20))


def test_queue_names_ignore_case(client: ServiceBusClient, queue: str) -> None:
    with client.get_queue_sender(queue.upper()) as sender, client.get_queue_receiver(queue) as receiver:
        sender.send_messages(ServiceBusMessage("a"))
        assert bodies(receive(receiver)) == ["a"]


def test_an_unknown_queue_is_not_found_by_senders_and_receivers(client: ServiceBusClient) -> None:
    with pytest.raises(MessagingEntityNotFoundError), client.get_queue_sender("nowhere") as sender:
        sender.send_messages(ServiceBusMessage("a"))
    with pytest.raises(MessagingEntityNotFoundError), client.get_queue_receiver("nowhere") as receiver:
        receiver.receive_messages(max_wait_time=1)


def test_a_session_receiver_is_refused(client: ServiceBusClient, queue: str) -> None:
    with (
        pytest.raises(ServiceBusError, match="no sessions"),
        client.get_queue_receiver(queue, session_id="s") as receiver,
    ):
        receiver.receive_messages(max_wait_time=1)


def test_nobody_can_send_to_a_dead_letter_queue(client: ServiceBusClient, queue: str) -> None:
    with (
        pytest.raises(ServiceBusError, match="dead letters only"),
        client.get_queue_sender(f"{queue}/$DeadLetterQueue") as sender,
    ):
        sender.send_messages(ServiceBusMessage("a"))


def test_a_message_id_seen_within_the_window_is_dropped(
    client: ServiceBusClient, fresh_queue: Callable[[str], str]
) -> None:
    queue = fresh_queue("unique")
    with client.get_queue_sender(queue) as sender, client.get_queue_receiver(queue) as receiver:
        sender.send_messages(ServiceBusMessage("first", message_id="same"))
        receiver.complete_message(receive(receiver)[0])
        sender.send_messages([ServiceBusMessage("again", message_id="same"), ServiceBusMessage("new", message_id="other")])
        assert bodies(receive(receiver)) == ["new"]
        assert bodies(receiver.peek_messages(5, sequence_number=1)) == ["new"]
