"""Stages that wait: a soak of seconds, a window that opens in hours, a freeze, and holds that people release.

The timer that wakes what waits for a time runs only when a test lets it, and the app's clock goes ahead for the window.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from examples.demo.promotions import Promotion
from localcloud.up import Description
from mlpromote.statuses import ENDED
from shared.core.held_back import LOOK_AGAIN
from tests.e2e import moved_clock
from tests.e2e.azure import until
from tests.e2e.conftest import Cloud, describe, without_timers
from tests.e2e.held_app import held
from tests.e2e.promoting import LONGEST, journal
from tests.signing_in import bearer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOAK = timedelta(seconds=20)
PEOPLE = {"alice": {"roles": ["Promotion.Operator"]}}


@pytest.fixture(scope="module")
def opens() -> datetime:
    """When the window opens."""
    return datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=12)


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that says how far the app's clock is ahead."""
    file = tmp_path_factory.mktemp("clock") / "ahead"
    moved_clock.set_ahead(file, timedelta(0))
    return file


@pytest.fixture(scope="module")
def description(opens: datetime, clock: Path, tmp_path_factory: pytest.TempPathFactory) -> Description:
    described = describe("tests/e2e/patient/promotion.yml", "dev", "test", "prod", people=PEOPLE)
    assert described.app is not None
    window = {"OPENS": f"{opens:%H:%M}", "CLOSES": f"{opens + timedelta(hours=1):%H:%M}"}
    settings = {**described.app.settings, **window, moved_clock.FILE: str(clock)}
    described = described.model_copy(update={"app": described.app.model_copy(update={"settings": settings})})
    copied = held(described, tmp_path_factory.mktemp("waiting") / "app", moved_clock.CHANGES)
    return without_timers(copied, "reconcile")


class Operator:
    """alice, over HTTP."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def __call__(self, path: str, **body: str) -> Mapping[str, Any]:
        addresses = self._cloud.parts.addresses
        headers = await asyncio.to_thread(bearer, addresses, "alice")
        headers["x-functions-key"] = addresses["functions"]["keys"]["default"]
        url = f"{addresses['functions']['url']}/api/{path}"
        async with self._cloud.http.post(url, headers=headers, json={"reason": "a test", **body}) as answer:
            document: Mapping[str, Any] = json.loads(await answer.text())
            assert answer.status == 202, document
            return document


@pytest.fixture
def operator(cloud: Cloud) -> Operator:
    return Operator(cloud)


async def waiting(cloud: Cloud, model: str, what: str, version: str = "1") -> Promotion:
    """The promotion, once it waits for this."""

    async def look() -> Promotion | None:
        found = await cloud.promotions.find(model, version)
        return found if found and what in (found["waits_for"] or "") else None

    return await until(look, f"{model} {version} waits for {what}")


async def succeeded(cloud: Cloud, model: str) -> Promotion:
    """The promotion of version 1, once it has succeeded; meanwhile the timer runs again and again."""

    async def look() -> Promotion | None:
        await cloud.run_timer("reconcile")
        found = await cloud.promotions.find(model, "1")
        return found if found and found["status"] in ENDED else None

    promotion = await until(look, f"the promotion of {model} has ended", LONGEST, again=1)
    assert promotion["status"] == "succeeded", promotion["reason"]
    return promotion


def step(promotion: Promotion, stage: str, name: str) -> Mapping[str, Any]:
    steps = next(each["steps"] for each in promotion["stages"] if each["name"] == stage)
    return dict(next(each for each in steps if each["name"] == name))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_prod_does_nothing_before_test_has_served_for_long_enough_although_the_app_dies_meanwhile(
    cloud: Cloud,
) -> None:
    await cloud.azure.register("soaked-one", "1")
    found = await waiting(cloud, "soaked-one", "prod: soak: test must serve it for 20 s")
    assert [each["name"] for each in found["stages"][1]["steps"] if each["started"]] == ["soak"]
    assert await cloud.azure.endpoints("prod") == []
    await cloud.parts.kill("functions")
    await cloud.parts.restart("functions")
    promotion = await succeeded(cloud, "soaked-one")
    served, begun = step(promotion, "test", "shift")["ended"], step(promotion, "prod", "validate")["started"]
    assert moment(begun) - moment(served) >= SOAK
    assert await cloud.azure.only_deployment("prod", "soaked-one") == "1"


async def test_a_frozen_app_lets_nothing_in_rolls_back_all_the_same_and_goes_on_when_it_is_released(
    cloud: Cloud, operator: Operator
) -> None:
    for version in ("1", "2"):
        await cloud.azure.register("plain-one", version)
        await cloud.promotions.succeeded("plain-one", version)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    answer = await operator("holds", scope="everything", until=f"{tomorrow:%Y-%m-%dT%H:%MZ}")
    assert answer["done"].startswith("everything is held until ")
    await cloud.parts.kill("functions")
    await cloud.parts.restart("functions")
    await cloud.azure.register("plain-new", "1")
    await waiting(cloud, "plain-new", "prod: the hold on everything to end at ")

    second = await cloud.promotions.find("plain-one", "2")
    assert second is not None
    await operator(f"promotions/{second['id']}/roll-back")
    assert (await cloud.promotions.ended("plain-one", "2"))["status"] == "rolled-back"
    assert await cloud.azure.only_deployment("prod", "plain-one") == "1"
    assert "plain-new" not in await cloud.azure.endpoints("prod")

    await operator("holds/release", scope="everything")
    promotion = await cloud.promotions.succeeded("plain-new")
    assert journal(promotion)[:3] == ["requested", "held", "stage-started"]
    held, started = promotion["journal"][1:3]
    assert "set by alice: a test" in held["text"]
    assert moment(started["at"]) > moment(held["at"])


async def test_a_release_of_one_stage_starts_at_once_what_had_waited_for_it(cloud: Cloud, operator: Operator) -> None:
    await operator("holds", scope="plain/*/prod")
    await cloud.azure.register("plain-two", "1")
    await waiting(cloud, "plain-two", "prod: the hold on plain/*/prod to be released, set by alice")
    await operator("holds/release", scope="plain/*/prod")
    promotion = await cloud.promotions.succeeded("plain-two")  # the timer never runs, so only the release can start it
    assert journal(promotion).count("stage-started") == 1
    [held_back] = [entry for entry in promotion["journal"] if entry["what"] == "held"]
    [started] = [entry for entry in promotion["journal"] if entry["what"] == "stage-started"]
    assert moment(started["at"]) - moment(held_back["at"]) < LOOK_AGAIN, "before it would have looked again by itself"


async def test_nothing_is_deployed_before_the_window_opens(cloud: Cloud, clock: Path, opens: datetime) -> None:
    await cloud.azure.register("windowed-one", "1")
    await waiting(cloud, "windowed-one", f"its window opens {opens:%a %Y-%m-%d %H:%M} UTC")
    await cloud.run_timer("reconcile")
    moved_clock.set_ahead(clock, opens - timedelta(minutes=1) - datetime.now(UTC))
    await cloud.run_timer("reconcile")
    assert await cloud.azure.deployments("prod", "windowed-one") == {}
    moved_clock.set_ahead(clock, opens - datetime.now(UTC))
    promotion = await succeeded(cloud, "windowed-one")
    assert "waits deploy" in journal(promotion)
    assert opens <= moment(step(promotion, "prod", "deploy")["started"]) < opens + timedelta(hours=1)
