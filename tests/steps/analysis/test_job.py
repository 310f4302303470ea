"""A job that compares how candidate and champion answered, at the end of a step."""

from typing import Any

import pytest

from shared.config.analysis import AnalysisSettings
from shared.core.job_statuses import CANCELED, CANCELLING
from shared.core.messages import Failed, FailureKind, Outcome, Succeeded
from shared.core.replacing import replace
from shared.ports import ForbiddenError
from shared.worker.analysis import Judgement, Watched, judged
from tests.fakes.jobs import JobOutcome
from tests.fakes.workspace import FakeWorkspace
from tests.steps.analysis.watching import MINUTE, WATCHED, answers, target_at
from tests.steps.evaluate.world import serve_champion
from tests.steps.promotion import ENDPOINT, NOW, SHARED, Stage, champion, deploy_saw

FILE = """
command: python compare.py --ours ${{inputs.ours}} --theirs ${{inputs.theirs}}
code: src
environment: azureml:sklearn:1
compute: azureml:cpu
inputs: {model: {type: custom_model}, ours: {type: uri_folder}, theirs: {type: uri_folder}}
"""
COMPARES = {
    "job": "compare.yml",
    "inputs": {
        "ours": "{endpoint}-{deployment}-response@latest",
        "theirs": "{endpoint}-{champion}-response@latest",
    },
    "gates": [{"metric": "disagreement", "at_most": 0.02}],
}
ERRORS = {"metric": "error_rate", "at_most": 0.01}
ASKED = AnalysisSettings.model_validate({"analysis": [ERRORS, COMPARES]})
LIVE = replace(WATCHED, champion="v2-old")
JOB = "digits-3-abc-test-rollout-1"
OF_FIRST_ENTRY = "digits-3-abc-test-rollout-1-1"
DONE = JobOutcome(metrics={"disagreement": 0.01})


@pytest.fixture
def stage(stage: Stage, workspace: FakeWorkspace) -> Stage:
    """A stage with a rollout, validated, whose candidate has answered enough requests."""
    (stage.folder / "src").mkdir()
    (stage.folder / "src" / "compare.py").write_text("print('compares')\n")
    (stage.folder / "compare.yml").write_text(FILE)
    serve_champion(workspace)
    workspace.has_copy("digits", "2", "azureml://locations/west/workspaces/ws-dev/models/digits/versions/2")
    workspace.has_minutes(ENDPOINT, stage.deployment, NOW, 60, answers(50))
    for deployment in (stage.deployment, "v2-old"):
        workspace.has_data(f"{ENDPOINT}-{deployment}-response", "1")
    workspace.outcome = DONE
    rollout = {"steps": [{"traffic": 10, "for": "10m"}], "analysis": [ERRORS, COMPARES]}
    return stage.with_settings(rollout=rollout).validated(workspace)


def after(minutes: float, stage: Stage, workspace: FakeWorkspace, watched: Watched = LIVE) -> Judgement:
    return judged(target_at(NOW + minutes * MINUTE, workspace, stage=stage), ASKED, watched)


def ended(stage: Stage, workspace: FakeWorkspace) -> Judgement:
    """The judgement after the job has ended."""
    first = after(10, stage, workspace)
    assert first.kept.job == JOB
    return after(12, stage, workspace, replace(LIVE, kept=first.kept))


