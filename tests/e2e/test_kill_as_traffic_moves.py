"""`kill -9` of the app in the later steps of a rollout, while figures are judged, and before the traffic goes back.

As in `test_kill_in_rollouts.py`, one crash serves all tests here.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from examples.demo.promotions import Promotion
from examples.demo.request_loop import RequestLoop
from localcloud.up import Description
from shared.http.authorisation import OPERATOR
from tests.e2e.azure import HeldCall, until
from tests.e2e.conftest import Cloud, describe
from tests.e2e.people import People
from tests.e2e.promoting import journal, running_steps

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONGEST = 120.0
#: Besides promotions that wait for a command that was cut short: it cannot act any more after three minutes.
WITH_GRACE = 270.0


@dataclass(frozen=True)
class Catch:
    """A step in which the promotion of version 2 is caught, and the call of the step that is held."""

    model: str
    step: str
    method: str
    path: str  #: below the workspace
    after: str = ""  #: the step during which the call is first watched for; empty: from the beginning


TRAFFIC = ("PUT", "onlineendpoints/{model}")
CATCHES = (
    Catch("moving-live", "rollout-2", *TRAFFIC, after="rollout-1"),
    Catch("moving-all", "shift", *TRAFFIC, after="rollout-2"),
    Catch("moving-back", "reinstate", "GET", "onlineendpoints/{model}/deployments/*"),
    Catch("judged-one", "rollout-1", "GET", "onlineendpoints/{model}/providers/microsoft.insights/metrics"),
    Catch("monitored-one", "move_monitor", "PUT", "schedules/{model}-drift"),
)


@pytest.fixture(scope="module")
def description() -> Description:
    """Minutes of the metrics last a second."""
    azureml = describe("x", "dev").azureml | {"metrics": {"delay_seconds": 0.5, "minute_seconds": 1}}
    people = {"alice": {"roles": [OPERATOR]}}
    return describe("tests/e2e/moving/promotion.yml", "dev", "prod", azureml=azureml, people=people)


@dataclass(frozen=True)
class Aftermath:
    """What the kill met, and what the users of the endpoints saw; by model."""

    caught: Mapping[str, bool]  #: whether the app was inside the step when it was killed
    users: Mapping[str, RequestLoop]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def aftermath(cloud: Cloud) -> AsyncIterator[Aftermath]:
    await asyncio.gather(*(serve(cloud, each.model, "1") for each in CATCHES))
    await serve(cloud, "moving-back", "2")
    async with AsyncExitStack() as loops:
        users = {each.model: await loops.enter_async_context(cloud.azure.users("prod", each.model)) for each in CATCHES}
        held = dict(zip(CATCHES, await asyncio.gather(*(bring_into(cloud, each) for each in CATCHES)), strict=True))
        caught = {each.model: await is_inside(cloud, each, call) for each, call in held.items()}
        await cloud.parts.kill("functions")
        await cloud.parts.restart("functions")
        yield Aftermath(caught, users)


async def serve(cloud: Cloud, model: str, version: str) -> None:
    await cloud.azure.register(model, version)
    await cloud.promotions.succeeded(model, version)


async def bring_into(cloud: Cloud, catch: Catch) -> HeldCall:
    """Bring the promotion into the middle of the step."""
    if catch.step != "reinstate":
        await cloud.azure.register(catch.model, "2")
    if catch.after:
        await until(lambda: has_its_share(cloud, catch), f"{catch.model} is in {catch.after}", LONGEST)
    call = await cloud.azure.hold(catch.method, f"*/{catch.path.format(model=catch.model)}")
    if catch.step == "reinstate":
        found = await cloud.promotions.find(catch.model, "2")
        assert found is not None
        await People(cloud).ask("alice", f"promotions/{found['id']}/roll-back")
    await call.reached(LONGEST)
    return call


async def has_its_share(cloud: Cloud, catch: Catch) -> bool:
    """Whether the step before has moved its traffic, so that the next change is not its own."""
    found = await cloud.promotions.find(catch.model, "2")
    if found is None or running_steps(found) != [catch.after]:
        return False
    (stage,) = found["stages"]
    return any(step["name"] == catch.after and "gets" in step["says"] for step in stage["steps"])


async def is_inside(cloud: Cloud, catch: Catch, call: HeldCall) -> bool:
    found = await cloud.promotions.find(catch.model, "2")
    return found is not None and running_steps(found) == [catch.step] and await call.is_under_way()


async def ended(cloud: Cloud, aftermath: Aftermath, model: str) -> Promotion:
    assert aftermath.caught[model], f"the app was not in the middle of the step of {model} when it was killed"
    return await cloud.promotions.ended(model, "2")


async def waits_for_the_shift(cloud: Cloud, aftermath: Aftermath, model: str) -> Promotion:
    """The promotion, once its last step of the rollout has succeeded: the next one waits until no command from before
    the crash can change the traffic any more, which takes minutes."""
    assert aftermath.caught[model]

    async def look() -> Promotion | None:
        found = await cloud.promotions.find(model, "2")
        waited = [wait["for"] for wait in found["waits"]] if found else []
        return found if waited == ["an unanswered command to expire before shift starts"] else None

    return await until(look, f"the rollout of {model} has ended, and the shift waits", LONGEST)


async def test_a_share_that_nobody_heard_of_counts(cloud: Cloud, aftermath: Aftermath) -> None:
    promotion = await waits_for_the_shift(cloud, aftermath, "moving-live")
    assert journal(promotion).count("step-succeeded rollout-2") == 1
    versions = await cloud.azure.deployments("prod", "moving-live")
    traffic = await cloud.azure.traffic("prod", "moving-live") or {}
    assert {versions[name]: share for name, share in traffic.items()} == {"1": 70, "2": 30}


async def test_all_traffic_that_nobody_heard_of_counts_once(cloud: Cloud, aftermath: Aftermath) -> None:
    promotion = await ended(cloud, aftermath, "moving-all")
    assert promotion["status"] == "succeeded", promotion["reason"]
    assert journal(promotion).count("step-succeeded shift") == 1
    # Version 1: the endpoint and its traffic. Version 2: the mirror, 30 %, everything.
    assert len(await cloud.azure.calls("PUT", "*/onlineEndpoints/moving-all")) == 2 + 3


async def test_figures_that_were_not_judged_are_judged_after_the_crash(cloud: Cloud, aftermath: Aftermath) -> None:
    promotion = await waits_for_the_shift(cloud, aftermath, "judged-one")
    (stage,) = promotion["stages"]
    live = next(step["evidence"]["seen"]["live"] for step in stage["steps"] if step["name"] == "rollout-1")
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

    await until(follows, "the monitor watches version 2", LONGEST)
    promotion = await cloud.promotions.ended("monitored-one", "2")
    assert promotion["status"] == "succeeded", promotion["reason"]
    assert "step-failed move_monitor" not in journal(promotion)


async def test_a_rollback_that_had_only_begun_goes_on_to_its_end(cloud: Cloud, aftermath: Aftermath) -> None:
    assert aftermath.caught["moving-back"]

    async def is_back() -> bool:
        found = await cloud.promotions.find("moving-back", "2")
        return found is not None and found["status"] == "rolled-back"

    await until(is_back, "version 1 serves again", WITH_GRACE)
    assert await cloud.azure.only_deployment("prod", "moving-back") == "1"


async def test_no_request_failed(aftermath: Aftermath) -> None:
    for users in aftermath.users.values():
        assert users.failed == 0, users.failures
        assert users.sent > 20
