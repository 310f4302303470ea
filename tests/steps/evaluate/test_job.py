"""One job in the environment measures candidate and champion: how it is submitted, followed, ended and cancelled."""

from datetime import timedelta
from typing import Any

import pytest

from shared.config.stage import ModelStage
from shared.core.events import PromotionRequested
from shared.core.messages import Failed, FailureKind, Kind, Outcome, Running, RunStep, Succeeded
from shared.core.plan import PlannedStep, PlanSettings, plan_for
from shared.core.promotion import Lane, Promotion, PromotionStatus, StageRun, StepRun
from shared.core.replacing import replace
from shared.ports import Answer, JobSubmission, SubmittedJob
from shared.worker.evaluation import UsedData
from shared.worker.order import Rules
from shared.worker.run import Workplace, run_step
from tests.core.driver import SECOND, LaneDriver
from tests.core.world import promotion
from tests.fakes.jobs import JobOutcome
from tests.fakes.workspace import FakeWorkspace
from tests.steps.evaluate.world import CHAMPION, NAME, evaluated, squat
from tests.steps.promotion import ENDPOINT, SHARED, Stage, failed


def test_the_job_gets_the_registrys_models_and_this_workspaces_data_under_a_name_of_ours(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    workspace.polls_until_ended = 9
    outcome = stage.with_(champion=CHAMPION).poll("evaluate", workspace)
    assert isinstance(outcome, Running)
    assert outcome.awaits
    assert (outcome.awaits.workspace, outcome.awaits.job) == ("/subscriptions/s/workspaces/ws-test", NAME)
    assert outcome.awaits.is_ours
    job = workspace.submitted[NAME]
    assert job.inputs == {
        "model": "azureml://registries/reg/models/digits/versions/3",
        "champion": "azureml://registries/reg/models/digits/versions/2",
        "data": "/subscriptions/s/workspaces/ws-test/data/holdout/versions/7",
    }
    assert job.tags["mlpromote.promotion"] == "digits-3-abc"


def test_without_a_champion_its_input_is_left_out(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.outcome = JobOutcome(metrics={"auc": 0.9})
    outcome = stage.run("evaluate", workspace)
    assert workspace.submitted[NAME].inputs.keys() == {"model", "data"}
    assert evaluated(outcome).champion is None
    assert "there is no champion: pass" in evaluated(outcome).gates[1].seen


def test_people_see_both_models_metrics_the_data_version_and_a_link(stage: Stage, workspace: FakeWorkspace) -> None:
    seen = evaluated(stage.with_(champion=CHAMPION).run("evaluate", workspace))
    assert [(each.metric, each.candidate, each.champion) for each in seen.metrics] == [
        ("auc", 0.9, 0.89),
        ("loss", 0.1, None),
    ]
    assert seen.data == (
        UsedData("data", "holdout", "7", "/subscriptions/s/workspaces/ws-test/data/holdout/versions/7"),
    )
    assert (seen.job, seen.studio) == (NAME, f"https://ml.azure.com/runs/{NAME}")
    assert seen.digest.startswith("sha256:")
    assert [verdict.holds for verdict in seen.gates] == [True, True]


def test_one_poll_is_one_call_while_the_job_is_under_way(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.polls_until_ended = None
    first = stage.poll("evaluate", workspace)
    assert isinstance(first, Running)
    workspace.calls.clear()
    command = replace(stage.command("evaluate", 2), state=first.state)
    at = Workplace(lambda _: workspace, lambda _: stage.rules, stage.folder, lambda: command.not_before)
    again = run_step(command, at)
    assert isinstance(again, Running)
    assert dict(workspace.calls) == {"submitted_job": 1}


def test_the_same_job_twice_is_one_job(stage: Stage, workspace: FakeWorkspace) -> None:
    """The process dies after it has submitted the job, and the command comes again."""
    workspace.dies_after = "start_job"
    assert evaluated(stage.run("evaluate", workspace)).job == NAME
    assert list(workspace.submitted) == [NAME]
    assert workspace.calls["start_job"] == 1


def test_a_name_that_is_taken_while_it_is_submitted_is_judged_by_what_is_there(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    start = workspace.start_job

    def taken(file: Any, submission: JobSubmission) -> SubmittedJob:
        squat(workspace, stage)
        return start(file, submission)

    workspace.start_job = taken  # type: ignore[method-assign]  # somebody is faster
    failed(stage.poll("evaluate", workspace), FailureKind.CONFLICT, "another job")


def test_a_poll_that_knows_its_job_starts_none_even_if_that_is_gone(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.polls_until_ended = None
    first = stage.poll("evaluate", workspace)
    assert isinstance(first, Running)
    workspace.submitted.clear()
    command = replace(stage.command("evaluate", 2), state=first.state)
    at = Workplace(lambda _: workspace, lambda _: stage.rules, stage.folder, lambda: command.not_before)
    outcome = run_step(command, at)
    failed(outcome, FailureKind.NOT_FOUND, "is gone")
    assert workspace.submitted == {}


def test_a_retry_runs_a_job_of_its_own(stage: Stage, workspace: FakeWorkspace) -> None:
    stage.run("evaluate", workspace)
    assert evaluated(stage.with_(attempt=2).run("evaluate", workspace)).job == "digits-3-abc-test-evaluate-2"


# --- how it ends ------------------------------------------------------------------------------------------------------


def test_a_job_whose_code_fails_tells_the_cause_and_the_end_of_its_log(stage: Stage, workspace: FakeWorkspace) -> None:
    log = "Traceback (most recent call last):\n  File \"/x/evaluate.py\", line 3, in <module>\nKeyError: 'auc'\n"
    workspace.outcome = JobOutcome("Failed", error="UserError: User process exited with status code 1.", log=log)
    outcome = failed(stage.run("evaluate", workspace), FailureKind.JOB_FAILED, "KeyError: 'auc'", "Fix the job's code")
    assert "KeyError: 'auc'" in outcome.diagnosis


@pytest.mark.parametrize("has_log", [True, False])
def test_a_traceback_in_the_error_of_a_job_is_told_once(stage: Stage, workspace: FakeWorkspace, has_log: bool) -> None:
    log = (
        "Traceback (most recent call last):\n"
        '  File "/x/evaluate.py", line 3, in <module>\n    metrics["auc"]\n    ~~~~~~~^^^^^^^\nKeyError: \'auc\'\n'
    )
    error = f"UserError: User process exited with status code 1. Please check log file for error details. Error: {log}"
    workspace.outcome = JobOutcome("Failed", error=error, log=log if has_log else "")
    outcome = stage.run("evaluate", workspace)
    outcome = failed(outcome, FailureKind.JOB_FAILED, "KeyError: 'auc' (evaluate.py, line 3")
    assert outcome.diagnosis.count("Traceback") == 1
    assert outcome.diagnosis.splitlines()[0].endswith("Error: KeyError: 'auc' (evaluate.py, line 3, in <module>)")
    assert "^^^" not in outcome.diagnosis.splitlines()[0] + outcome.reason


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("UserError: Not enough subscription CPU quota.", FailureKind.QUOTA),
        ("UserError: The identity does not have authorization to read the blob.", FailureKind.PERMISSION),
        ("UserError: Could not find asset with ID: azureml:x", FailureKind.NOT_FOUND),
        ("ImageBuildFailure: the image build failed", FailureKind.BAD_CONFIG),
        ("", FailureKind.UNKNOWN),
    ],
)
def test_a_job_that_fails_is_reported_by_the_kind_of_its_error(
    stage: Stage, workspace: FakeWorkspace, error: str, kind: FailureKind
) -> None:
    workspace.outcome = JobOutcome("Failed", error=error)
    outcome = failed(stage.run("evaluate", workspace), kind, NAME)
    assert outcome.diagnosis.count("UserError") <= 1


def test_secrets_in_a_jobs_log_stay_there(stage: Stage, workspace: FakeWorkspace) -> None:
    secret = "AccountKey=" + "A" * 86 + "=="
    workspace.outcome = JobOutcome("Failed", error=f"UserError: {secret}", log=f"connecting with {secret}")
    outcome = stage.run("evaluate", workspace)
    assert isinstance(outcome, Failed)
    assert "A" * 86 not in outcome.reason + outcome.diagnosis


def test_a_job_that_is_cancelled_by_hand_fails_the_step_in_words(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.outcome = JobOutcome("Canceled")
    failed(stage.run("evaluate", workspace), FailureKind.UNKNOWN, "was cancelled in Azure ML, not by this app")


def test_the_undo_cancels_a_job_that_hangs(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.polls_until_ended = None
    stage.poll("evaluate", workspace)
    undo = stage.with_(options={"undoes": "evaluate"})
    assert isinstance(undo.poll("cancel_job", workspace), Running)
    outcome = undo.run("cancel_job", workspace)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["cancelled"] == [NAME]
    assert workspace.submitted[NAME].status in ("CancelRequested", "Canceled")


def test_the_undo_of_a_later_attempt_cancels_the_job_of_the_one_before(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.polls_until_ended = None
    stage.poll("evaluate", workspace)
    outcome = stage.with_(options={"undoes": "evaluate"}, attempt=2).run("cancel_job", workspace)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["cancelled"] == [NAME]


def test_the_undo_leaves_alone_what_is_not_ours_or_has_ended(stage: Stage, workspace: FakeWorkspace) -> None:
    undo = stage.with_(options={"undoes": "evaluate"})
    assert isinstance(undo.run("cancel_job", workspace), Succeeded)
    squat(workspace, stage, tags={})
    assert isinstance(undo.run("cancel_job", workspace), Succeeded)
    stage.with_(attempt=2).run("evaluate", workspace)
    outcome = undo.with_(attempt=2).run("cancel_job", workspace)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["ended"] == ["digits-3-abc-test-evaluate-2"]
    assert workspace.calls["start_cancellation"] == 0


# --- with the rules of the core ---------------------------------------------------------------------------------------


def carried_out(stage: Stage, workspace: FakeWorkspace, limit: timedelta) -> Promotion:
    """A promotion through a stage that evaluates, run by core and worker. `limit`: the time limit of the evaluation."""
    given = stage.command("evaluate")
    settings = ModelStage.parse(given.settings)
    plan = plan_for(
        Kind.MODEL,
        PlanSettings(asked=settings.stage.asks_for(), limits={"evaluate": limit}),
        environment="test",
        source="dev",
        first=False,
    )
    run = StageRun("test", "test", ENDPOINT, (), settings.frozen(), tuple(map(StepRun, plan)))
    shared = StageRun("before", "dev", "", (), {}, (StepRun(PlannedStep("share", "dev", travels=True)),))
    asked = replace(promotion("3"), id=given.promotion, lane=given.lane, candidate=given.candidate)
    asked = replace(asked, stages=(shared, replace(run, after=("before",))))

    def answers(command: RunStep) -> Outcome:
        if command.step == "share":
            return Succeeded(SHARED)
        return run_step(command, Workplace(lambda _: workspace, lambda _: Rules(), stage.folder, lambda: driver.now))

    driver = LaneDriver(Lane(asked.lane), answers, pause=SECOND)
    driver.apply(PromotionRequested(asked))
    (ended,) = driver.run().promotions
    return ended


def test_a_job_that_hangs_is_cancelled_after_the_steps_time_limit(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.polls_until_ended = None
    ended = carried_out(stage, workspace, timedelta(minutes=20))
    assert ended.status is PromotionStatus.FAILED
    assert "evaluate did not finish within 20 min" in ended.reason, ended.reason
    (job,) = workspace.submitted.values()
    assert job.status in ("CancelRequested", "Canceled")
    assert [step.plan.name for step in ended.stages[1].undoing] == ["cancel_job"]
    assert workspace.made == {}


def test_a_job_that_ends_in_time_leads_to_a_deployment(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.polls_until_ended = 3
    workspace.answer = Answer(200, '{"y": 2.0}', 0.01)
    ended = carried_out(stage, workspace, timedelta(hours=1))
    assert ended.status is PromotionStatus.SUCCEEDED, ended.reason
