"""What every implementation of the queues must do, run against the fake and against the local Service Bus."""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Protocol

import pytest
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusMessageState,
    ServiceBusReceivedMessage,
    ServiceBusReceiver,
    ServiceBusSubQueue,
)

from localcloud.testing.broker import BrokerProcess, write_config
from shared.cloud.bus import ServiceBus
from shared.cloud.dead_letters import MOST_AT_ONCE, ServiceBusDeadLetters, replayed_id
from shared.core.commands import due
from shared.core.lane import decide
from shared.core.message_bodies import encode
from shared.core.messages import RECONCILE, FindRegistrations, ModelRegistered, RunStep
from shared.core.promotion import Lane
from shared.core.queues import EVENTS_QUEUE, reports_queue, steps_queue
from shared.core.replacing import replace
from shared.ports import Bus, DeadLetter, DeadLetters, QueueUnavailableError
from tests.core.world import KEY, NOW, answer, requested
from tests.fakes.queues import FakeQueues

QUEUE, REPORTS = steps_queue("test"), reports_queue("test")
#: How long duplicate detection remembers a message: longer than any test. And how long a received one is locked: the
#: longest that there is, since a busy machine may need more than the usual minute until it settles what it received.
LONG = {
    "RequiresDuplicateDetection": True,
    "DuplicateDetectionHistoryTimeWindow": "PT10M",
    "LockDuration": "PT5M",
}
SECONDS = 300.0


class Queues(Protocol):
    """The queues under test, and what tests need to manipulate them."""

    bus: Bus
    dead_letters: DeadLetters

    def ready(self, queue: str) -> list[tuple[str, bytes]]:
        """Message id and body of each message that a worker could have now."""

    def scheduled(self, queue: str) -> list[str]:
        """The ids of messages that come later."""

    def bury(self, queue: str, reason: str, description: str) -> None:
        """Give up everything that is ready."""

    def copy(self, letter: DeadLetter) -> None:
        """Start moving a dead letter, and die before the end."""

    def hold(self, queue: str) -> Callable[[], object]:
        """Lock the first dead letter for somebody else. Return how to release it."""


class InMemory:
    """The fake."""

    def __init__(self) -> None:
        self._queues = FakeQueues()
        self.bus: Bus = self._queues
        self.dead_letters: DeadLetters = self._queues
        self._queues.down.add("elsewhere")

    def ready(self, queue: str) -> list[tuple[str, bytes]]:
        return [(each.message_id, each.body) for each in self._queues.queues.get(queue, []) if not _is_later(each)]

    def scheduled(self, queue: str) -> list[str]:
        return [each.message_id for each in self._queues.queues.get(queue, []) if _is_later(each)]

    def bury(self, queue: str, reason: str, description: str) -> None:
        for message_id, body in self.ready(queue):
            self._queues.bury(queue, body, reason, description, deliveries=1, message_id=message_id)
        self._queues.queues[queue] = []

    def copy(self, letter: DeadLetter) -> None:
        self._queues.send(letter.queue, replayed_id(letter.message_id, letter.number), letter.body)

    def hold(self, queue: str) -> Callable[[], object]:
        self._queues.held.add(self.dead_letters.peek(queue, 1, 1)[0].number)
        return self._queues.held.clear


