"""Sending and peeking while Service Bus is away: refused at once, and working again by itself afterwards."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure.servicebus.exceptions import ServiceBusConnectionError

from localcloud.testing.broker import BrokerProcess, write_config
from shared.cloud.bus import CONNECTION, client, connect
from shared.cloud.dead_letters import ServiceBusDeadLetters
from shared.cloud.reach import PAUSE_SECONDS, Reach
from shared.config.app_settings import AppSettings
from shared.core.messages import ModelRegistered
from shared.core.queues import EVENTS_QUEUE, reports_queue, steps_queue
from shared.core.replacing import replace
from shared.ports import QueueUnavailableError
from tests.contract.test_queues import command
from tests.core.world import answer

NEWS = ModelRegistered("ws", "churn", "1", {}, "event-grid")


class Broker:
    """A broker that can go away and come back to the same place."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        queues: dict[str, dict[str, object]] = {EVENTS_QUEUE: {}, steps_queue("test"): {}, reports_queue("test"): {}}
        self._config = write_config(folder / "Config.json", queues)
        self._process = BrokerProcess(folder, self._config)
        self.settings = {CONNECTION: self._process.connection_string}

    def go_away(self) -> None:
        self._process.kill()

    def come_back(self) -> None:
        self._process = BrokerProcess(self._folder, self._config, "--port", str(self._process.port))

    def close(self) -> None:
        self._process.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    try:
        yield broker
    finally:
        broker.close()


def refused(call: Callable[[], object]) -> tuple[float, QueueUnavailableError]:
    """How long it took until a call was refused, and the error."""
    begun = time.monotonic()
    with pytest.raises(QueueUnavailableError) as fault:
        call()
    return time.monotonic() - begun, fault.value


def refused_at_once(call: Callable[[], object]) -> bool:
    """Whether nothing is waited for. The best of some calls says so: a busy machine may hold up any of them."""
    return min(refused(call)[0] for _ in range(10)) < 0.1


def test_what_is_sent_while_the_broker_is_away_is_refused_soon_and_then_at_once(broker: Broker) -> None:
    bus = connect(AppSettings.read(broker.settings))
    bus.send_events([NEWS])
    broker.go_away()
    seconds, fault = refused(lambda: bus.send_events([NEWS]))
    assert seconds < 20, "the SDK by itself tries for a minute"
    assert fault.retry_after == PAUSE_SECONDS
    for call in (lambda: bus.send_events([NEWS]), lambda: bus.send_commands([command("p")]), bus.check):
        assert refused_at_once(call)
    bus.close()


def test_of_many_threads_none_waits_long_and_none_is_left(broker: Broker) -> None:
    bus = connect(AppSettings.read(broker.settings))
    bus.send_events([NEWS])
    broker.go_away()
    waited: list[float] = []

    def send(number: int) -> None:
        for _ in range(30):
            waited.append(refused(lambda: bus.send_events([replace(NEWS, version=str(number))]))[0])
            time.sleep(0.02)

    before = threading.active_count()
    threads = [threading.Thread(target=send, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert threading.active_count() <= before
    assert len(waited) == 30 * 30
    assert max(waited) < 60
    # Only the first senders wait, and one every few seconds that tries again.
    assert sorted(waited)[len(waited) // 2] < 0.5
    bus.close()


def test_sending_goes_on_by_itself_when_the_broker_is_back(broker: Broker) -> None:
    bus = connect(AppSettings.read(broker.settings))
    bus.send_events([NEWS])
    broker.go_away()
    refused(lambda: bus.send_events([NEWS]))
    broker.come_back()
    until = time.monotonic() + 300
    while True:
        try:
            bus.send_events([NEWS])
            break
        except QueueUnavailableError:
            assert time.monotonic() < until
            time.sleep(0.1)
    bus.check()
    bus.close()


def test_a_report_waits_for_the_broker(broker: Broker) -> None:
    """The report of a step that was done. If it is sent later, the outcome counts as unknown."""
    bus = connect(AppSettings.read(broker.settings))
    bus.send_events([NEWS])
    broker.go_away()
    sent = threading.Event()

    def report() -> None:
        bus.send_reports("test", [answer(command("p"))])
        sent.set()

    refused(lambda: bus.send_events([NEWS]))
    thread = threading.Thread(target=report)
    thread.start()
    assert not sent.wait(0.5)
    broker.come_back()
    thread.join(300)
    assert sent.is_set()
    bus.close()


def test_what_one_part_found_out_another_knows(broker: Broker) -> None:
    reach = Reach()
    bus = connect(AppSettings.read(broker.settings), reach)
    dead_letters = ServiceBusDeadLetters(client(AppSettings.read(broker.settings)), reach)
    assert dead_letters.peek(EVENTS_QUEUE, 1, 10) == []
    broker.go_away()
    seconds, _ = refused(lambda: dead_letters.peek(EVENTS_QUEUE, 1, 10))
    assert seconds < 40, "the SDK by itself tries for a minute"
    assert refused_at_once(lambda: bus.send_events([NEWS]))
    bus.close()


def test_a_try_is_made_by_one_alone() -> None:
    now = [0.0]
    reach = Reach(lambda: now[0])
    with pytest.raises(QueueUnavailableError), reach.tried():
        raise ServiceBusConnectionError(message="gone")
    with pytest.raises(QueueUnavailableError):
        reach.check()
    now[0] = PAUSE_SECONDS
    reach.check()
    with reach.tried():  # this one finds out
        with pytest.raises(QueueUnavailableError):
            reach.check()
        with pytest.raises(QueueUnavailableError), reach.tried():
            raise AssertionError("nobody else tries")
    reach.check()
