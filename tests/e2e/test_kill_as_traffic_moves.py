"""`kill -9` of the app in the later steps of a rollout, while figures are judged, and before the traffic goes back.

As in `test_kill_in_rollouts.py`, one crash serves all tests here.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio

from examples.demo.promotions import Promotion
from examples.demo.request_loop import RequestLoop
from localcloud.up import Description
from shared.http.authorisation import OPERATOR
from tests.e2e.azure import HeldCall, until
from tests.e2e.catching import caught_in, is_inside
from tests.e2e.conftest import Cloud, describe
from tests.e2e.held_app import ASKS_AGAIN, held, killed
from tests.e2e.people import People
from tests.e2e.promoting import journal

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Catch:
    """A step in which the promotion of version 2 is caught, and the call of the step that is held."""

    model: str
    step: str
    method: str
    path: str  #: below the workspace


TRAFFIC = ("PUT", "onlineendpoints/{model}")
CATCHES = (
    Catch("moving-live", "rollout-2", *TRAFFIC),
    Catch("moving-all", "shift", *TRAFFIC),
    Catch("moving-back", "reinstate", "GET", "onlineendpoints/{model}/deployments/*"),
    Catch("judged-one", "rollout-1", "GET", "onlineendpoints/{model}/providers/microsoft.insights/metrics"),
    Catch("monitored-one", "move_monitor", "PUT", "schedules/{model}-drift"),
)


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Description:
    """Minutes of the metrics last a second."""
    azureml = describe("x", "dev").azureml | {"metrics": {"delay_seconds": 0.5, "minute_seconds": 1}}
    people = {"alice": {"roles": [OPERATOR]}}
    described = describe("tests/e2e/moving/promotion.yml", "dev", "prod", azureml=azureml, people=people)
    return held(described, tmp_path_factory.mktemp("moving") / "app")


@dataclass(frozen=True)
class Aftermath:
    """What the kill met, and what the users of the endpoints saw; by model."""

    caught: Mapping[str, bool]  #: whether the app was inside the step when it was killed
    users: Mapping[str, RequestLoop]
    #: The share of each version of `moving-live` when it was killed, in per cent.
    live: Mapping[str, int]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def aftermath(cloud: Cloud) -> AsyncIterator[Aftermath]:
    await asyncio.gather(*(serve(cloud, each.model, "1") for each in CATCHES))
    await serve(cloud, "moving-back", "2")
    async with AsyncExitStack() as loops:
        users = {each.model: await loops.enter_async_context(cloud.azure.users("prod", each.model)) for each in CATCHES}
        calls = dict(zip(CATCHES, await asyncio.gather(*(bring_into(cloud, each) for each in CATCHES)), strict=True))
        caught = {each.model: await is_inside(cloud, each.step, call, each.model, "2") for each, call in calls.items()}
        live = await cloud.azure.shares_of("prod", "moving-live")
        await killed(cloud)
        yield Aftermath(caught, users, live)


async def serve(cloud: Cloud, model: str, version: str) -> None:
    await cloud.azure.register(model, version)
    await cloud.promotions.succeeded(model, version)


async def bring_into(cloud: Cloud, catch: Catch) -> HeldCall:
    """Bring the promotion into the middle of the step."""
    call = await cloud.azure.hold(catch.method, f"*/{catch.path.format(model=catch.model)}")
    if catch.step == "reinstate":
        found = await cloud.promotions.find(catch.model, "2")
        assert found is not None
        await People(cloud).ask("alice", f"promotions/{found['id']}/roll-back")
    else:
        await cloud.azure.register(catch.model, "2")
    return await caught_in(cloud, catch.step, call, catch.model, "2")


async def ended(cloud: Cloud, aftermath: Aftermath, model: str) -> Promotion:
    assert aftermath.caught[model], f"the app was not in the middle of the step of {model} when it was killed"
    return await cloud.promotions.ended(model, "2")


async def succeeded(cloud: Cloud, aftermath: Aftermath, model: str) -> Promotion:
    promotion = await ended(cloud, aftermath, model)
    assert promotion["status"] == "succeeded", promotion["reason"]
    return promotion


def step(promotion: Promotion, name: str) -> Mapping[str, Any]:
    (stage,) = promotion["stages"]
    return dict(next(each for each in stage["steps"] if each["name"] == name))


async def test_a_share_that_nobody_heard_of_counts_and_the_next_waits_until_it_can_no_longer_be_taken_back(
    cloud: Cloud, aftermath: Aftermath
) -> None:
    assert aftermath.live == {"1": 70, "2": 30}
    promotion = await succeeded(cloud, aftermath, "moving-live")
    assert journal(promotion).count("step-succeeded rollout-2") == 1
    # Version 1: the endpoint and its traffic. Version 2: the mirror, 30 %, everything.
    assert len(await cloud.azure.calls("PUT", "*/onlineEndpoints/moving-live")) == 2 + 3
    assert await cloud.azure.shares_of("prod", "moving-live") == {"2": 100}
    cut_short, next_one = step(promotion, "rollout-2")["started"], step(promotion, "shift")["started"]
    assert datetime.fromisoformat(next_one) - datetime.fromisoformat(cut_short) >= ASKS_AGAIN


async def test_all_traffic_that_nobody_heard_of_counts_once(cloud: Cloud, aftermath: Aftermath) -> None:
    promotion = await succeeded(cloud, aftermath, "moving-all")
    assert journal(promotion).count("step-succeeded shift") == 1
    assert len(await cloud.azure.calls("PUT", "*/onlineEndpoints/moving-all")) == 2 + 3


async def test_figures_that_were_not_judged_are_judged_after_the_crash(cloud: Cloud, aftermath: Aftermath) -> None:
    promotion = await succeeded(cloud, aftermath, "judged-one")
    live = step(promotion, "rollout-1")["evidence"]["seen"]["live"]
    assert live["candidate"]["deployment"] != live["champion"]["deployment"]
    assert live["champion"]["requests"] > 0
    assert (live["candidate"]["errors"], live["champion"]["errors"]) == (0, 0)


async def test_the_monitor_follows_all_the_same(cloud: Cloud, aftermath: Aftermath) -> None:
    assert aftermath.caught["monitored-one"]

    async def follows() -> bool:
        workspace = cloud.parts.addresses["workspaces"]["prod"]
        version = {"api-version": "2023-06-01-preview"}
        found = await cloud.azure.call("GET", f"{workspace}/schedules/monitored-one-drift", params=version)
        target = found["properties"]["action"]["monitorDefinition"]["monitoringTarget"]["deploymentId"] if found else ""
        versions = await cloud.azure.deployments("prod", "monitored-one")
        return versions.get(target.rpartition("/")[2]) == "2"

    await until(follows, "the monitor watches version 2")
    promotion = await cloud.promotions.ended("monitored-one", "2")
    assert promotion["status"] == "succeeded", promotion["reason"]
    assert "step-failed move_monitor" not in journal(promotion)


async def test_a_rollback_that_had_only_begun_goes_on_to_its_end(cloud: Cloud, aftermath: Aftermath) -> None:
    assert aftermath.caught["moving-back"]

    async def is_back() -> bool:
        found = await cloud.promotions.find("moving-back", "2")
        return found is not None and found["status"] == "rolled-back"

    await until(is_back, "version 1 serves again")
    assert await cloud.azure.only_deployment("prod", "moving-back") == "1"


async def test_no_request_failed(aftermath: Aftermath) -> None:
    for users in aftermath.users.values():
        assert users.failed == 0, users.failures
        assert users.sent > 20