def test_it_runs_once_the_steps_time_is_over_with_the_data_of_both_deployments(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    assert after(9, stage, workspace).waits == ""
    assert workspace.submitted == {}
    first = after(10, stage, workspace)
    assert (first.waits, first.kept.job) == (f"job {JOB}: Queued", JOB)
    assert first.awaits is not None
    assert (first.awaits.job, first.awaits.is_ours) == (JOB, True)
    inputs = {name: bound.rsplit("/data/", 1)[-1] for name, bound in workspace.submitted[JOB].inputs.items()}
    assert inputs["ours"] == f"{ENDPOINT}-{stage.deployment}-response/versions/1"
    assert inputs["theirs"] == f"{ENDPOINT}-v2-old-response/versions/1"
    last = after(12, stage, workspace, replace(LIVE, kept=first.kept))
    assert (last.breaches, last.waits, last.failed) == ((), "", None)
    assert last.seen.job is not None
    assert (last.seen.job.job, last.seen.job.metrics[0].candidate) == (JOB, 0.01)
    assert workspace.calls["start_job"] == 1


def test_a_gate_that_does_not_hold_is_a_breach(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.outcome = JobOutcome(metrics={"disagreement": 0.3})
    found = ended(stage, workspace)
    assert found.breaches == (f"metric disagreement of job {JOB}: required at most 0.02, found 0.3",)


def test_it_is_not_run_for_a_candidate_whose_figures_breach_a_limit(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.has_minutes(ENDPOINT, stage.deployment, NOW, 5, answers(0, 50))
    assert after(12, stage, workspace).breaches
    assert workspace.submitted == {}


def test_a_job_that_fails_is_no_verdict_on_the_model(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.outcome = JobOutcome("Failed", error="UserError: User process exited with status code 1.")
    found = ended(stage, workspace)
    assert found.breaches == ()
    assert found.failed is not None
    assert found.failed.kind is FailureKind.JOB_FAILED


def test_data_that_was_not_collected_is_named(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.data.clear()
    found = after(10, stage, workspace)
    assert found.failed is not None
    assert f"There is no data asset {ENDPOINT}-{stage.deployment}-response" in found.failed.reason


def test_a_job_that_is_not_the_one_that_was_reviewed_is_not_run(stage: Stage, workspace: FakeWorkspace) -> None:
    (stage.folder / "src" / "compare.py").write_text("print('copies production data')\n")
    found = after(10, stage, workspace)
    assert found.failed is not None
    assert found.failed.kind is FailureKind.CHANGED
    assert workspace.submitted == {}


def test_without_a_champion_there_is_nothing_to_compare(stage: Stage, workspace: FakeWorkspace) -> None:
    found = after(10, stage, workspace, replace(LIVE, champion=None))
    assert (found.breaches, found.waits, found.failed) == ((), "", None)
    assert found.seen.notes == ("compare.yml was not run: there is no champion",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (FILE.replace("model: {type: custom_model}, ", ""), "needs an input model"),
        (FILE.replace(", theirs: {type: uri_folder}", ""), "has no input theirs"),
        (FILE.replace("azureml:cpu", "azureml:gone"), "has no compute gone"),
    ],
)
def test_a_file_that_cannot_work_is_found_before_anything_is_deployed(
    stage: Stage, workspace: FakeWorkspace, content: str, says: str
) -> None:
    (stage.folder / "compare.yml").write_text(content)
    outcome: Any = stage.poll("validate", workspace)
    assert isinstance(outcome, Failed)
    assert says in outcome.reason


def turned_back(stage: Stage, workspace: FakeWorkspace) -> Outcome:
    """The traffic goes back while the job runs."""
    workspace.polls_until_ended = None
    target = target_at(NOW + 10 * MINUTE, workspace, stage=stage)
    target = replace(target, command=replace(target.command, step="rollout-1"))
    assert judged(target, ASKED, LIVE).kept.job == OF_FIRST_ENTRY
    workspace.has_deployment(ENDPOINT, stage.deployment, stage.its_tags)
    evidence = {"share": SHARED, "deploy": deploy_saw("v3-new", v2_old=100)}
    stage = stage.with_(evidence=evidence, champion=champion(deploy=deploy_saw("v2-old")), options={"entry": 1})
    return stage.run("restore", workspace)


def test_a_job_of_a_step_that_is_turned_back_is_cancelled(stage: Stage, workspace: FakeWorkspace) -> None:
    assert isinstance(turned_back(stage, workspace), Succeeded)
    assert workspace.calls["start_cancellation"] == 1
    assert workspace.submitted[OF_FIRST_ENTRY].status in (CANCELLING, CANCELED)


def test_a_rollback_does_not_fail_for_a_job_that_it_may_not_cancel(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.raises["start_cancellation"] = ForbiddenError("may not cancel jobs")
    outcome = turned_back(stage, workspace)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["job_left"] == "may not cancel jobs"
