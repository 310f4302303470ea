"""`kill -9` of the app in the middle of the steps of a rollout, of its way back, and of removing what was kept.

One crash serves all tests here, as in `test_kill_the_app.py`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime

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
from tests.e2e.promoting import journal

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: By step: the version that is caught in it, and the call that is held; NAME stands for the model and its endpoint.
CAUGHT = {
    "rollout-1": ("2", "PUT", "*/onlineendpoints/NAME"),
    "restore": ("2", "PUT", "*/onlineendpoints/NAME"),
    "watch": ("2", "GET", "*/onlineendpoints/NAME"),
    "retire": ("2", "DELETE", "*/onlineendpoints/NAME/deployments/*"),
    "make_room": ("3", "DELETE", "*/onlineendpoints/NAME/deployments/*"),
}


def model_of(step: str) -> str:
    return f"timed-{step.replace('_', '-')}"


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Description:
    people = {"alice": {"roles": [OPERATOR]}}
    described = describe("tests/e2e/rolling/promotion.yml", "dev", "prod", people=people)
    return held(described, tmp_path_factory.mktemp("rollouts") / "app")


@dataclass(frozen=True)
class Aftermath:
    """What the kill met, and what the users of the endpoints saw; by step."""

    caught: Mapping[str, bool]  #: whether the app was inside this step when it was killed
    users: Mapping[str, RequestLoop]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def aftermath(cloud: Cloud) -> AsyncIterator[Aftermath]:
    await asyncio.gather(*(serve(cloud, step, "1") for step in CAUGHT))
    # Version 2 serves already where the next version, or a person, removes what it keeps.
    await asyncio.gather(*(serve(cloud, step, "2") for step in ("retire", "make_room")))
    async with AsyncExitStack() as loops:
        users = {step: await loops.enter_async_context(cloud.azure.users("prod", model_of(step))) for step in CAUGHT}
        calls = dict(zip(CAUGHT, await asyncio.gather(*(bring_into(cloud, step) for step in CAUGHT)), strict=True))
        caught = {
            step: await is_inside(cloud, step, call, model_of(step), CAUGHT[step][0]) for step, call in calls.items()
        }
        await killed(cloud)
        yield Aftermath(caught, users)


async def serve(cloud: Cloud, step: str, version: str) -> None:
    await cloud.azure.register(model_of(step), version)
    await cloud.promotions.succeeded(model_of(step), version)


async def bring_into(cloud: Cloud, step: str) -> HeldCall:
    """Bring the promotion into the middle of the step."""
    version, method, path = CAUGHT[step]
    model = model_of(step)
    call = await cloud.azure.hold(method, path.replace("NAME", model))
    if step == "retire":
        await cloud.promotions.accepted(await promotion_of(cloud, step), "retire", reason="it costs money")
    else:
        await cloud.azure.register(model, version)
    if step == "restore":
        call = await caught_in(cloud, "rollout-2", call, model, version)
        await cloud.promotions.accepted(await promotion_of(cloud, step), "cancel", reason="wrong answers")
    return await caught_in(cloud, step, call, model, version)


async def promotion_of(cloud: Cloud, step: str) -> str:
    found = await cloud.promotions.find(model_of(step), CAUGHT[step][0])
    assert found is not None
    return str(found["id"])


async def ended(cloud: Cloud, aftermath: Aftermath, step: str) -> Promotion:
    assert aftermath.caught[step], f"the app was not in the middle of {step} when it was killed"
    return await cloud.promotions.ended(model_of(step), CAUGHT[step][0])


async def test_a_share_that_nobody_heard_of_counts_and_no_later_one_can_be_taken_back(
    cloud: Cloud, aftermath: Aftermath
) -> None:
    """The next step waits until the command that was cut short can no longer act."""
    promotion = await ended(cloud, aftermath, "rollout-1")
    assert promotion["status"] == "succeeded", promotion["reason"]
    assert [line for line in journal(promotion) if line.endswith("rollout-1")].count("step-succeeded rollout-1") == 1
    puts = await cloud.azure.calls("PUT", "*/onlineEndpoints/timed-rollout-1")
    assert len(puts) == 2 + 3, "two for version 1; the mirror, 30 % and everything for version 2"
    (stage,) = promotion["stages"]
    started = {each["name"]: datetime.fromisoformat(each["started"]) for each in stage["steps"] if each["started"]}
    assert started["rollout-2"] - started["rollout-1"] >= ASKS_AGAIN


async def test_a_way_back_from_a_rollout_goes_on_to_its_end(cloud: Cloud, aftermath: Aftermath) -> None:
    promotion = await ended(cloud, aftermath, "restore")
    assert promotion["status"] == "rolled-back", promotion["reason"]
    assert await cloud.azure.only_deployment("prod", model_of("restore")) == "1"


async def test_what_is_watched_is_watched_on(cloud: Cloud, aftermath: Aftermath) -> None:
    promotion = await ended(cloud, aftermath, "watch")
    assert promotion["status"] == "succeeded", promotion["reason"]
    assert sorted((await cloud.azure.deployments("prod", model_of("watch"))).values()) == ["1", "2"]


async def test_what_was_kept_is_removed_in_the_end(cloud: Cloud, aftermath: Aftermath) -> None:
    assert aftermath.caught["retire"]

    async def removed() -> bool:
        return list((await cloud.azure.deployments("prod", model_of("retire"))).values()) == ["2"]

    await until(removed, "only version 2 is left")
    assert await cloud.azure.only_deployment("prod", model_of("retire")) == "2"


async def test_room_is_made_and_the_next_version_serves(cloud: Cloud, aftermath: Aftermath) -> None:
    promotion = await ended(cloud, aftermath, "make_room")
    assert promotion["status"] == "succeeded", promotion["reason"]
    assert sorted((await cloud.azure.deployments("prod", model_of("make_room"))).values()) == ["2", "3"]


async def test_no_request_failed(aftermath: Aftermath) -> None:
    for users in aftermath.users.values():
        assert users.failed == 0, users.failures
        assert users.sent > 20
