"""Steps that are no commands, as azure-ai-ml submits them or a file in git has them: each is refused by its name."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.ports import PipelineJob
from shared.worker.pipeline_graph import cannot_be_rebuilt
from tests.cloud.conftest import client
from tests.cloud.local_azure import LocalAzure

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK's own use of marshmallow warns while it is imported
    from azure.ai.ml import Input, Output, automl, command, dsl, spark
    from azure.ai.ml.entities import Data
    from azure.ai.ml.parallel import RunFunction, parallel_run_function
    from azure.ai.ml.sweep import Choice

ENVIRONMENT = "azureml:sklearn:1"


def sweep(code: Path, table: Any) -> Any:
    trial = command(
        command="echo ${{inputs.rate}}", environment=ENVIRONMENT, inputs={"rate": 0.1}, outputs={"model": Output()}
    )
    tuned = trial(rate=Choice([0.1, 0.2])).sweep(primary_metric="auc", goal="maximize", sampling_algorithm="random")
    tuned.set_limits(max_total_trials=2)
    return tuned


def parallel(code: Path, table: Any) -> Any:
    return parallel_run_function(
        name="each",
        inputs={"rows": Input(type="uri_folder")},
        outputs={"scores": Output(type="uri_folder")},
        input_data="${{inputs.rows}}",
        mini_batch_size="1",
        task=RunFunction(code=str(code), entry_script="score.py", environment=ENVIRONMENT),
    )(rows=table)


def of_automl(code: Path, table: Any) -> Any:
    return automl.classification(training_data=table, target_column_name="y", primary_metric="accuracy")


def on_spark(code: Path, table: Any) -> Any:
    return spark(
        code=str(code),
        entry={"file": "score.py"},
        driver_cores=1,
        driver_memory="2g",
        executor_cores=1,
        executor_memory="2g",
        executor_instances=1,
        resources={"instance_type": "Standard_E8S_V3", "runtime_version": "3.4.0"},
    )()


def nested(code: Path, table: Any) -> Any:
    @dsl.pipeline(None)
    def inner() -> None:
        command(command="true", environment=ENVIRONMENT)()

    return inner()


STEPS: dict[str, Callable[[Path, Any], Any]] = {
    "sweep": sweep,
    "parallel": parallel,
    "automl": of_automl,
    "spark": on_spark,
    "pipeline": nested,
}


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("code")
    (folder / "score.py").write_text("def init(): ...\ndef run(batch): return batch\n")
    (folder / "MLTable").write_text("paths: [{file: ./score.py}]\n")
    return folder


@pytest.fixture(scope="module")
def table(azure: LocalAzure, code: Path) -> str:
    asset = client("dev", azure).data.create_or_update(Data(name="table", version="1", path=str(code), type="mltable"))
    return str(asset.id)


def submitted(azure: LocalAzure, step: Callable[[Any], Any], table: str) -> PipelineJob:
    """The job as the app reads it."""

    @dsl.pipeline(None, compute="cpu", experiment_name="step-types")
    def pipeline(table: Input) -> None:
        step(table).name = "tune"

    name = client("dev", azure).jobs.create_or_update(pipeline(Input(type="mltable", path=table))).name
    found = azure.workspace("dev").pipeline_job(str(name))
    assert found is not None
    return found


@pytest.mark.parametrize("kind", STEPS)
def test_a_step_that_is_no_command_is_refused_by_its_name_and_type(
    azure: LocalAzure, code: Path, table: str, kind: str
) -> None:
    job = submitted(azure, lambda given: STEPS[kind](code, given), table)
    refused = cannot_be_rebuilt(job, {})
    assert refused is not None
    assert f"Step tune of job {job.name} is of type {kind}, " in refused.reason


IN_GIT = """\
$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
type: pipeline
jobs:
  first: {type: command, command: "true", environment: "azureml:sklearn:1"}
  tune:
"""
NODES = {
    "sweep": """\
    type: sweep
    sampling_algorithm: random
    objective: {primary_metric: auc, goal: maximize}
    limits: {max_total_trials: 2}
    search_space: {rate: {type: choice, values: [0.1, 0.2]}}
    trial:
      type: command
      command: echo ${{inputs.rate}}
      environment: azureml:sklearn:1
      inputs: {rate: {type: number}}
""",
    "pipeline": """\
    type: pipeline
    component: ./inner.yml
""",
}
INNER = """\
$schema: https://azuremlschemas.azureedge.net/latest/pipelineComponent.schema.json
type: pipeline
name: inner
jobs:
  leaf: {type: command, command: "true", environment: "azureml:sklearn:1"}
"""


@pytest.mark.parametrize("kind", NODES)
def test_so_is_one_of_a_definition_in_git(azure: LocalAzure, tmp_path: Path, kind: str) -> None:
    (tmp_path / "inner.yml").write_text(INNER)
    (tmp_path / "pipeline.yml").write_text(IN_GIT + NODES[kind])
    read = azure.workspace("dev").pipeline_definition(tmp_path / "pipeline.yml")
    refused = cannot_be_rebuilt(read.job, read.components)
    assert refused is not None
    assert f"Step tune of job pipeline.yml is of type {kind}, " in refused.reason
