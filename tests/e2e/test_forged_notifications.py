"""Notifications forged by somebody who has the webhook's key: none of them makes anything true. Real registrations are
not delivered here, and the app does not look for them, so the forged one is the first that it hears of its model.
"""

from typing import Any

import pytest
from azure.ai.ml import Output, command
from azure.ai.ml.entities import Job

from examples.demo.promotions import Promotion
from localcloud.up import Description
from tests.e2e.conftest import Cloud, describe, without_timers
from tests.e2e.events import deliver, model_registered, run_completed
from tests.e2e.promoting import failure, journal

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRAINED, EXPERIMENT = "tagged-trained", "tagged-training"
TAGS = {"promote": "true"}


@pytest.fixture(scope="module")
def description() -> Description:
    only = ("Microsoft.MachineLearningServices.ModelDeployed",)
    unheard = {"function": "take_events", "path": "api/events", "included_event_types": only}
    described = describe("tests/e2e/forged/promotion.yml", "dev", "prod", event_subscriptions=unheard)
    return without_timers(described, "catch_up")


async def forge(cloud: Cloud, model: str, workspace: str = "dev") -> None:
    """Say that version 1 was registered in a workspace, with the tags that the route asks for."""
    event = model_registered(cloud, model, "1")
    data = event["data"] | {"ModelTags": TAGS}
    source = cloud.parts.layout.workspace_ids.get(workspace, workspace)
    assert await deliver(cloud, event | {"topic": source, "data": data}) in (200, 202)


async def nothing_was_made(cloud: Cloud, model: str) -> bool:
    """There is neither a copy in the registry nor an endpoint in prod."""
    assert await cloud.azure.registry_versions(model) == []
    assert await cloud.azure.traffic("prod", model) is None
    return True


def only_looked(promotion: Promotion) -> bool:
    """Whether the promotion ended at its first step."""
    return [each for each in journal(promotion) if each.startswith("step-succeeded")] == []


async def test_a_version_that_does_not_exist_is_recorded_as_just_that(cloud: Cloud) -> None:
    await forge(cloud, "tagged-nowhere")
    promotion = await cloud.promotions.failed("tagged-nowhere")
    assert "There is no model tagged-nowhere, version 1, in dev" in promotion["reason"]
    assert only_looked(promotion)
    assert await nothing_was_made(cloud, "tagged-nowhere")


async def test_a_version_of_another_workspace_is_not_taken_for_one_of_this(cloud: Cloud) -> None:
    name = "tagged-prods-own"
    files = "azureml://datastores/workspaceblobstore/paths/somewhere/"
    body = {"properties": {"modelUri": files, "modelType": "custom_model", "tags": TAGS}}
    path = f"{cloud.parts.layout.workspace_ids['prod']}/models/{name}/versions/1"
    await cloud.azure.call("PUT", path, json=body)
    await forge(cloud, name)
    promotion = await cloud.promotions.failed(name)
    assert f"There is no model {name}, version 1, in dev" in promotion["reason"]
    assert await nothing_was_made(cloud, name)


async def test_an_event_in_the_name_of_a_workspace_where_no_route_starts_is_ignored(cloud: Cloud) -> None:
    await forge(cloud, "tagged-from-prod", workspace="prod")
    promotion = await cloud.promotions.ended("tagged-from-prod")
    assert promotion["status"] == "ignored"
    assert "no route takes tagged-from-prod from prod" in promotion["reason"]
    assert await nothing_was_made(cloud, "tagged-from-prod")


async def test_an_event_in_the_name_of_a_workspace_that_nobody_knows_starts_nothing(cloud: Cloud) -> None:
    stranger = cloud.parts.layout.workspace_ids["dev"].replace("ws-dev", "ws-strange")
    await cloud.azure.register("tagged-strange", "1")
    await forge(cloud, "tagged-strange", workspace=stranger)
    await forge(cloud, "tagged-later")
    await cloud.promotions.ended("tagged-later")
    assert await cloud.promotions.all_of("tagged-strange") == []
    assert await nothing_was_made(cloud, "tagged-strange")


async def test_tags_that_the_model_does_not_have_are_read_where_it_is_registered(cloud: Cloud) -> None:
    await cloud.azure.register("tagged-untagged", "1")
    await forge(cloud, "tagged-untagged")
    promotion = await cloud.promotions.ended("tagged-untagged")
    assert promotion["status"] == "refused"
    assert failure(promotion)["kind"] == "refused"
    assert "promote=true" in promotion["reason"]
    assert await nothing_was_made(cloud, "tagged-untagged")


async def test_a_job_that_never_ran_registers_nothing(cloud: Cloud) -> None:
    assert await deliver(cloud, run_completed(cloud, "never-ran", EXPERIMENT)) in (200, 202)
    promotion = await registration(cloud, "never-ran")
    assert promotion["status"] == "failed"
    assert "There is no job never-ran in dev" in failure(promotion)["reason"]
    assert await cloud.azure.versions(TRAINED) == []


@pytest.mark.parametrize(
    ("name", "experiment", "line", "says"),
    [
        ("failed", EXPERIMENT, "exit 3", "ended as Failed: nothing was registered"),
        ("elsewhere", "trials", "echo made > ${{outputs.model}}/model.txt", "belongs to experiment trials"),
    ],
)
async def test_a_job_that_is_not_what_the_event_says_registers_nothing(
    name: str, experiment: str, line: str, says: str, cloud: Cloud
) -> None:
    await cloud.azure.run(job(name, experiment, line))
    assert await deliver(cloud, run_completed(cloud, name, EXPERIMENT)) in (200, 202)
    promotion = await registration(cloud, name)
    assert promotion["status"] == "refused"
    assert says in failure(promotion)["reason"]
    assert await cloud.azure.versions(TRAINED) == []


async def registration(cloud: Cloud, name: str) -> Promotion:
    """What finally became of a job's output."""
    return await cloud.promotions.ended(TRAINED, name, kind="job")


def job(name: str, experiment: str, line: str) -> Job:
    outputs: Any = {"model": Output(type="custom_model")}
    environment = "azureml://registries/azureml/environments/sklearn-1.5/labels/latest"
    return command(name=name, command=line, environment=environment, experiment_name=experiment, outputs=outputs)
