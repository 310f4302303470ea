"""Candidates that live requests cannot judge: some are asked too rarely, and one answers otherwise without any error.

Recorded requests are replayed, and a job compares what was collected; with real scoring servers and a real data
collector.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from examples.demo.promotions import Promotion
from examples.demo.request_loop import RequestLoop
from localcloud.up import Description
from tests.e2e.azure import DEADLINE
from tests.e2e.conftest import Cloud, describe
from tests.e2e.promoting import failure

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: By candidate: what its model is.
CANDIDATES = {
    "thin-fine": None,
    "thin-otherwise": "otherwise",
    "rare-fine": None,
    "compared-fine": None,
    "compared-otherwise": "otherwise",
}
#: Of these, people go on asking while the candidate comes.
ASKED_ON = ("rare-fine", "compared-fine", "compared-otherwise")
#: What people ask, each in a loop of its own.
NUMBERS = (1, 2, 3)
#: Requests that each loop sends before the candidate comes.
BEFORE = 10


@pytest.fixture(scope="module")
def description() -> Description:
    """Minutes of the metrics last a second."""
    azureml = describe("x", "dev").azureml | {"metrics": {"delay_seconds": 0.5, "minute_seconds": 1}}
    return describe("tests/e2e/thin/promotion.yml", "dev", "prod", azureml=azureml)


@dataclass(frozen=True)
class Thin:
    """How version 2 of each model came out, and what the users of all endpoints saw."""

    ends: Mapping[str, Promotion]
    users: Sequence[RequestLoop]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def thin(cloud: Cloud) -> AsyncIterator[Thin]:
    """Nobody asks for the thin ones any more when the candidates come."""
    await asyncio.gather(*(cloud.azure.register(model, "1") for model in CANDIDATES))
    await asyncio.gather(*(cloud.promotions.succeeded(model) for model in CANDIDATES))
    users: list[RequestLoop] = []
    async with AsyncExitStack() as asking:
        for model in CANDIDATES:
            users += await ask(cloud, model, asking if model in ASKED_ON else None)
        for model, content in CANDIDATES.items():
            await cloud.azure.register(model, "2", content)
        found = await asyncio.gather(*(cloud.promotions.ended(model, "2") for model in CANDIDATES))
    yield Thin(dict(zip(CANDIDATES, found, strict=True)), users)


@pytest.fixture
def ends(thin: Thin) -> Mapping[str, Promotion]:
    return thin.ends


async def ask(cloud: Cloud, model: str, going_on: AsyncExitStack | None) -> Sequence[RequestLoop]:
    """People ask for each number some times; they go on until the stack is left, if there is one."""
    (deployment,) = await cloud.azure.deployments("prod", model)
    async with AsyncExitStack() as stack:
        users = [
            await (going_on or stack).enter_async_context(
                cloud.azure.users("prod", model, {"number": number}, pause_seconds=0.1)
            )
            for number in NUMBERS
        ]
        for loop in users:
            await loop.until_answered(deployment, BEFORE, DEADLINE)
    return users


def evidence(promotion: Promotion) -> Mapping[str, Any]:
    """What the rollout's only step saw of the live figures."""
    (stage,) = promotion["stages"]
    (step,) = [each for each in stage["steps"] if each["name"] == "rollout-1"]
    return dict(step["evidence"]["seen"]["live"])


async def test_a_good_model_that_is_asked_too_rarely_is_promoted_on_recorded_requests(
    cloud: Cloud, ends: Mapping[str, Promotion]
) -> None:
    promotion = ends["thin-fine"]
    assert promotion["status"] == "succeeded", promotion["reason"]
    replay = evidence(promotion)["replay"]
    assert (replay["requests"], replay["errors"], replay["different"]) == (30, 0, 0)
    assert replay["champion_p95"] > 0
    assert list((await cloud.azure.deployments("prod", "thin-fine")).values()) == ["2"]


async def test_a_model_that_answers_recorded_requests_otherwise_is_refused_with_the_number(
    cloud: Cloud, ends: Mapping[str, Promotion]
) -> None:
    promotion = ends["thin-otherwise"]
    assert promotion["status"] == "refused", promotion["reason"]
    found = evidence(promotion)["replay"]
    assert found["errors"] == 0
    assert 5 <= found["different"] <= 15
    assert f"found {found['different']} of 30 replayed requests" in failure(promotion)["reason"]
    assert list((await cloud.azure.deployments("prod", "thin-otherwise")).values()) == ["1"]


async def test_one_that_is_asked_too_rarely_is_waited_for_until_the_deadline_and_comes_back_with_the_count(
    cloud: Cloud, ends: Mapping[str, Promotion]
) -> None:
    promotion = ends["rare-fine"]
    assert promotion["status"] == "refused", promotion["reason"]
    found = evidence(promotion)
    assert 0 < found["requests"] < 100_000
    assert (
        f"answered only {found['requests']:.6g} of 100000 requests, 5s after the end of the step"
        in (failure(promotion)["reason"])
    )
    assert list((await cloud.azure.deployments("prod", "rare-fine")).values()) == ["1"]


async def test_no_request_of_a_caller_failed(thin: Thin) -> None:
    assert sum(loop.failed for loop in thin.users) == 0, [loop.failures for loop in thin.users]
    assert sum(loop.sent for loop in thin.users) >= len(CANDIDATES) * len(NUMBERS) * BEFORE


async def test_no_request_and_no_answer_becomes_evidence(ends: Mapping[str, Promotion]) -> None:
    for promotion in ends.values():
        assert '"number"' not in json.dumps(promotion)
        assert '"double"' not in json.dumps(promotion)


async def test_a_job_compares_the_answers_that_both_deployments_gave_to_callers(
    cloud: Cloud, ends: Mapping[str, Promotion]
) -> None:
    fine, otherwise = ends["compared-fine"], ends["compared-otherwise"]
    assert fine["status"] == "succeeded", fine["reason"]
    assert evidence(fine)["job"]["metrics"][0]["candidate"] == 0
    assert otherwise["status"] == "refused", otherwise["reason"]
    assert "metric disagreement of job" in failure(otherwise)["reason"]
    assert list((await cloud.azure.deployments("prod", "compared-otherwise")).values()) == ["1"]


async def test_the_figures_of_each_minute_are_kept_and_told(cloud: Cloud, ends: Mapping[str, Promotion]) -> None:
    promotion = ends["compared-fine"]
    answer = await cloud.promotions.request(f"/{promotion['id']}/series")
    (stage,) = answer.json()["stages"]
    assert stage["name"] == "prod"
    assert len({minute["deployment"] for minute in stage["minutes"]}) == 2
    assert sum(minute.get("requests", 0) for minute in stage["minutes"]) > 20
    assert any(minute.get("latency_p95") for minute in stage["minutes"])
