"""Models that a step of a pipeline made: where they came from, and who measured them."""

from typing import Any

import pytest

from shared.core.messages import AwaitedJob, Failed, FailureKind, Running, Succeeded
from shared.core.wire import from_json
from shared.ports import Job
from shared.worker.steps.share import Shared
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import DEV_WORKSPACE, ORIGIN, Stage

GATE = {"metric": "auc", "at_least": 0.8}
DATA = "/subscriptions/s/resourceGroups/g/providers/p/workspaces/ws-dev/data/churn-sample/versions/7"


@pytest.fixture
def dev() -> FakeWorkspace:
    """A pipeline of two steps has ended: `train` registered the model, `measure` logged its metric."""
    fake = FakeWorkspace(name="ws-dev")
    fake.has_model("digits", "3", job="step-1")
    fake.has_copy("digits", "3", ORIGIN)
    tags = {"mlpromote.promotion": "churn-training-1", "team": "churn"}
    fake.jobs["whole"] = Job("whole", "Completed", "e", inputs={"rows": DATA}, tags=tags, is_pipeline=True)
    more: dict[str, Any] = {"parent": "whole", "root": "whole"}
    git = {"mlflow.source.git.commit": "f00"}
    fake.jobs["step-1"] = Job("step-1", "Completed", "e", node="train", component="c/1", properties=git, **more)
    fake.jobs["step-2"] = Job("step-2", "Completed", "e", node="measure", **more)
    fake.job_metrics["step-2"] = {"auc": 0.9}
    return fake


def shared(stage: Stage, dev: FakeWorkspace) -> Shared:
    outcome = stage.with_settings(validate=[GATE]).run("share", dev)
    assert isinstance(outcome, Succeeded), outcome
    return from_json(Shared, outcome.evidence)


def judged(stage: Stage, dev: FakeWorkspace, test: FakeWorkspace) -> Any:
    """The outcome of `validate` after that."""
    gated = stage.with_settings(validate=[GATE])
    outcome = gated.run("share", dev)
    assert isinstance(outcome, Succeeded), outcome
    return gated.with_(evidence={"share": outcome.evidence}).run("validate", test)


def test_the_pipeline_above_a_step_is_part_of_its_lineage(stage: Stage, dev: FakeWorkspace) -> None:
    job = shared(stage, dev).job
    assert job
    assert (job.name, job.node, job.component, job.git) == ("step-1", "train", "c/1", {"commit": "f00"})
    assert job.pipeline
    assert (job.pipeline.name, job.pipeline.status, job.pipeline.inputs) == ("whole", "Completed", {"rows": DATA})
    assert job.pipeline.tags == {"mlpromote.promotion": "churn-training-1"}


def test_the_metric_of_another_step_counts_and_the_gate_says_whose_it_is(
    stage: Stage, dev: FakeWorkspace, workspace: FakeWorkspace
) -> None:
    assert shared(stage, dev).metrics == {"auc": 0.9}
    outcome = judged(stage, dev, workspace)
    assert isinstance(outcome, Succeeded), outcome
    (gate,) = (each for each in outcome.evidence["gates"] if each["gate"] == "metric auc")
    assert gate["seen"] == "0.9, logged by measure (step-2)"


def test_a_metric_of_the_job_itself_comes_before_those_of_other_steps(stage: Stage, dev: FakeWorkspace) -> None:
    dev.job_metrics["step-1"] = {"auc": 0.85}
    found = shared(stage, dev)
    assert (found.metrics, found.measured_by) == ({"auc": 0.85}, {})
    assert dev.calls["step_metrics"] == 0


def test_a_model_of_a_whole_pipeline_gets_the_metrics_of_its_steps(stage: Stage, dev: FakeWorkspace) -> None:
    dev.has_model("digits", "3", job="whole")
    found = shared(stage, dev)
    assert (found.metrics, found.measured_by) == ({"auc": 0.9}, {"auc": "measure (step-2)"})


def test_metrics_of_the_steps_are_kept_though_no_gate_asks_for_them(stage: Stage, dev: FakeWorkspace) -> None:
    dev.has_model("digits", "3", job="whole")
    outcome = stage.run("share", dev)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["metrics"] == {"auc": 0.9}


def test_steps_that_disagree_about_a_metric_count_for_nothing(
    stage: Stage, dev: FakeWorkspace, workspace: FakeWorkspace
) -> None:
    dev.job_metrics["whole"] = {"auc": 0.7}
    assert shared(stage, dev).metrics == {}
    outcome = judged(stage, dev, workspace)
    assert isinstance(outcome, Failed)
    assert "ambiguous, since several runs logged it: 0.7 by pipeline whole, 0.9 by measure (step-2)" in outcome.reason


def test_who_agrees_about_a_metric_is_one_source(stage: Stage, dev: FakeWorkspace) -> None:
    dev.job_metrics["whole"] = {"auc": 0.9}
    assert shared(stage, dev).measured_by == {"auc": "pipeline whole"}


def test_a_metric_that_nobody_logged_is_refused_with_the_places_where_it_was_looked_for(
    stage: Stage, dev: FakeWorkspace, workspace: FakeWorkspace
) -> None:
    dev.job_metrics.clear()
    outcome = judged(stage, dev, workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.REFUSED
    assert (
        "found not logged by step train (job step-1) or by pipeline job whole and its other steps "
        "(pipeline whole, measure)"
    ) in outcome.reason


def test_a_job_alone_is_named_where_its_metric_is_missing(
    stage: Stage, dev: FakeWorkspace, workspace: FakeWorkspace
) -> None:
    dev.jobs["step-1"] = Job("step-1", "Completed", "e")
    outcome = judged(stage, dev, workspace)
    assert isinstance(outcome, Failed)
    assert "not logged by job step-1 or by the runs below it (there are none)" in outcome.reason


def test_a_step_of_a_pipeline_within_a_pipeline_is_measured_by_the_outer_one(stage: Stage, dev: FakeWorkspace) -> None:
    dev.jobs["inner"] = Job("inner", "Completed", "e", parent="whole", root="whole", node="training")
    dev.jobs["step-1"] = Job("step-1", "Completed", "e", parent="inner", root="whole", node="train")
    found = shared(stage, dev)
    assert (found.metrics, found.measured_by) == ({"auc": 0.9}, {"auc": "measure (step-2)"})


def test_a_model_that_a_step_registered_waits_for_the_whole_pipeline(stage: Stage, dev: FakeWorkspace) -> None:
    dev.jobs["whole"] = Job("whole", "Running", "e", is_pipeline=True)
    outcome = stage.poll("share", dev)
    assert isinstance(outcome, Running)
    assert outcome.awaits == AwaitedJob(DEV_WORKSPACE, "whole")


def test_a_pipeline_that_was_deleted_is_named_all_the_same(stage: Stage, dev: FakeWorkspace) -> None:
    del dev.jobs["whole"]
    job = shared(stage, dev).job
    assert job
    assert job.pipeline
    assert (job.pipeline.name, job.pipeline.status) == ("whole", "")
