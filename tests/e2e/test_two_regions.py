"""Two regions of prod side by side, by the example's own configuration, model and deployment files."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from azure.ai.ml import load_job
from azure.ai.ml.entities import Model

from localcloud.up import Description
from tests.e2e.azure import until
from tests.e2e.conftest import REPOSITORY, Cloud, describe

pytestmark = pytest.mark.asyncio(loop_scope="module")

JOB = REPOSITORY / "examples" / "digits" / "train" / "job.yml"


@pytest.fixture(scope="module")
def description() -> Description:
    return describe("examples/two-regions/promotion.yml", "dev", "test", "prod-west", "prod-north")


async def test_both_roll_out_at_once_and_one_that_fails_leaves_the_other(cloud: Cloud) -> None:
    await cloud.azure.fault("out_of_quota", "PUT", "*/workspaces/ws-prod-north/*")
    await register(cloud, await train(cloud))
    promotion = await cloud.promotions.failed("digits")

    stages = {stage["name"]: stage for stage in promotion["stages"]}
    assert {name: stage["status"] for name, stage in stages.items()} == {
        "test": "succeeded",
        "prod-west": "succeeded",
        "prod-north": "failed",
    }
    west, north = (span(step(stages[name], "deploy")) for name in ("prod-west", "prod-north"))
    assert max(west[0], north[0]) < min(west[1], north[1])
    assert span(stages["test"])[1] <= min(west[0], north[0])
    assert step(stages["prod-north"], "deploy")["failure"]["kind"] == "quota"
    assert promotion["reason"].startswith("prod-north: ")

    assert await cloud.azure.only_deployment("prod-west", "digits") == "1"
    assert await cloud.azure.deployments("prod-north", "digits") == {}
    assert await cloud.azure.only_deployment("test", "digits-test") == "1"


async def train(cloud: Cloud) -> str:
    """The name of the example's training job, which has completed."""
    jobs = cloud.azure.dev.jobs
    name: str = (await asyncio.to_thread(jobs.create_or_update, load_job(JOB))).name

    async def completed() -> bool:
        status = str((await asyncio.to_thread(jobs.get, name)).status.value)
        assert status not in ("Failed", "Canceled")
        return status == "Completed"

    await until(completed, "the training job has completed")
    return name


async def register(cloud: Cloud, job: str) -> None:
    path = f"azureml://jobs/{job}/outputs/model"
    model = Model(name="digits", version="1", path=path, type="custom_model", tags={"promote": "true"})
    await asyncio.to_thread(cloud.azure.dev.models.create_or_update, model)


def step(stage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    (found,) = [each for each in stage["steps"] if each["name"] == name]
    return dict(found)


def span(what: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """From when to when a stage or step was under way."""
    return datetime.fromisoformat(what["started"]), datetime.fromisoformat(what["ended"])
