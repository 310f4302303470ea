"""`kill -9` of the app while recorded requests are replayed, and while the job that compares answers is submitted.

One crash serves all tests here.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from examples.demo.promotions import Promotion
from localcloud.up import Description
from tests.e2e.azure import DEADLINE, HeldCall, until
from tests.e2e.catching import caught_in
from tests.e2e.conftest import Cloud, describe
from tests.e2e.held_app import held, killed
from tests.e2e.promoting import journal

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPLAYED, COMPARED = "thin-killed", "compared-killed"
#: What the replay asks before it reads what was recorded, and how a job is submitted.
SECRETS = ("POST", "*/workspaces/ws-prod/datastores/*/listsecrets")
JOB = ("PUT", "*/workspaces/ws-prod/jobs/*")


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Description:
    """Minutes of the metrics last a second."""
    azureml = describe("x", "dev").azureml | {"metrics": {"delay_seconds": 0.5, "minute_seconds": 1}}
    described = describe("tests/e2e/thin/promotion.yml", "dev", "prod", azureml=azureml)
    return held(described, tmp_path_factory.mktemp("analysis") / "app")


@dataclass(frozen=True)
class Judged:
    """The promotions of version 2, once their share of the traffic was judged. Their shift waits some minutes then,
    until nothing from before the crash can change the traffic any more."""

    replayed: Promotion
    compared: Promotion


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def found(cloud: Cloud) -> AsyncIterator[Judged]:
    for model in (REPLAYED, COMPARED):
        await cloud.azure.register(model, "1")
    for model in (REPLAYED, COMPARED):
        await cloud.promotions.succeeded(model)
    async with AsyncExitStack() as loops:
        async with cloud.azure.users("prod", REPLAYED, {"number": 2}, pause_seconds=0.05) as users:
            (deployment,) = await cloud.azure.deployments("prod", REPLAYED)
            await users.until_answered(deployment, 10, DEADLINE)
        await loops.enter_async_context(cloud.azure.users("prod", COMPARED, {"number": 2}, pause_seconds=0.05))
        submitted = await in_the_middle(cloud, COMPARED, *JOB)
        recorded = await in_the_middle(cloud, REPLAYED, *SECRETS)
        assert await submitted.is_under_way()
        assert await recorded.is_under_way()
        await killed(cloud)
        yield Judged(await judged(cloud, REPLAYED), await judged(cloud, COMPARED))


async def in_the_middle(cloud: Cloud, model: str, method: str, path: str) -> HeldCall:
    """Register version 2, and hold the first such call of the step that judges it."""
    call = await cloud.azure.hold(method, path)
    await cloud.azure.register(model, "2")
    return await caught_in(cloud, "rollout-1", call, model, "2")


async def judged(cloud: Cloud, model: str) -> Promotion:
    async def look() -> Promotion | None:
        found = await cloud.promotions.find(model, "2")
        ended = {"step-succeeded rollout-1", "step-failed rollout-1"}
        return found if found is not None and ended.intersection(journal(found)) else None

    return await until(look, f"version 2 of {model} was judged")


def live(promotion: Promotion) -> dict[str, Any]:
    (stage,) = promotion["stages"]
    (step,) = [each for each in stage["steps"] if each["name"] == "rollout-1"]
    return dict(step["evidence"]["seen"]["live"])


async def test_a_replay_that_was_cut_short_is_made_once_more(found: Judged) -> None:
    assert journal(found.replayed).count("step-succeeded rollout-1") == 1
    replay = live(found.replayed)["replay"]
    assert replay["requests"] >= 10
    assert (replay["errors"], replay["different"]) == (0, 0)


async def test_a_job_that_was_submitted_as_the_app_died_runs_once(cloud: Cloud, found: Judged) -> None:
    assert journal(found.compared).count("step-succeeded rollout-1") == 1
    assert live(found.compared)["job"]["metrics"][0]["candidate"] == 0
    made = {each["path"].lower() for each in await cloud.azure.calls(*JOB)}
    assert len(made) == 1, made
