"""`kill -9` of the parts that the app depends on, each while it holds something of a promotion."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from localcloud.up.local_cloud import START_ORDER
from tests.e2e.azure import DEADLINE, until
from tests.e2e.conftest import Cloud
from tests.e2e.promoting import journal

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_broker_dies_while_a_worker_is_at_work(cloud: Cloud) -> None:
    await cloud.azure.register("tiny-broker", "1")
    await cloud.promotions.succeeded("tiny-broker")
    async with cloud.azure.users("prod", "tiny-broker") as users:
        deploying = await cloud.azure.hold("PUT", "*/tiny-broker/deployments/*")
        await cloud.azure.register("tiny-broker", "2")
        await deploying.reached()
        await cloud.parts.kill("servicebus")
        await cloud.parts.restart("servicebus")
        await deploying.release()
        promotion = await cloud.promotions.succeeded("tiny-broker", "2")
    assert journal(promotion).count("step-succeeded deploy") == 1
    assert await cloud.azure.only_deployment("prod", "tiny-broker") == "2"
    assert users.failed == 0, users.failures


async def test_azure_ml_dies_while_it_deploys(cloud: Cloud, tmp_path: Path) -> None:
    may_start = tmp_path / "may-start"
    await cloud.azure.register("tiny-plane", "1", f"waits for {may_start}")
    states = await until(lambda: cloud.azure.states("prod", "tiny-plane"), "a deployment has begun")
    assert states == ["Creating"]
    await cloud.parts.kill("azureml")
    await cloud.parts.restart("azureml")
    assert await cloud.azure.states("prod", "tiny-plane") == ["Creating"]
    may_start.touch()
    promotion = await cloud.promotions.succeeded("tiny-plane")
    assert journal(promotion).count("step-succeeded deploy") == 1
    assert await cloud.azure.only_deployment("prod", "tiny-plane") == "1"
    async with cloud.azure.users("prod", "tiny-plane") as users:
        await users.until_answered(next(iter(await cloud.azure.deployments("prod", "tiny-plane"))), 1, DEADLINE)
    assert users.failed == 0, users.failures


async def test_everything_dies_at_once(cloud: Cloud, tmp_path: Path) -> None:
    may_start = tmp_path / "may-start"
    await cloud.azure.register("tiny-power", "1", f"waits for {may_start}")
    await until(lambda: cloud.azure.states("prod", "tiny-power"), "a deployment has begun")
    parts = [part for group in START_ORDER for part in group]
    await asyncio.gather(*(cloud.parts.kill(part) for part in parts))
    for part in parts:
        await cloud.parts.restart(part)
    may_start.touch()
    await cloud.promotions.succeeded("tiny-power")
    assert await cloud.azure.only_deployment("prod", "tiny-power") == "1"


async def test_event_grid_dies_with_an_event_that_the_app_has_not_got_yet(cloud: Cloud) -> None:
    await cloud.parts.kill("functions")
    await cloud.azure.register("stray-event", "1")
    await until(lambda: event_waits(cloud), "Event Grid has the event")
    await cloud.parts.kill("eventgrid")
    await cloud.parts.restart("eventgrid")
    await cloud.parts.restart("functions")
    promotion = await cloud.promotions.ended("stray-event")
    assert promotion["status"] == "ignored"
    assert len(await cloud.promotions.all_of("stray-event")) == 1


async def event_waits(cloud: Cloud) -> bool:
    """Whether Event Grid holds an event of the dev workspace that it has not delivered."""
    url = f"{cloud.parts.addresses['eventgrid']['url']}/health"
    async with cloud.http.get(url) as answer:
        health: dict[str, Any] = await answer.json()
    return bool(health["subscriptions"]["ws-dev-take-events"]["waiting"])
