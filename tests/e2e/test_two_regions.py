"""Two regions of prod side by side, by the example's own configuration, model and deployment files."""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from azure.ai.ml import load_job
from azure.ai.ml.entities import Model

from examples.demo.promotions import Promotion
from localcloud.up import Description
from tests.e2e.conftest import REPOSITORY, Cloud, describe

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLE = REPOSITORY / "examples" / "digits"
JOB = EXAMPLE / "train" / "job.yml"
QUESTION = json.loads((EXAMPLE / "smoke" / "digits.jsonl").read_text().splitlines()[0])["request"]
REGIONS = ("prod-west", "prod-north")


@pytest.fixture(scope="module")
def description() -> Description:
    described = describe("examples/two-regions/promotion.yml", "dev", "test", *REGIONS)
    north = described.environments["prod-north"].model_copy(update={"reads_subscription": True})
    return described.model_copy(update={"environments": {**described.environments, "prod-north": north}})


async def test_both_regions_roll_out_at_once(cloud: Cloud) -> None:
    assert await cloud.azure.run(load_job(JOB, params_override=[{"name": "training"}])) == "Completed"
    calls = [await cloud.azure.hold("PUT", f"*/workspaces/ws-{region}/*/deployments/*") for region in REGIONS]
    await register(cloud, "1")
    for call in calls:
        await call.reached()
    for call in calls:
        await call.release()
    promotion = await cloud.promotions.succeeded("digits")
    west, north = (span(step(stage_of(promotion, region), "deploy")) for region in REGIONS)
    assert span(stage_of(promotion, "test"))[1] <= min(west[0], north[0])
    assert max(west[0], north[0]) < min(west[1], north[1])
    for region in REGIONS:
        assert await cloud.azure.only_deployment(region, "digits") == "1"


async def test_a_region_that_fails_keeps_its_champion_and_leaves_the_other_alone(cloud: Cloud) -> None:
    await cloud.azure.fault("out_of_quota", "PUT", "*/workspaces/ws-prod-north/*")
    users = cloud.azure.users
    async with users("prod-west", "digits", QUESTION) as west, users("prod-north", "digits", QUESTION) as north:
        await register(cloud, "2")
        promotion = await cloud.promotions.failed("digits", "2")
    statuses = {stage["name"]: stage["status"] for stage in promotion["stages"]}
    assert statuses == {"test": "succeeded", "prod-west": "succeeded", "prod-north": "failed"}
    assert step(stage_of(promotion, "prod-north"), "deploy")["failure"]["kind"] == "quota"
    assert promotion["reason"].startswith("prod-north: ")
    assert await cloud.azure.only_deployment("prod-west", "digits") == "2"
    assert await cloud.azure.only_deployment("prod-north", "digits") == "1"
    assert (west.failures, north.failures) == ([], [])


async def register(cloud: Cloud, version: str) -> None:
    """Register the output of the training job as a version that asks to be promoted."""
    path = "azureml://jobs/training/outputs/model"
    model = Model(name="digits", version=version, path=path, type="custom_model", tags={"promote": "true"})
    await asyncio.to_thread(cloud.azure.dev.models.create_or_update, model)


def stage_of(promotion: Promotion, name: str) -> Mapping[str, Any]:
    (found,) = [each for each in promotion["stages"] if each["name"] == name]
    return dict(found)


def step(stage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    (found,) = [each for each in stage["steps"] if each["name"] == name]
    return dict(found)


def span(what: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """From when to when a stage or step was under way."""
    return datetime.fromisoformat(what["started"]), datetime.fromisoformat(what["ended"])
