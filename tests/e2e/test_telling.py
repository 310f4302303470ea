"""What the running app publishes about a promotion: events on its topic, and a trace of all its functions."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from localcloud.http_server import bind, port_of
from localcloud.testing.eventgrid import Webhook
from localcloud.up import Description
from tests.e2e.azure import until
from tests.e2e.conftest import LOCK_DURATION, Cloud, describe_tiny
from tests.e2e.held_app import held, killed

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {
    "MLPROMOTE_TOPIC_ENDPOINT": "{topic_promotions}",
    "MLPROMOTE_TOPIC_KEY": "{topic_key_promotions}",
    "MLPROMOTE_TRACES": "{data}/traces",
}


@pytest.fixture(scope="module")
def port() -> int:
    """The port of the subscriber, which starts after the cloud."""
    with bind(0) as free:
        return port_of(free)


@pytest.fixture(scope="module")
def description(port: int, tmp_path_factory: pytest.TempPathFactory) -> Description:
    told = describe_tiny(topics=[{"name": "promotions", "webhooks": [f"http://127.0.0.1:{port}/hook"]}])
    assert told.app is not None
    app = told.app.model_copy(update={"settings": told.app.settings | SETTINGS})
    return held(told.model_copy(update={"app": app}), tmp_path_factory.mktemp("telling") / "app")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def subscriber(cloud: Cloud, port: int) -> AsyncIterator[Webhook]:
    webhook = Webhook()
    async with webhook.listening(port):
        yield webhook


async def test_subscribers_hear_of_every_change_although_the_app_is_killed_again_and_again(
    cloud: Cloud, subscriber: Webhook
) -> None:
    await cloud.azure.register("tiny-told", "1")
    for step in ("share", "deploy", "shift"):

        async def reached(step: str = step) -> bool:
            found = await cloud.promotions.find("tiny-told", "1")
            steps = [one for stage in found["stages"] for one in stage["steps"]] if found else []
            return any(one["name"] == step and one["started"] for one in steps)

        await until(reached, f"the step {step} has begun")
        await killed(cloud)
    promotion = await cloud.promotions.succeeded("tiny-told")
    journal = promotion["journal"]
    wanted = {f"{promotion['id']}:{number}": entry for number, entry in enumerate(journal, start=1)}

    async def all_told() -> bool:
        return wanted.keys() <= {event["id"] for event in subscriber.events}

    await until(all_told, f"all {len(journal)} changes are told (messages come again after {LOCK_DURATION})")
    for event in subscriber.events:
        entry = wanted[event["id"]]
        assert event["type"] == f"mlpromote.promotion.{entry['what']}"
        assert (event["data"]["text"], event["data"]["stage"] or "") == (entry["text"], entry["stage"])


async def test_the_spans_of_all_functions_are_in_the_one_trace_of_a_promotion(cloud: Cloud) -> None:
    await cloud.azure.register("tiny-traced", "1")
    promotion = await cloud.promotions.succeeded("tiny-traced")
    answer = await cloud.promotions.request(f"/{promotion['id']}/trace")
    assert answer.status == 200
    spans = answer.json()["spans"]
    names = {span["name"] for span in spans}
    assert {"intake", "advance: PromotionRequested", "run share", "run deploy", "prod deploy"} <= names
    assert {span["attributes"]["promotion"] for span in spans} == {promotion["id"]}
    (root,) = [span for span in spans if span["parent"] is None]
    ids = {span["id"] for span in spans}
    assert {span["parent"] for span in spans if span is not root} <= ids
    assert root["name"] == "promotion of tiny-traced 1"
