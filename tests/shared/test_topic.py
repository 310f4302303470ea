"""The real publisher and a local Event Grid, which delivers to a webhook in this process."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AzureKeyCredential
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridPublisherClient

from localcloud.http_server import bind, port_of
from localcloud.testing.eventgrid import TOPIC_KEY, EventGrid, Webhook
from shared.cloud.topic import EventGridTopic, connect, event_of
from shared.config.app_settings import AppSettings
from shared.core.journal import JournalEntry
from shared.core.promotion import Lane
from shared.core.replacing import replace
from shared.ports import TopicUnavailableError
from tests.core.world import KEY as LANE
from tests.core.world import NOW, promotion

DEADLINE = 300.0
#: Longer than all limits of an attempt together, and far shorter than the SDK's own limits.
A_FEW_SECONDS = 8.0
PROMOTION = promotion("3")


def entry(number: int, stage: str = "", step: str = "", what: str = "requested") -> JournalEntry:
    return JournalEntry(NOW, PROMOTION.id, number, stage, step, what, "a text", "alice" if number == 1 else "")


ENTRIES = [entry(1), entry(2, "prod", "deploy", "step-succeeded")]


@dataclass(frozen=True)
class Published:
    """A topic with a subscriber."""

    eventgrid: EventGrid
    webhook: Webhook

    def topic(self, pause_seconds: float = 0.0, key: str = TOPIC_KEY, **more: Any) -> EventGridTopic:
        client = EventGridPublisherClient(self.eventgrid.topic, AzureKeyCredential(key))
        return EventGridTopic(client, pause_seconds, **more)

    async def delivered(self, number: int) -> list[str]:
        """The ids of what the subscriber has, once there are this many."""
        await until(lambda: len(self.webhook.events) >= number)
        return [event["id"] for event in self.webhook.events]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - the condition is another process's doing
            await asyncio.sleep(0.01)


@pytest.fixture
async def published(tmp_path: Path) -> AsyncIterator[Published]:
    eventgrid, webhook = EventGrid(tmp_path, source=""), Webhook()
    async with webhook.listening():
        eventgrid.configure(webhook.address, schema="CloudEvents")
        await eventgrid.start()
        yield Published(eventgrid, webhook)
        await eventgrid.kill()


def tell(topic: EventGridTopic, *entries: JournalEntry) -> Awaitable[bool]:
    return asyncio.to_thread(topic.publish, Lane(LANE, promotions=(PROMOTION,)), entries)


async def test_subscribers_get_each_change_as_a_cloud_event(published: Published) -> None:
    await tell(connect(AppSettings(topic_endpoint=published.eventgrid.topic, topic_key=TOPIC_KEY)), *ENTRIES)
    await published.delivered(2)
    requested, succeeded = sorted(published.webhook.events, key=lambda event: str(event["id"]))
    assert requested["specversion"] == "1.0"
    assert requested["type"] == "mlpromote.promotion.requested"
    assert requested["source"] == "/mlpromote/routes/churn/churn-eu"
    assert requested["subject"] == f"routes/churn/churn-eu/promotions/{PROMOTION.id}"
    assert requested["id"] == f"{PROMOTION.id}:1"
    assert requested["time"].startswith("2026-11-20T12:00:00")
    assert requested["data"]["who"] == "alice"
    assert succeeded["type"] == "mlpromote.promotion.step-succeeded"
    assert succeeded["subject"].endswith("/stages/prod")
    data = succeeded["data"]
    assert (data["number"], data["stage"], data["step"], data["text"]) == (2, "prod", "deploy", "a text")
    assert data["who"] is None
    assert data["promotion"]["id"] == PROMOTION.id
    assert data["promotion"]["version"] == "3"


async def test_an_event_that_is_published_again_has_the_same_id(published: Published) -> None:
    topic = published.topic()
    await tell(topic, *ENTRIES)
    await tell(topic, *ENTRIES)
    assert sorted(await published.delivered(4)) == sorted([f"{PROMOTION.id}:1", f"{PROMOTION.id}:2"] * 2)


async def test_subscribers_hear_once_of_a_bundle_that_is_not_used(published: Published) -> None:
    """Every process of the app tells of it, with the same id."""
    for _ in range(2):
        topic = published.topic()
        await asyncio.to_thread(topic.tell_of_source, "churn-team", "d" * 64, "unknown environment 'nowhere'")
    assert set(await published.delivered(2)) == {f"churn-team:{'d' * 64}:refused"}
    event = published.webhook.events[0]
    assert (event["type"], event["subject"]) == ("mlpromote.source.refused", "sources/churn-team")
    assert event["data"] == {"source": "churn-team", "digest": "d" * 64, "text": "unknown environment 'nowhere'"}


async def test_names_with_signs_of_their_own_make_a_source_that_is_a_uri() -> None:
    odd = replace(PROMOTION, lane=replace(LANE, model="übung 1/2?"))
    assert event_of(odd, entry(1)).source == "/mlpromote/routes/churn/%C3%BCbung%201/2%3F"


async def test_while_the_topic_is_away_changes_wait_and_it_is_logged_once(
    published: Published, caplog: pytest.LogCaptureFixture
) -> None:
    topic = published.topic()
    await published.eventgrid.kill()
    with caplog.at_level(logging.INFO, "mlpromote"):
        assert not await tell(topic, entry(1))
        assert not await tell(topic, entry(2))
        await published.eventgrid.start()
        assert await tell(topic, entry(3))
    assert sorted(await published.delivered(3)) == [f"{PROMOTION.id}:{number}" for number in (1, 2, 3)]
    told = [record.getMessage() for record in caplog.records if record.name == "mlpromote"]
    assert len(told) == 2
    assert "cannot publish changes" in told[0]
    assert "again" in told[1]


async def test_after_trouble_nothing_is_tried_before_the_pause_is_over(published: Published) -> None:
    topic = published.topic(pause_seconds=600)
    await published.eventgrid.kill()
    await tell(topic, entry(1))
    await published.eventgrid.start()
    assert not await tell(topic, entry(2)), "it still waits, and would be lost with the process"
    other = published.topic()
    await tell(other, entry(3))
    assert await published.delivered(1) == [f"{PROMOTION.id}:3"]


async def test_a_wrong_key_stops_nothing_and_is_not_in_the_log(
    published: Published, caplog: pytest.LogCaptureFixture
) -> None:
    await tell(published.topic(key="not-the-key-of-it"), entry(1))
    assert "cannot publish changes" in caplog.text
    assert "not-the-key-of-it" not in caplog.text


async def test_a_topic_that_takes_connections_and_never_answers_holds_a_promotion_up_for_seconds_only() -> None:
    with bind(0) as silent:
        silent.listen()
        topic = connect(AppSettings(topic_endpoint=f"http://127.0.0.1:{port_of(silent)}/api/events", topic_key="a-key"))
        async with asyncio.timeout(A_FEW_SECONDS):
            await tell(topic, entry(1))


class Counting(EventGridPublisherClient):
    """Notes how many events come at once."""

    def __init__(self) -> None:
        super().__init__("https://topic.test/api/events", AzureKeyCredential("a-key"))
        self.sizes: list[int] = []

    def send(self, events: list[CloudEvent], **_: object) -> None:  # type: ignore[override, type-arg]  # as we call it
        self.sizes.append(len(events))


async def test_many_changes_go_out_in_requests_that_event_grid_takes() -> None:
    client = Counting()
    await tell(EventGridTopic(client), *(entry(number) for number in range(1, 251)))
    assert client.sizes == [100, 100, 50]


async def test_looking_at_a_topic_publishes_nothing(published: Published) -> None:
    topic = connect(AppSettings(topic_endpoint=published.eventgrid.topic, topic_key=TOPIC_KEY))
    await asyncio.to_thread(topic.check)
    await tell(topic, entry(1))
    assert await published.delivered(1) == [f"{PROMOTION.id}:1"]


async def test_a_topic_out_of_reach_is_found(published: Published) -> None:
    await published.eventgrid.kill()
    with pytest.raises(TopicUnavailableError, match="cannot be reached"):
        connect(AppSettings(topic_endpoint=published.eventgrid.topic, topic_key=TOPIC_KEY)).check()


async def test_the_result_of_publishing_is_reported_when_it_changes(published: Published) -> None:
    told: list[str] = []
    topic = published.topic(tell=told.append)
    await tell(topic, entry(1))
    await tell(topic, entry(2))
    await published.eventgrid.kill()
    await tell(topic, entry(3))
    await tell(topic, entry(4))
    await published.eventgrid.start()
    await tell(topic, entry(5))
    assert [bool(trouble) for trouble in told] == [False, True, False]


async def test_it_is_reported_again_after_a_while_since_another_process_may_have_reported_otherwise(
    published: Published,
) -> None:
    told: list[str] = []
    topic = published.topic(tell=told.append, told_again_seconds=0)
    await tell(topic, entry(1))
    await tell(topic, entry(2))
    assert told == ["", ""]


async def test_a_key_that_the_topic_refuses_is_reported_and_not_shown(published: Published) -> None:
    told: list[str] = []
    await tell(published.topic(key="bm90IHRoZSBrZXk=", tell=told.append), entry(1))
    (trouble,) = told
    assert trouble
    assert "bm90" not in trouble
