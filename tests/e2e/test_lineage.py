"""Models that are promoted without a copy, and their origin according to the app."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import MLClient, Output, command, dsl
from azure.ai.ml.entities import Model, PipelineJob, PipelineJobSettings

from localcloud.up import Description
from tests.e2e.conftest import Cloud, describe
from tests.e2e.test_jobs import ENVIRONMENT

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEASURING = "import mlflow; mlflow.log_metric('auc', 0.75)"


@pytest.fixture(scope="module")
def description() -> Description:
    return describe("tests/e2e/traced/promotion.yml", "dev", "prod")


async def test_a_model_of_a_step_is_measured_by_another_deployed_where_it_is_and_traced(
    cloud: Cloud, tmp_path: Path
) -> None:
    (tmp_path / "measure.py").write_text(MEASURING)
    assert await cloud.azure.run(in_steps("whole", "home-a", tmp_path)) == "Completed"
    promotion = await cloud.promotions.succeeded("home-a")
    share, validate = (promotion["stages"][0]["steps"][number] for number in (0, 1))
    assert share["evidence"]["metrics"] == {"auc": 0.75}
    (gate,) = (each for each in validate["evidence"]["gates"] if each["gate"] == "metric auc")
    assert "logged by measure" in gate["seen"]
    assert await cloud.azure.only_deployment("dev", "home-a") == "1"
    assert await cloud.azure.registry_versions("home-a") == []
    found = {each["reference"]: each["facts"] for each in nodes((await lineage(cloud, "dev/home-a"))["serves"][0])}
    assert "commit:f00ba12f00ba12" in found
    assert found["job:whole"]["status"] == "Completed"
    assert [facts["step"] for facts in found.values() if "step" in facts] == ["train"]
    forward = await lineage(cloud, "?of=commit:f00ba12")
    assert [each["endpoint"] for each in forward["value"]] == ["home-a"]


async def test_a_model_that_was_registered_in_the_registry_is_started_by_a_person(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text("direct-a 1")
    model = Model(name="direct-a", version="1", path=str(tmp_path / "model.txt"))
    await asyncio.to_thread(registry(cloud).models.create_or_update, model)
    body = {"model": "direct-a", "version": "1", "reason": "a test", "source": "registry"}
    functions = cloud.parts.addresses["functions"]
    headers = {"x-functions-key": functions["keys"]["default"]}
    async with cloud.http.post(f"{functions['url']}/api/promotions", json=body, headers=headers) as answer:
        assert answer.status == 202, await answer.text()
    promotion = await cloud.promotions.succeeded("direct-a")
    assert promotion["candidate"]["workspace"] == "azureml://registries/contoso-ml"
    assert await cloud.azure.only_deployment("prod", "direct-a") == "1"
    (served,) = (await lineage(cloud, "prod/direct-a"))["serves"]
    (asset,) = (each for each in nodes(served) if each["kind"] == "model")
    assert (asset["reference"], asset["facts"]["registry"]) == ("model:direct-a:1", "contoso-ml")


# --- what the tests ask ----------------------------------------------------------------------------------------------


async def lineage(cloud: Cloud, path: str) -> Any:
    functions = cloud.parts.addresses["functions"]
    address = f"{functions['url']}/api/lineage{path if path.startswith('?') else f'/{path}'}"
    async with cloud.http.get(address, headers={"x-functions-key": functions["keys"]["default"]}) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


def nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for below in node["from"]:
        yield from nodes(below)


def registry(cloud: Cloud) -> MLClient:
    """The SDK, for somebody who registers in the registry."""
    dev = cloud.azure.dev
    content = {key: value for key, value in cloud.parts.addresses["azureml"]["cloud"].items() if key != "name"}
    return MLClient(
        dev._credential,
        registry_name="contoso-ml",
        cloud=f"LocalCloud{cloud.parts.addresses['ports']['azureml']}",
        cloud_metadata=content,
    )


def in_steps(name: str, model: str, code: Path) -> PipelineJob:
    """A pipeline job whose step `train` registers version 1 of the model, and whose step `measure` logs its metric."""
    outputs: Any = {"model": Output(type="custom_model", name=model, version="1")}
    train = command(
        name="train",
        command="echo trained > ${{outputs.model}}/model.txt",
        environment=ENVIRONMENT,
        outputs=outputs,
    )
    measure = command(name="measure", command="python measure.py", environment=ENVIRONMENT, code=code)

    def both() -> None:
        train().name = "train"
        measure().name = "measure"

    pipeline: PipelineJob = dsl.pipeline(both)()
    pipeline.name, pipeline.experiment_name = name, "traced"
    pipeline.settings = PipelineJobSettings(default_compute="cpu")
    pipeline.properties["mlflow.source.git.commit"] = "f00ba12f00ba12"
    return pipeline
