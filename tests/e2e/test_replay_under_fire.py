"""1,000 dead letters replayed while the app is killed with -9 ten times: none is lost, and none applied twice.

The commands are for a step that no version of the app has: a worker answers each at once, without Azure, with a failure
that ends the promotion. The events are registrations of models that no route takes: each is only recorded. On a busy
machine a command can be too old to act when it is replayed; then the lane asks once more.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiver, ServiceBusSubQueue

from localcloud.up import Description
from shared.cloud import bus
from shared.cloud.sqlite import SqliteStore
from shared.config.app_settings import AppSettings
from shared.coordinator.lanes import Lanes
from shared.core.events import PromotionRequested
from shared.core.journal import JournalEntry
from shared.core.messages import Candidate, Kind, LaneKey, ModelRegistered
from shared.core.plan import PlannedStep
from shared.core.promotion import Promotion, StageRun, StepRun
from shared.core.promotion_ids import promotion_id
from shared.core.queues import EVENTS_QUEUE, reports_queue, steps_queue
from shared.http.authorisation import OPERATOR
from tests.e2e.azure import DEADLINE, until
from tests.e2e.conftest import Cloud, describe_tiny, without_timers
from tests.signing_in import bearer

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENTS, COMMANDS = 700, 300
KILLS = 10
STEPS_QUEUE, REPORTS_QUEUE = steps_queue("dev"), reports_queue("dev")
RANDOM = random.Random(20261120)
#: The longest time that the app lives after it has started to move dead letters, in seconds.
LONGEST_LIFE = 0.2


@pytest.fixture(scope="module")
def description() -> Description:
    """The app does not look for lost registrations, for which it would send commands of its own."""
    return without_timers(describe_tiny(people={"alice": {"roles": [OPERATOR]}}), "catch_up")


class Operator:
    """Alice, who replays."""

    def __init__(self, cloud: Cloud) -> None:
        addresses = cloud.parts.addresses
        self._http = cloud.http
        self._url = addresses["functions"]["url"] + "/api/failures"
        self._headers = {
            "x-functions-key": addresses["functions"]["keys"]["default"],
            **bearer(addresses, "alice"),
        }

    async def dead_letters(self) -> list[Mapping[str, Any]]:
        """All that are there; needs the app."""
        found: list[Mapping[str, Any]] = []
        for queue in (EVENTS_QUEUE, STEPS_QUEUE):
            url: str | None = f"{self._url}?queue={queue}&top=200"
            while url is not None:
                async with self._http.get(url, headers=self._headers) as answer:
                    assert answer.status == 200, await answer.text()
                    page = await answer.json()
                found += [failure for failure in page["value"] if failure["what"] == "dead-letter"]
                url = page["next_link"]
        return found

    async def replay(self, ids: Sequence[str]) -> Counter[str] | None:
        """How many came to which outcome; None if the app died meanwhile."""
        body = {"ids": ids, "reason": "mended"}
        try:
            async with self._http.post(f"{self._url}/replay", json=body, headers=self._headers) as answer:
                assert answer.status == 200, await answer.text()
                return Counter(item["outcome"] for item in (await answer.json())["value"])
        except aiohttp.ClientError:
            return None


class Queues:
    """The broker, as its SDK shows it."""

    def __init__(self, connection_string: str) -> None:
        self._client = ServiceBusClient.from_connection_string(connection_string)
        self._dead = {queue: self._open(queue, dead=True) for queue in (EVENTS_QUEUE, STEPS_QUEUE)}
        self._active = {queue: self._open(queue) for queue in (EVENTS_QUEUE, STEPS_QUEUE, REPORTS_QUEUE)}

    def _open(self, queue: str, dead: bool = False) -> ServiceBusReceiver:
        sub_queue = ServiceBusSubQueue.DEAD_LETTER if dead else None
        return self._client.get_queue_receiver(queue, sub_queue=sub_queue)

    def bury(self, queue: str, number: int) -> None:
        """Turn the next messages of a queue into dead letters."""
        with self._open(queue) as receiver:
            left = number
            while left:
                # A few at a time, so that no lock expires before its turn.
                for message in receiver.receive_messages(min(left, 50), max_wait_time=DEADLINE):
                    receiver.dead_letter_message(message, reason="broken", error_description="on purpose")
                    left -= 1

    def dead_letters(self) -> list[str]:
        """The ids of their failures."""
        return [
            f"{queue}:{message.sequence_number}"
            for queue, receiver in self._dead.items()
            for message in receiver.peek_messages(EVENTS + COMMANDS, sequence_number=1)
        ]

    def await_move(self, failure: str, ended: Callable[[], bool]) -> None:
        """Return as soon as this dead letter is gone, or when `ended` says so."""
        queue, _, number = failure.partition(":")
        while not ended():
            found = self._dead[queue].peek_messages(1, sequence_number=int(number))
            if not found or found[0].sequence_number != int(number):
                return

    def are_empty(self) -> bool:
        every = (*self._dead.values(), *self._active.values())
        return not any(receiver.peek_messages(1, sequence_number=1) for receiver in every)

    def taken_in(self, queue: str) -> int:
        """How many messages the queue has ever accepted, without duplicates, from the number of the next one."""
        with self._client.get_queue_sender(queue) as sender:
            probe = sender.schedule_messages(ServiceBusMessage("probe"), datetime.now(UTC) + timedelta(hours=1))
            sender.cancel_scheduled_messages(probe)
        return probe[0] - 1

    def close(self) -> None:
        for receiver in (*self._dead.values(), *self._active.values()):
            receiver.close()
        self._client.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def queues(cloud: Cloud) -> Any:
    opened = await asyncio.to_thread(Queues, cloud.parts.layout.connection_string)
    yield opened
    await asyncio.to_thread(opened.close)


@pytest.fixture(scope="module")
def store(cloud: Cloud) -> SqliteStore:
    """The app's own."""
    return SqliteStore(Path(cloud.parts.layout.data) / "promotions.sqlite")


