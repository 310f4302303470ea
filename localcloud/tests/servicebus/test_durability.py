"""What the broker acknowledged survives `kill -9`."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.exceptions import ServiceBusError

from localcloud.testing.broker import BrokerProcess, write_config

from .conftest import bodies, number_of, receive

Restart = Callable[[], BrokerProcess]

QUEUES: dict[str, dict[str, Any]] = {
    "orders": {"LockDuration": "PT1M"},
    "sessions": {"RequiresSession": True},
    "once": {"RequiresDuplicateDetection": True},
}


@pytest.fixture
def restarted(tmp_path: Path) -> Iterator[Restart]:
    """Kills the broker that runs on the test's data, if any, and starts the next."""
    config = write_config(tmp_path / "Config.json", QUEUES)
    running: list[BrokerProcess] = []

    def restart() -> BrokerProcess:
        while running:
            running.pop().kill()
        running.append(BrokerProcess(tmp_path, config))
        return running[0]

    yield restart
    for process in running:
        process.close()


def connect(broker: BrokerProcess) -> ServiceBusClient:
    return ServiceBusClient.from_connection_string(broker.connection_string, retry_total=0)


def test_messages_of_sessions_and_their_states_survive(restarted: Restart) -> None:
    with connect(restarted()) as client:
        client.get_queue_sender("sessions").send_messages([ServiceBusMessage(one, session_id=one) for one in "ab"])
        client.get_queue_receiver("sessions", session_id="b").session.set_state("kept")
        after_restart = restarted()
    with connect(after_restart) as client:
        receiver = client.get_queue_receiver("sessions", session_id="b")
        assert bodies(receive(receiver)) == ["b"]
        assert receiver.session.get_state() == b"kept"


def test_messages_in_every_state_survive(restarted: Restart) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    with connect(restarted()) as client:
        sender, receiver = client.get_queue_sender("orders"), client.get_queue_receiver("orders")
        sender.send_messages([ServiceBusMessage(body, application_properties={"n": 1}) for body in "abcdef"])
        sender.schedule_messages(ServiceBusMessage("scheduled"), soon)
        completed, abandoned, deferred, dead, _locked, _free = receive(receiver, 6)
        receiver.complete_message(completed)
        receiver.defer_message(deferred)
        receiver.dead_letter_message(dead, reason="bad")
        receiver.abandon_message(abandoned)
        after_restart = restarted()
    with connect(after_restart) as client:
        receiver = client.get_queue_receiver("orders")
        assert bodies(receiver.peek_messages(10)) == ["b", "c", "e", "f", "scheduled"]
        received = receive(receiver, 3)
        assert [(str(message), message.delivery_count) for message in received] == [("b", 1), ("e", 0), ("f", 0)]
        assert received[0].application_properties == {b"n": 1}
        assert bodies(receiver.receive_deferred_messages(number_of(deferred))) == ["c"]
        [buried] = receive(client.get_queue_receiver("orders", sub_queue=ServiceBusSubQueue.DEAD_LETTER))
        assert (str(buried), buried.dead_letter_reason, buried.dead_letter_source) == ("d", "bad", "orders")


def test_sequence_numbers_and_message_ids_are_not_used_again(restarted: Restart) -> None:
    with connect(restarted()) as client:
        client.get_queue_sender("once").send_messages(ServiceBusMessage("a", message_id="same"))
        receiver = client.get_queue_receiver("once")
        [message] = receive(receiver)
        receiver.complete_message(message)
        after_restart = restarted()
    with connect(after_restart) as client:
        sender = client.get_queue_sender("once")
        sender.send_messages(ServiceBusMessage("b", message_id="same"))
        sender.send_messages(ServiceBusMessage("c", message_id="new"))
        [received] = receive(client.get_queue_receiver("once"))
        assert str(received) == "c"
        assert number_of(received) > number_of(message)


def test_nothing_acknowledged_is_lost_when_the_broker_dies_under_load(restarted: Restart) -> None:
    broker = restarted()
    with ThreadPoolExecutor(4) as threads:
        acknowledged = [threads.submit(_send_until_it_fails, broker, name, 50) for name in "wxyz"]
        _await_messages(broker)
        after_restart = restarted()
        sent = {body for sending in acknowledged for body in sending.result(300)}
    with connect(after_restart) as client:
        receiver = client.get_queue_receiver("orders")
        kept: set[str] = set()
        while batch := receiver.peek_messages(250):
            kept.update(bodies(batch))
    assert sent
    assert sent <= kept


def test_a_stopped_broker_ends_cleanly(restarted: Restart) -> None:
    broker = restarted()
    with connect(broker) as client:
        client.get_queue_sender("orders").send_messages(ServiceBusMessage("a"))
        assert broker.stop() == 0
    assert "Traceback" not in broker.output()


def _send_until_it_fails(broker: BrokerProcess, name: str, most: int) -> list[str]:
    """Sends batches and gives the bodies of those that were acknowledged before the broker died."""
    sent: list[str] = []
    try:
        with connect(broker) as client, client.get_queue_sender("orders") as sender:
            for number in range(most * 1000):
                body = f"{name}{number}"
                sender.send_messages(ServiceBusMessage(body))
                sent.append(body)
    except ServiceBusError:
        return sent
    return sent


def _await_messages(broker: BrokerProcess) -> None:
    with connect(broker) as client:
        receiver = client.get_queue_receiver("orders")
        while len(receiver.peek_messages(200, sequence_number=1)) < 200:
            pass