class OnServiceBus:
    """The product's own, on the local broker. The tests manipulate it through the SDK, which stays open since opening
    it takes long."""

    def __init__(self, client: ServiceBusClient) -> None:
        self._client = client
        self.bus: Bus = ServiceBus(client)
        self.dead_letters: DeadLetters = ServiceBusDeadLetters(client)
        self._receivers: dict[tuple[str, bool], ServiceBusReceiver] = {}
        self._sender = client.get_queue_sender(QUEUE)

    def ready(self, queue: str) -> list[tuple[str, bytes]]:
        return [
            (str(each.message_id), b"".join(each.body))
            for each in self.peek(queue)
            if each.state is ServiceBusMessageState.ACTIVE
        ]

    def scheduled(self, queue: str) -> list[str]:
        return [str(each.message_id) for each in self.peek(queue) if each.state is ServiceBusMessageState.SCHEDULED]

    def bury(self, queue: str, reason: str, description: str) -> None:
        for message in self._take(queue, dead=False):
            self._receiver(queue).dead_letter_message(message, reason, description)

    def copy(self, letter: DeadLetter) -> None:
        message_id = replayed_id(letter.message_id, letter.number)
        self.send(ServiceBusMessage(letter.body, message_id=message_id))

    def send(self, message: ServiceBusMessage) -> None:
        self._sender.send_messages(message)

    def hold(self, queue: str) -> Callable[[], object]:
        [message] = self._receiver(queue, dead=True).receive_messages(1, max_wait_time=SECONDS)
        return lambda: self._receiver(queue, dead=True).abandon_message(message)

    def clear(self) -> None:
        """Remove what a test has left in the queue of commands."""
        later = [each.sequence_number for each in self.peek(QUEUE) if each.state is ServiceBusMessageState.SCHEDULED]
        if later:
            self._sender.cancel_scheduled_messages([number for number in later if number])
        for dead in (False, True):
            for message in self._take(QUEUE, dead):
                self._receiver(QUEUE, dead).complete_message(message)

    def _take(self, queue: str, dead: bool) -> list[ServiceBusReceivedMessage]:
        """Ask for exactly what is there: if asked for more, the SDK would keep receiving."""
        left = sum(each.state is ServiceBusMessageState.ACTIVE for each in self.peek(queue, dead))
        taken: list[ServiceBusReceivedMessage] = []
        while left > len(taken):
            taken += self._receiver(queue, dead).receive_messages(left - len(taken), max_wait_time=SECONDS)
        return taken

    def peek(self, queue: str, dead: bool = False) -> Sequence[ServiceBusReceivedMessage]:
        return self._receiver(queue, dead).peek_messages(1000, sequence_number=1)

    def _receiver(self, queue: str, dead: bool = False) -> ServiceBusReceiver:
        if (queue, dead) not in self._receivers:
            sub_queue = ServiceBusSubQueue.DEAD_LETTER if dead else None
            self._receivers[queue, dead] = self._client.get_queue_receiver(queue, sub_queue=sub_queue)
        return self._receivers[queue, dead]


def _is_later(message: object) -> bool:
    at = getattr(message, "not_before", None)
    return at is not None and at > datetime.now(UTC)


@pytest.fixture(scope="module")
def on_service_bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnServiceBus]:
    folder = tmp_path_factory.mktemp("queues")
    queues = dict.fromkeys([EVENTS_QUEUE, QUEUE, REPORTS], LONG)
    broker = BrokerProcess(folder, write_config(folder / "Config.json", queues))
    try:
        with ServiceBusClient.from_connection_string(broker.connection_string) as client:
            yield OnServiceBus(client)
    finally:
        broker.close()


@pytest.fixture(params=["in memory", "on Service Bus"])
def queues(request: pytest.FixtureRequest) -> Queues:
    if request.param == "in memory":
        return InMemory()
    on_service_bus: OnServiceBus = request.getfixturevalue("on_service_bus")
    on_service_bus.clear()
    return on_service_bus


_numbers = count()


@pytest.fixture
def promotion() -> str:
    """The id of a promotion whose commands no other test sends."""
    return f"p-{next(_numbers)}"


def command(promotion: str, poll: int = 1, at: datetime = NOW - timedelta(days=1000)) -> RunStep:
    [first] = due(decide(Lane(KEY), requested("1"), NOW).lane)
    return replace(first, promotion=promotion, environment="test", poll=poll, not_before=at)


def send(queues: Queues, commands: Sequence[RunStep]) -> None:
    """Send them as a function does that is run again where the queue had no time for it: a busy machine may be slow."""
    while True:
        try:
            return queues.bus.send_commands(commands)
        except QueueUnavailableError:
            continue


def buried(queues: Queues, promotion: str, number: int) -> Sequence[DeadLetter]:
    """This many commands that have become dead letters."""
    queues.bus.send_commands([command(promotion, poll) for poll in range(1, number + 1)])
    queues.bury(QUEUE, "broken", "on purpose")
    letters = queues.dead_letters.peek(QUEUE, 1, number)
    assert len(letters) == number
    return letters


# --- sending ----------------------------------------------------------------------------------------------------------


def test_events_commands_and_reports_come_to_their_queues_as_they_are(queues: Queues, promotion: str) -> None:
    event = ModelRegistered("ws", "churn", promotion, {}, "event-grid")
    run, find = command(promotion), FindRegistrations("test", NOW, datetime.now(UTC))
    queues.bus.send_events([event])
    queues.bus.send_commands([run, find])
    report, found = answer(run), replace(event, source=RECONCILE)
    queues.bus.send_reports("test", [report, found])
    assert (event.message_id, encode(event)) in queues.ready(EVENTS_QUEUE)
    assert queues.ready(QUEUE) == [(each.message_id, encode(each)) for each in (run, find)]
    assert queues.ready(REPORTS) == [(each.message_id, encode(each)) for each in (report, found)]


