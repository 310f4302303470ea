"""Models whose traffic moves gradually, with real scoring servers, real requests, and the figures that these leave.

One candidate is slower than the champion, one fails for some of its requests, and one is fine. The last is rolled back
by a person within the time that the champion's deployment is kept.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from examples.demo.promotions import Promotion
from examples.demo.request_loop import RequestLoop
from localcloud.up import Description
from shared.http.authorisation import OPERATOR
from tests.e2e.azure import HeldCall, until
from tests.e2e.catching import caught_in
from tests.e2e.conftest import Cloud, describe
from tests.e2e.held_app import held
from tests.e2e.promoting import journal

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: By candidate: what its model is.
CANDIDATES = {"unmirrored-slow": "slow", "rolling-faulty": "faulty", "rolling-fine": None}
GOOD = "rolling-fine"
#: Loops of requests to each endpoint.
LOOPS = 3
#: Seconds between two requests of a loop: enough for the minimum of the route, and not all that the machine can do.
PAUSE = 0.1
#: Calls to the metrics that fail.
AWAY = 4


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Description:
    """Minutes of the metrics last a second."""
    metrics = {"delay_seconds": 0.5, "minute_seconds": 1}
    python = describe("x", "dev").azureml
    azureml, people = {**python, "metrics": metrics}, {"alice": {"roles": [OPERATOR]}}
    described = describe("tests/e2e/rolling/promotion.yml", "dev", "prod", azureml=azureml, people=people)
    return held(described, tmp_path_factory.mktemp("rolling") / "app")


@dataclass(frozen=True)
class Rolled:
    """What became of the candidates, and of the users of their endpoints; by model."""

    ends: Mapping[str, Promotion]
    users: Mapping[str, list[RequestLoop]]
    #: The shares of the versions of the good one after each change of its traffic.
    shares: list[dict[str, int]]
    metrics_were_away: bool  #: in the middle of the rollout of the good one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rolled(cloud: Cloud) -> AsyncIterator[Rolled]:
    """Version 1 of each model serves, and version 2 has been promoted while people used the endpoint."""
    await asyncio.gather(*(cloud.azure.register(model, "1") for model in CANDIDATES))
    await asyncio.gather(*(cloud.promotions.succeeded(model) for model in CANDIDATES))
    async with AsyncExitStack() as stack:
        users = {
            model: await stack.enter_async_context(cloud.azure.crowd(LOOPS, "prod", model, pause_seconds=PAUSE))
            for model in CANDIDATES
        }
        first_change = await cloud.azure.hold("PUT", f"*/onlineEndpoints/{GOOD}")
        for model, content in CANDIDATES.items():
            await cloud.azure.register(model, "2", content)
        shares, away = await watched_changes(cloud, first_change)
        ends = await asyncio.gather(*(cloud.promotions.ended(model, "2") for model in CANDIDATES))
    yield Rolled(dict(zip(CANDIDATES, ends, strict=True)), users, shares, await cloud.azure.has_struck(away))


async def watched_changes(cloud: Cloud, change: HeldCall) -> tuple[list[dict[str, int]], int]:
    """The shares of the versions after each change of the good one's traffic, until the candidate has everything.

    The answer to each change is held until it was looked at, so none is missed. From the first live share on, the next
    readings of the metrics fail; the number of that fault comes second.
    """
    seen: list[dict[str, int]] = []
    away = 0
    while True:
        await change.reached()
        seen.append(await cloud.azure.shares_of("prod", GOOD))
        if not away and len(seen[-1]) == 2:
            metrics = f"*/onlineEndpoints/{GOOD}/providers/*/metrics"
            away = await cloud.azure.fault("error", "GET", metrics, count=AWAY)
        if seen[-1] == {"2": 100}:
            await change.release()
            return seen, away
        change = await change.next()


def step(promotion: Promotion, name: str) -> Mapping[str, Any]:
    (stage,) = promotion["stages"]
    return dict(next(each for each in (*stage["steps"], *stage["undoing"]) if each["name"] == name))


def failed_step(promotion: Promotion) -> Mapping[str, Any]:
    (stage,) = promotion["stages"]
    return dict(next(each for each in stage["steps"] if each["failure"]))


async def test_a_slower_candidate_comes_back_with_the_latencies_of_both(cloud: Cloud, rolled: Rolled) -> None:
    promotion = rolled.ends["unmirrored-slow"]
    assert promotion["status"] == "refused", promotion["reason"]
    failed = failed_step(promotion)
    assert failed["name"].startswith("rollout-")
    assert "latency_p95" in failed["failure"]["reason"]
    live = failed["evidence"]["seen"]["live"]
    assert live["candidate"]["latency_p95"] > live["champion"]["latency_p95"] + 1500
    assert await cloud.azure.only_deployment("prod", "unmirrored-slow") == "1"


async def test_a_candidate_that_fails_for_some_requests_comes_back_with_both_error_rates(
    cloud: Cloud, rolled: Rolled
) -> None:
    promotion = rolled.ends["rolling-faulty"]
    assert promotion["status"] == "refused", promotion["reason"]
    failed = failed_step(promotion)
    assert "error_rate" in failed["failure"]["reason"]
    live = failed["evidence"]["seen"]["live"]
    assert live["candidate"]["error_rate"] > 0.01
    assert live["champion"]["error_rate"] == 0
    assert await cloud.azure.only_deployment("prod", "rolling-faulty") == "1"


async def test_a_good_candidate_gets_more_and_more_until_it_has_everything(cloud: Cloud, rolled: Rolled) -> None:
    promotion = rolled.ends["rolling-fine"]
    assert promotion["status"] == "succeeded", promotion["reason"]
    mirrored = {"1": 100}
    assert rolled.shares == [mirrored, {"1": 70, "2": 30}, {"1": 40, "2": 60}, {"2": 100}]
    assert step(promotion, "rollout-1")["evidence"]["mirror"]
    assert step(promotion, "rollout-2")["evidence"]["seen"]["live"]["requests"] >= 40
    assert sorted((await cloud.azure.deployments("prod", "rolling-fine")).values()) == ["1", "2"], "the old one is kept"
    (stage,) = promotion["stages"]
    assert stage["kept_until"]


async def test_metrics_that_are_away_in_the_middle_turn_nothing_back(rolled: Rolled) -> None:
    assert rolled.metrics_were_away
    promotion = rolled.ends["rolling-fine"]
    assert promotion["status"] == "succeeded", promotion["reason"]
    assert step(promotion, "rollout-2")["evidence"]["seen"]["no_verdict"] == ""


async def test_no_request_fails_but_those_that_the_model_itself_failed(rolled: Rolled) -> None:
    for model, loops in rolled.users.items():
        failed = sum((loop.failed_as for loop in loops), Counter[str]())
        told = [text for loop in loops for text in loop.failures]
        assert set(failed) == ({"424"} if model == "rolling-faulty" else set()), told
        sent = sum(loop.sent for loop in loops)
        assert sent > 100
        assert failed.total() <= sent * 0.03


async def test_within_the_time_that_it_is_kept_a_rollback_is_one_change_of_the_traffic(
    cloud: Cloud, rolled: Rolled
) -> None:
    promotion = rolled.ends["rolling-fine"]
    made = len(await cloud.azure.calls("PUT", "*/onlineEndpoints/rolling-fine/deployments/*"))
    moved = len(await cloud.azure.calls("PUT", "*/onlineEndpoints/rolling-fine"))
    async with cloud.azure.users("prod", "rolling-fine", pause_seconds=PAUSE) as users:
        await cloud.promotions.accepted(promotion["id"], "roll-back", reason="wrong answers")

        async def has_come_back() -> bool:
            return await cloud.azure.traffic("prod", "rolling-fine") == {name_of_first: 100}

        versions = await cloud.azure.deployments("prod", "rolling-fine")
        name_of_first = next(name for name, version in versions.items() if version == "1")
        await until(has_come_back, "version 1 has all traffic again")

        async def has_ended() -> bool:
            found = await cloud.promotions.find("rolling-fine", "2")
            return found is not None and found["status"] == "rolled-back"

        await until(has_ended, "the rollback has ended")
    assert users.failed == 0, users.failures
    assert len(await cloud.azure.calls("PUT", "*/onlineEndpoints/rolling-fine/deployments/*")) == made
    assert len(await cloud.azure.calls("PUT", "*/onlineEndpoints/rolling-fine")) == moved + 1
    found = await cloud.promotions.find("rolling-fine", "2")
    assert found is not None
    assert "rolled-back" in journal(found)
    assert await cloud.azure.only_deployment("prod", "rolling-fine") == "1"


async def test_what_fails_while_it_is_watched_comes_back_by_itself_and_holds_the_stage(cloud: Cloud) -> None:
    model = "watched-later"
    await cloud.azure.register(model, "1")
    await cloud.promotions.succeeded(model)
    await cloud.azure.register(model, "2", "spoilt")

    await cloud.promotions.comes_to(model, "2", "watch")
    async with cloud.azure.crowd(LOOPS, "prod", model, {"spoil": True}, PAUSE):
        promotion = await cloud.promotions.ended(model, "2")
    assert promotion["status"] == "rolled-back", promotion["reason"]
    assert promotion["reason"].startswith("prod: rolled back by mlpromote: Refused for prod")
    assert "error_rate" in step(promotion, "watch")["failure"]["reason"]
    assert await cloud.azure.only_deployment("prod", model) == "1"
    await cloud.azure.register(model, "3")

    async def waits() -> bool:
        found = await cloud.promotions.find(model, "3")
        return found is not None and any("the hold on prod" in wait["for"] for wait in found["waits"])

    await until(waits, "version 3 waits for the hold to be released")


async def test_traffic_that_a_person_moves_in_the_middle_stops_the_rollout_and_stays_where_it_was_put(
    cloud: Cloud,
) -> None:
    model = "timed-by-hand"
    await cloud.azure.register(model, "1")
    await cloud.promotions.succeeded(model)
    change = await cloud.azure.hold("PUT", f"*/onlineEndpoints/{model}")
    await cloud.azure.register(model, "2")
    change = await caught_in(cloud, "rollout-2", change, model, "2")
    assert len(await cloud.azure.shares_of("prod", model)) == 2, "version 2 has its share"
    names = await cloud.azure.deployments("prod", model)
    by_hand = dict.fromkeys(names, 50)
    async with cloud.azure.users("prod", model, pause_seconds=0.02) as users:
        await cloud.azure.move_traffic("prod", model, by_hand)
        await change.release()
        promotion = await cloud.promotions.ended(model, "2")
    assert promotion["status"] == "failed", promotion["reason"]
    assert "which is not what this promotion left, so it was left alone" in failed_step(promotion)["failure"]["reason"]
    assert all(f"{name} (50 %)" in failed_step(promotion)["failure"]["reason"] for name in names)
    assert await cloud.azure.traffic("prod", model) == by_hand
    assert sorted((await cloud.azure.deployments("prod", model)).values()) == ["1", "2"]
    assert users.failed == 0, users.failures
