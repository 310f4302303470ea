"""Jobs of the dev workspace: what becomes of their outputs."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Output, command, dsl
from azure.ai.ml.entities import CommandComponent, Job, PipelineJob, PipelineJobSettings

from examples.demo.promotions import Promotion
from tests.e2e.azure import until
from tests.e2e.conftest import Cloud
from tests.e2e.events import publish, run_completed
from tests.e2e.promoting import failure

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODEL = "tiny-trained"
EXPERIMENT = "tiny-training"
ENVIRONMENT = "azureml://registries/azureml/environments/sklearn-1.5/labels/latest"
#: As in most scripts: the model is registered first, and then the job continues.
REGISTERS_EARLY = """
import pathlib, time
import mlflow

class Same(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[str]:
        return model_input

pathlib.Path("model.txt").write_text("early")
text = {"text": "model.txt"}
with mlflow.start_run():
    mlflow.pyfunc.log_model(name="model", python_model=Same(), artifacts=text, registered_model_name="tiny-early")
    while not pathlib.Path("MAY_END").exists():
        time.sleep(0.1)
    mlflow.log_metric("logged last", 1)
"""
TRAIN = "echo trained > ${{outputs.model}}/model.txt"


async def test_the_output_of_a_job_is_registered_once_however_often_it_is_reported(cloud: Cloud) -> None:
    await cloud.azure.run(training("once"))
    assert (await registration(cloud, "once"))["status"] == "succeeded"
    again = run_completed(cloud, "once", EXPERIMENT)
    await asyncio.gather(publish(cloud, again), publish(cloud, again))
    await cloud.azure.run(training("other"))
    assert (await registration(cloud, "other"))["status"] == "succeeded"
    assert await cloud.azure.origins(MODEL) == {"1": "once", "2": "other"}
    assert [each["version"] for each in await cloud.promotions.all_of(MODEL, "job")] == ["other", "once"]


async def test_a_failed_job_is_recorded_in_words(cloud: Cloud) -> None:
    assert await cloud.azure.run(training("fails", "echo no luck; exit 3")) == "Failed"
    recorded = await registration(cloud, "fails")
    assert recorded["status"] == "refused"
    assert failure(recorded)["reason"] == "Job fails ended as Failed: nothing was registered."
    assert "fails" not in (await cloud.azure.origins(MODEL)).values()


async def test_a_job_without_the_output_is_recorded_in_words(cloud: Cloud) -> None:
    await cloud.azure.run(training("without", "echo x > ${{outputs.weights}}/x", output="weights"))
    recorded = await registration(cloud, "without")
    assert recorded["status"] == "failed"
    assert "Job without has no output model. Its outputs:" in failure(recorded)["reason"]
    assert "weights" in failure(recorded)["reason"]
    assert "Correct `from_jobs`, or the job." in failure(recorded)["reason"]
    assert "without" not in (await cloud.azure.origins(MODEL)).values()


async def test_a_pipeline_job_is_registered_as_a_whole_and_its_children_start_nothing(cloud: Cloud) -> None:
    assert await cloud.azure.run(two_trainings("pipeline")) == "Completed"
    assert (await registration(cloud, "pipeline"))["status"] == "succeeded"
    children = await cloud.azure.children("pipeline")
    assert len(children) == 2
    assert not {each["version"] for each in await cloud.promotions.all_of(MODEL, "job")} & set(children)
    assert list((await cloud.azure.origins(MODEL)).values()).count("pipeline") == 1


async def test_a_model_that_a_job_registers_while_it_runs_is_promoted_at_the_jobs_end(
    cloud: Cloud, tmp_path: Path
) -> None:
    may_end, code = tmp_path / "may-end", tmp_path / "code"
    code.mkdir()
    (code / "train.py").write_text(REGISTERS_EARLY.replace("MAY_END", str(may_end)))
    early = training("early", "python train.py", code=code, experiment="tiny-trials")
    job = asyncio.create_task(cloud.azure.run(early))
    says = "waits for job early, which made the model, to end"

    async def waits() -> bool:
        found = await cloud.promotions.find("tiny-early", "1")
        return found is not None and says in {each["text"] for each in found["journal"]}

    await until(waits, f"the promotion {says}")
    may_end.touch()
    assert await job == "Completed"
    promotion = await cloud.promotions.succeeded("tiny-early")
    share = promotion["stages"][0]["steps"][0]
    assert share["evidence"]["job"]["status"] == "Completed"
    assert share["evidence"]["metrics"] == {"logged last": 1.0}


async def test_a_job_of_another_experiment_starts_nothing(cloud: Cloud) -> None:
    await cloud.azure.run(training("apart", experiment="tiny-trials"))
    await cloud.azure.run(training("last"))
    await registration(cloud, "last")
    assert "apart" not in {each["version"] for each in await cloud.promotions.all_of(MODEL, "job")}


async def registration(cloud: Cloud, job: str) -> Promotion:
    """What finally became of a job's output."""
    return await cloud.promotions.ended(MODEL, job, kind="job")


# --- jobs -------------------------------------------------------------------------------------------------------------


def training(
    name: str, line: str = TRAIN, output: str = "model", experiment: str = EXPERIMENT, code: Path | None = None
) -> Job:
    outputs: Any = {output: Output(type="custom_model")}
    return command(
        name=name, command=line, environment=ENVIRONMENT, experiment_name=experiment, outputs=outputs, code=code
    )


def two_trainings(name: str) -> Job:
    """A pipeline job with two steps, of which one makes the pipeline's output."""
    outputs: Any = {"model": Output(type="custom_model")}
    component = CommandComponent(name="train", command=TRAIN, environment=ENVIRONMENT, outputs=outputs)

    def both() -> dict[str, Any]:
        chosen = component()
        component()
        return {"model": chosen.outputs.model}

    pipeline: PipelineJob = dsl.pipeline(both)()
    pipeline.name, pipeline.experiment_name = name, EXPERIMENT
    pipeline.settings = PipelineJobSettings(default_compute="cpu")
    return pipeline