def test_a_message_id_that_was_seen_is_accepted_and_dropped(queues: Queues, promotion: str) -> None:
    for _ in range(2):
        queues.bus.send_commands([command(promotion)])
    queues.bus.send_commands([command(promotion), command(promotion, poll=2)])
    assert [body for _, body in queues.ready(QUEUE)] == [
        encode(command(promotion)),
        encode(command(promotion, poll=2)),
    ]


def test_a_command_for_later_is_scheduled(queues: Queues, promotion: str) -> None:
    later = command(promotion, poll=2, at=datetime.now(UTC) + timedelta(hours=1))
    queues.bus.send_commands([command(promotion), later])
    assert [message_id for message_id, _ in queues.ready(QUEUE)] == [command(promotion).message_id]
    assert queues.scheduled(QUEUE) == [later.message_id]


def test_what_many_threads_send_at_once_arrives_once_each(queues: Queues, promotion: str) -> None:
    expected = {command(promotion, poll).message_id for poll in range(200)}

    def send_ten(first: int) -> None:
        for poll in range(first, first + 10):
            send(queues, [command(promotion, poll)])

    threads = [threading.Thread(target=send_ten, args=(first,)) for first in range(0, 200, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    arrived = [message_id for message_id, _ in queues.ready(QUEUE)]
    assert len(arrived) == 200
    assert set(arrived) == expected


@pytest.mark.parametrize(
    ("number", "size"), [(700, 0), (30, 60_000), (4, 130_000), (1, 250_000)], ids=["many", "large", "larger", "one"]
)
def test_what_is_more_than_one_message_holds_goes_in_several(
    number: int, size: int, queues: Queues, promotion: str
) -> None:
    """A message of the Standard tier has at most 256 KB, and so has a batch."""
    sent = [replace(command(promotion, poll), settings={"text": "x" * size}) for poll in range(number)]
    send(queues, sent)
    assert sorted(queues.ready(QUEUE)) == sorted((each.message_id, encode(each)) for each in sent)


# --- dead letters -----------------------------------------------------------------------------------------------------


def test_a_dead_letter_is_shown_as_it_was_sent_and_why_it_is_one(queues: Queues, promotion: str) -> None:
    [letter] = buried(queues, promotion, 1)
    sent = command(promotion)
    assert (letter.queue, letter.message_id, letter.body) == (QUEUE, sent.message_id, encode(sent))
    assert (letter.reason, letter.description) == ("broken", "on purpose")
    assert letter.number >= 1
    assert letter.enqueued.tzinfo is not None


def test_looking_goes_on_from_any_number_and_takes_nothing(queues: Queues, promotion: str) -> None:
    letters = buried(queues, promotion, 5)
    numbers = [letter.number for letter in letters]
    assert numbers == sorted(set(numbers))
    assert queues.dead_letters.peek(QUEUE, 1, 2) == letters[:2]
    assert queues.dead_letters.peek(QUEUE, numbers[2], 100) == letters[2:]
    assert queues.dead_letters.peek(QUEUE, numbers[-1] + 1, 100) == []
    assert queues.dead_letters.peek(QUEUE, 1, 100) == letters


def test_chosen_ones_go_back_and_the_others_stay(queues: Queues, promotion: str) -> None:
    letters = buried(queues, promotion, 5)
    chosen = [letters[1], letters[4]]
    moved = queues.dead_letters.move_back(QUEUE, {letter.number for letter in chosen}, SECONDS)
    assert set(moved) == {letter.number for letter in chosen}
    assert queues.ready(QUEUE) == [(replayed_id(each.message_id, each.number), each.body) for each in chosen]
    left = queues.dead_letters.peek(QUEUE, 1, 100)
    assert [(each.number, each.body) for each in left] == [(letters[i].number, letters[i].body) for i in (0, 2, 3)]


def test_discarded_ones_are_gone_and_the_others_stay(queues: Queues, promotion: str) -> None:
    letters = buried(queues, promotion, 5)
    chosen = {letters[1].number, letters[4].number}
    assert set(queues.dead_letters.discard(QUEUE, chosen, SECONDS)) == chosen
    assert queues.ready(QUEUE) == []
    left = queues.dead_letters.peek(QUEUE, 1, 100)
    assert [(each.number, each.body) for each in left] == [(letters[i].number, letters[i].body) for i in (0, 2, 3)]
    assert queues.dead_letters.discard(QUEUE, chosen, 1.0) in ([], set())


def test_more_than_one_batch_goes_back_completely(queues: Queues, promotion: str) -> None:
    letters = buried(queues, promotion, 2 * MOST_AT_ONCE + 10)
    assert len(queues.dead_letters.move_back(QUEUE, [letter.number for letter in letters], SECONDS)) == len(letters)
    assert sorted(body for _, body in queues.ready(QUEUE)) == sorted(letter.body for letter in letters)
    assert queues.dead_letters.peek(QUEUE, 1, 1) == []


def test_what_goes_back_keeps_what_its_sender_said_of_it(on_service_bus: OnServiceBus, promotion: str) -> None:
    on_service_bus.clear()
    sent = ServiceBusMessage(
        promotion,
        message_id=promotion,
        subject="RunStep",
        content_type="application/json",
        correlation_id="c",
        application_properties={"traceparent": "00-1", "count": 3},
    )
    on_service_bus.send(sent)
    on_service_bus.bury(QUEUE, "broken", "on purpose")
    [letter] = on_service_bus.dead_letters.peek(QUEUE, 1, 10)
    on_service_bus.dead_letters.move_back(QUEUE, [letter.number], SECONDS)
    [found] = on_service_bus.peek(QUEUE)
    assert str(found) == promotion
    assert (found.subject, found.content_type, found.correlation_id) == ("RunStep", "application/json", "c")
    assert found.application_properties == {b"traceparent": b"00-1", b"count": 3}
    assert (found.dead_letter_reason, found.dead_letter_source) == (None, None)


def test_messages_that_are_too_large_for_one_batch_go_back_completely(queues: Queues, promotion: str) -> None:
    large = [replace(command(promotion, poll), settings={"text": "x" * 50_000}) for poll in range(30)]
    for each in large:
        queues.bus.send_commands([each])
    queues.bury(QUEUE, "broken", "on purpose")
    numbers = [letter.number for letter in queues.dead_letters.peek(QUEUE, 1, 30)]
    assert sorted(queues.dead_letters.move_back(QUEUE, numbers, SECONDS)) == numbers
    assert [body for _, body in queues.ready(QUEUE)] == [encode(each) for each in large]


def test_what_went_back_is_not_there_to_go_again(queues: Queues, promotion: str) -> None:
    [letter] = buried(queues, promotion, 1)
    assert list(queues.dead_letters.move_back(QUEUE, [letter.number], SECONDS)) == [letter.number]
    assert list(queues.dead_letters.move_back(QUEUE, [letter.number], 1)) == []
    assert len(queues.ready(QUEUE)) == 1


def test_a_move_that_died_after_the_copy_is_ended_without_a_second_copy(queues: Queues, promotion: str) -> None:
    [letter] = buried(queues, promotion, 1)
    queues.copy(letter)
    assert list(queues.dead_letters.move_back(QUEUE, [letter.number], SECONDS)) == [letter.number]
    assert len(queues.ready(QUEUE)) == 1
    assert queues.dead_letters.peek(QUEUE, 1, 1) == []


def test_a_replayed_message_that_fails_again_can_be_replayed_again(queues: Queues, promotion: str) -> None:
    [letter] = buried(queues, promotion, 1)
    for _ in range(2):
        [letter] = queues.dead_letters.peek(QUEUE, 1, 10)
        assert list(queues.dead_letters.move_back(QUEUE, [letter.number], SECONDS)) == [letter.number]
        assert [body for _, body in queues.ready(QUEUE)] == [letter.body]
        queues.bury(QUEUE, "broken", "again")
    [letter] = queues.dead_letters.peek(QUEUE, 1, 10)
    assert letter.message_id.count(":replay-") == 1


def test_what_somebody_else_has_in_hand_is_left_to_them(queues: Queues, promotion: str) -> None:
    held, free = buried(queues, promotion, 2)
    let_go = queues.hold(QUEUE)
    assert list(queues.dead_letters.move_back(QUEUE, [held.number, free.number], SECONDS)) == [free.number]
    let_go()
    assert list(queues.dead_letters.move_back(QUEUE, [held.number], SECONDS)) == [held.number]


def test_a_queue_that_cannot_be_reached_is_said(queues: Queues) -> None:
    with pytest.raises(QueueUnavailableError, match="elsewhere"):
        queues.dead_letters.peek("elsewhere", 1, 1)
    with pytest.raises(QueueUnavailableError, match="elsewhere"):
        queues.dead_letters.move_back("elsewhere", [1], SECONDS)


@pytest.mark.parametrize("message_id", ["m", "m:replay-1", "m" * 128, "", ":replay-12"])
def test_the_id_of_a_replay_is_new_and_within_what_the_broker_takes(message_id: str) -> None:
    made = replayed_id(message_id, 2**63 - 1)
    assert made != message_id
    assert len(made) <= 128
    assert made == replayed_id(message_id, 2**63 - 1)


def test_whether_messages_may_be_sent_is_found_out_without_sending_one(queues: Queues) -> None:
    queues.dead_letters.check_sending(QUEUE)
    assert queues.ready(QUEUE) == []
