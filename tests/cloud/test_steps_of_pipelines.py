"""A step of a pipeline as the app reads it: its `GET` has no properties, so the app collects them in several places."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.cloud.azureml import AzureMLWorkspace
from shared.core import asset_names
from shared.ports import Job, StepMetrics
from tests.cloud.local_azure import LocalAzure, until, workspace_id
from tests.cloud.pipelines import measure_again, train_in_steps


@dataclass(frozen=True)
class Ended:
    """A pipeline of the steps `train` and `measure`, each read from the workspace."""

    whole: Job
    train: Job
    measure: StepMetrics


@pytest.fixture(scope="module")
def ended(azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    name = train_in_steps(azure, tmp_path_factory.mktemp("pipeline"), "churn-of-step")
    workspace = azure.workspace("dev")
    whole = until(lambda: _ended(workspace.job(name)), "the pipeline's end")
    steps = {each.node: each for each in workspace.step_metrics(name)}
    step = workspace.job(steps["train"].run)
    assert step
    return Ended(whole, step, steps["measure"])


def _ended(job: Job | None) -> Job | None:
    return job if job and job.status in ("Completed", "Failed", "Canceled") else None


def test_a_step_is_read_with_its_status_its_pipeline_and_its_component(ended: Ended) -> None:
    step = ended.train
    assert (step.status, step.experiment, step.node) == ("Completed", "churn-pipeline", "train")
    assert (step.parent, step.root) == (ended.whole.name, ended.whole.name)
    assert step.component
    assert asset_names.read(step.component)


def test_a_step_names_its_code_and_its_environment_asset(ended: Ended) -> None:
    for asset, kind in ((ended.train.code, "code"), (ended.train.environment_asset, "environment")):
        named = asset_names.read(asset or "")
        assert named
        assert (named.kind, named.workspace) == (kind, "ws-dev")


def test_the_inputs_of_a_step_are_those_of_its_pipeline_where_they_are_bound_to_it(ended: Ended) -> None:
    data = f"{workspace_id('dev')}/data/churn-sample/versions/7"
    assert ended.whole.inputs == {"rows": data}
    assert ended.train.inputs == {"rows": data, "depth": "3"}


def test_a_step_without_a_commit_has_that_of_its_pipeline(ended: Ended) -> None:
    assert ended.train.properties["mlflow.source.git.commit"] == "f00"


def test_a_pipeline_says_that_it_is_one_and_has_no_metrics_of_its_own(dev: AzureMLWorkspace, ended: Ended) -> None:
    assert (ended.whole.is_pipeline, ended.train.is_pipeline) == (True, False)
    assert dev.metrics(ended.whole.name) == {}


def test_the_metrics_of_the_steps_are_found_below_the_pipeline(dev: AzureMLWorkspace, ended: Ended) -> None:
    found = {each.node: each.metrics for each in dev.step_metrics(ended.whole.name)}
    assert found == {"train": {}, "measure": {"auc": 0.75}}
    assert dev.step_metrics(ended.train.name) == []
    assert dev.step_metrics("nobody") == []


def test_a_step_that_reuses_an_earlier_run_has_the_metrics_of_that_run(
    azure: LocalAzure, dev: AzureMLWorkspace, tmp_path: Path
) -> None:
    first, second = (measure_again(azure, tmp_path) for _ in range(2))
    [before], [after] = dev.step_metrics(first), dev.step_metrics(second)
    step = dev.job(after.run)
    assert step
    assert step.properties["azureml.reusedrunid"] == before.run
    assert (before.metrics, after.metrics) == ({"auc": 0.75}, {"auc": 0.75})


def test_a_model_that_a_step_registered_leads_to_a_job_that_can_be_read(dev: AzureMLWorkspace, ended: Ended) -> None:
    model = dev.model("churn-of-step", "1")
    assert model
    assert model.job
    assert dev.job(model.job)