def registrations(workspace: str) -> list[ModelRegistered]:
    return [ModelRegistered(workspace, f"unwanted-{number}", "1", {}, "event-grid") for number in range(EVENTS)]


def promotions(workspace: str) -> Iterator[Promotion]:
    now = datetime.now(UTC)
    for number in range(COMMANDS):
        lane = LaneKey("made-up", f"model-{number}")
        candidate = Candidate(Kind.MODEL, lane.model, "1", "dev", workspace)
        stage = StageRun("dev", "dev", "", (), {}, (StepRun(PlannedStep("inspect", "dev")),))
        yield Promotion(promotion_id(lane, candidate), lane, candidate, (stage,), "event-grid", "hash", now, now)


def fill(cloud: Cloud, store: SqliteStore, queues: Queues) -> None:
    """Send all events and commands, and turn them into dead letters."""
    workspace = cloud.parts.layout.workspace_ids["dev"]
    sender = bus.connect(AppSettings(service_bus=cloud.parts.layout.connection_string))
    events = registrations(workspace)
    for start in range(0, EVENTS, 100):
        sender.send_events(events[start : start + 100])
    lanes = Lanes(store, sender, lambda: datetime.now(UTC))
    for promotion in promotions(workspace):
        lanes.apply(PromotionRequested(promotion))
    sender.close()
    queues.bury(EVENTS_QUEUE, EVENTS)
    queues.bury(STEPS_QUEUE, COMMANDS)


async def replay_under_fire(cloud: Cloud, queues: Queues, operator: Operator, ids: Sequence[str]) -> bool:
    """Replay these, and kill the app soon after the first of them is gone. Return whether that interrupted the
    replay."""
    replay = asyncio.create_task(operator.replay(ids))
    await asyncio.to_thread(queues.await_move, ids[0], replay.done)
    await asyncio.sleep(RANDOM.uniform(0, LONGEST_LIFE))
    await cloud.parts.kill("functions")
    outcomes = await replay
    await cloud.parts.restart("functions")
    return outcomes is None


async def test_a_thousand_dead_letters_survive_ten_deaths_of_the_app(
    cloud: Cloud, store: SqliteStore, queues: Queues
) -> None:
    operator = Operator(cloud)
    await cloud.parts.kill("functions")
    await asyncio.to_thread(fill, cloud, store, queues)
    await cloud.parts.restart("functions")
    found = await operator.dead_letters()
    assert len(found) == EVENTS + COMMANDS
    assert all(failure["replay"]["safe"] for failure in found)

    cut_off = 0
    ids: Sequence[str] = ()
    for kill in range(KILLS):
        left = await asyncio.to_thread(queues.dead_letters)
        # What the app had received when it died stays locked for a while.
        ids = [failure for failure in left if failure not in ids][: len(left) // (KILLS - kill)]
        cut_off += await replay_under_fire(cloud, queues, operator, ids)
    assert cut_off, "no replay was under way when the app was killed"

    async def all_replayed() -> bool:
        left = [failure["id"] for failure in await operator.dead_letters()]
        return not left or (bool(await operator.replay(left)) and not await operator.dead_letters())

    await until(all_replayed, "no dead letter is left")
    await until(lambda: asyncio.to_thread(queues.are_empty), "all messages are done with")
    check_all_were_applied_once(cloud, store)
    assert await asyncio.to_thread(queues.taken_in, EVENTS_QUEUE) == 2 * EVENTS
    late = commands_that_came_too_late(cloud, store)
    assert await asyncio.to_thread(queues.taken_in, REPORTS_QUEUE) == COMMANDS + late
    assert await asyncio.to_thread(queues.taken_in, STEPS_QUEUE) == 2 * COMMANDS + late


def check_all_were_applied_once(cloud: Cloud, store: SqliteStore) -> None:
    workspace = cloud.parts.layout.workspace_ids["dev"]
    for news in registrations(workspace):
        lane = LaneKey("", news.name)
        candidate = Candidate(Kind.MODEL, news.name, news.version, "dev", workspace)
        assert journal(store, promotion_id(lane, candidate)) == ["requested", "ignored"]
    for promotion in promotions(workspace):
        assert journal(store, promotion.id) == ["requested", "stage-started", "step-failed", "stage-failed", "failed"]


def journal(store: SqliteStore, promotion: str) -> list[str]:
    """What happened, without the requests to replay, which may be repeated, and without commands that no longer
    acted."""
    return [entry.what for entry in lines(store, promotion) if entry.what != "replayed" and not came_too_late(entry)]


def commands_that_came_too_late(cloud: Cloud, store: SqliteStore) -> int:
    """How many commands reached their worker after `not_after`; each was asked for again."""
    ids = [promotion.id for promotion in promotions(cloud.parts.layout.workspace_ids["dev"])]
    return sum(came_too_late(entry) for promotion in ids for entry in lines(store, promotion))


def came_too_late(entry: JournalEntry) -> bool:
    return entry.what == "retrying" and "too late to change anything" in entry.text


def lines(store: SqliteStore, promotion: str) -> Sequence[JournalEntry]:
    found = store.promotion(promotion)
    assert found is not None, f"{promotion} was lost"
    return found[1]
