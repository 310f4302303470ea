"""One job in the environment measures candidate and champion; the gates decide on what it logged."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.config.policy import Policy
from shared.config.stage import ModelStage
from shared.core.events import PromotionRequested
from shared.core.messages import Champion, Failed, FailureKind, Kind, Outcome, Retry, Running, RunStep, Succeeded
from shared.core.plan import PlannedStep, plan_for
from shared.core.promotion import Lane, Promotion, PromotionStatus, StageRun, StepRun
from shared.core.wire import from_json
from shared.ports import Answer, ApprovalDecision, BusyError, JobSubmission, SubmittedJob
from shared.worker.evaluation import Evaluated, UsedData, is_same_model
from shared.worker.order import Rules
from shared.worker.run import Workplace, run_step
from tests.core.driver import SECOND, LaneDriver
from tests.core.world import promotion
from tests.fakes.approvals import FakeApprovals
from tests.fakes.jobs import JobOutcome
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import ENDPOINT, NOW, OURS, SHARED, Stage, champion

JOB = """
command: python evaluate.py --model ${{inputs.model}} $[[--champion ${{inputs.champion}}]] --data ${{inputs.data}}
code: src
environment: azureml:sklearn:1
compute: azureml:cpu
inputs: {model: {type: custom_model}, champion: {type: custom_model}, data: {type: uri_folder}}
"""
GATES = [
    {"metric": "auc", "at_least": 0.8},
    {"metric": "auc", "no_worse_than_champion_by": 0.01, "without_champion": "pass"},
]
NAME = "digits-3-abc-test-evaluate-1"
PASSING = JobOutcome(metrics={"auc": 0.9, "champion.auc": 0.89, "loss": 0.1})
CHAMPION = champion(share=SHARED)


@pytest.fixture
def workspace(workspace: FakeWorkspace) -> FakeWorkspace:
    """With a compute and a hold-out set; its next job passes."""
    workspace.has_data("holdout", "6")
    workspace.has_data("holdout", "7")
    workspace.outcome = PASSING
    workspace.has_copy("digits", "2", "azureml://locations/west/workspaces/ws-dev/models/digits/versions/2")
    return workspace


@pytest.fixture
def stage(stage: Stage, workspace: FakeWorkspace) -> Stage:
    """A stage that evaluates, once `validate` has passed."""
    (stage.folder / "src").mkdir()
    (stage.folder / "src" / "evaluate.py").write_text("print('measures')\n")
    (stage.folder / "evaluate.yml").write_text(JOB)
    asked = {"job": "evaluate.yml", "inputs": {"data": "holdout@latest"}, "gates": GATES}
    return stage.with_settings(evaluate=asked).validated(workspace)


def asking(stage: Stage, workspace: FakeWorkspace, **evaluate: Any) -> Stage:
    """The stage with other settings of its evaluation, validated."""
    settings = {**stage.settings["evaluate"], **evaluate}
    return stage.with_settings(evaluate=settings).with_(evidence={"share": SHARED}).validated(workspace)


def evaluated(outcome: Outcome) -> Evaluated:
    assert isinstance(outcome, Succeeded), outcome
    return from_json(Evaluated, outcome.evidence)


def failed(outcome: Outcome, kind: FailureKind, *words: str) -> Failed:
    assert isinstance(outcome, Failed), outcome
    assert outcome.kind is kind, outcome
    for each in words:
        assert each in outcome.reason
    return outcome


def serve_champion(workspace: FakeWorkspace, version: str = "2") -> None:
    """The champion's deployment takes the traffic."""
    tags = {**OURS, "mlpromote.promotion": "digits-2-xyz", "mlpromote.stage": "test", "mlpromote.model": "digits"}
    workspace.has_endpoint(ENDPOINT, OURS, {"v2-old": 100})
    made = workspace.has_deployment(ENDPOINT, "v2-old", tags)
    model = f"azureml://registries/reg/models/digits/versions/{version}"
    workspace.made[ENDPOINT, "v2-old"] = replace(made, model=model)


# --- the job ----------------------------------------------------------------------------------------------------------


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


# --- what it logs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({}, "found auc was not logged"),
        ({"auc": math.nan, "champion.auc": 0.9}, "found the job logged NaN"),
        ({"auc": math.inf, "champion.auc": 0.9}, "found the job logged Infinity"),
        ({"auc": 0.79, "champion.auc": 0.79}, "required at least 0.8, found 0.79"),
        ({"auc": 0.9}, "the champion's: champion.auc was not logged"),
        ({"auc": 0.9, "champion.auc": math.nan}, "the champion's: the job logged NaN"),
        ({"auc": 0.9, "champion.auc": 0.92}, "found 0.9; the champion's: 0.92"),
    ],
)
def test_what_the_gates_do_not_let_pass_is_refused_with_its_figures(
    stage: Stage, workspace: FakeWorkspace, metrics: Mapping[str, float], words: str
) -> None:
    workspace.outcome = JobOutcome(metrics=metrics)
    outcome = failed(
        stage.with_(champion=CHAMPION).run("evaluate", workspace), FailureKind.REFUSED, "Refused for test", words
    )
    assert from_json(Evaluated, outcome.evidence).job == NAME
    assert outcome.diagnosis.splitlines()[0].split() == ["gate", "required", "found", "passed"]


def test_metrics_that_are_no_numbers_are_kept_in_words(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.outcome = JobOutcome(metrics={"auc": 0.9, "loss": math.nan, "champion.loss": -math.inf})
    seen = evaluated(stage.run("evaluate", workspace))
    assert seen.not_numbers == {"loss": "NaN", "champion.loss": "-Infinity"}
    assert [(each.metric, each.candidate) for each in seen.metrics] == [("auc", 0.9), ("loss", None)]


def test_an_environments_own_gates_count_beside_the_stages(stage: Stage, workspace: FakeWorkspace) -> None:
    stage = with_policy(stage, workspace, gates=[{"metric": "auc", "at_least": 0.95}])
    failed(stage.run("evaluate", workspace), FailureKind.REFUSED, "at least 0.95")


# --- how it ends ------------------------------------------------------------------------------------------------------


def test_a_job_whose_code_fails_tells_the_cause_and_the_end_of_its_log(stage: Stage, workspace: FakeWorkspace) -> None:
    log = "Traceback (most recent call last):\n  File \"/x/evaluate.py\", line 3, in <module>\nKeyError: 'auc'\n"
    workspace.outcome = JobOutcome("Failed", error="UserError: User process exited with status code 1.", log=log)
    outcome = failed(
        stage.run("evaluate", workspace), FailureKind.CONTAINER_CRASH, "KeyError: 'auc'", "Fix the job's code"
    )
    assert "KeyError: 'auc'" in outcome.diagnosis


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
    failed(stage.run("evaluate", workspace), kind, NAME)


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


# --- before anything is spent -----------------------------------------------------------------------------------------


def unvalidated(stage: Stage, **evaluate: Any) -> Stage:
    return stage.with_settings(evaluate={**stage.settings["evaluate"], **evaluate}).with_(evidence={"share": SHARED})


def test_a_missing_compute_is_seen_by_validate(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.computes.clear()
    failed(unvalidated(stage).poll("validate", workspace), FailureKind.NOT_FOUND, "no compute cpu")


@pytest.mark.parametrize(
    ("data", "words"),
    [("gone@latest", "no data asset gone"), ("holdout:8", "no data asset holdout, version 8")],
)
def test_missing_data_is_seen_by_validate(stage: Stage, workspace: FakeWorkspace, data: str, words: str) -> None:
    failed(unvalidated(stage, inputs={"data": data}).poll("validate", workspace), FailureKind.NOT_FOUND, words)


@pytest.mark.parametrize("data", ["holdout@latest", "holdout:7"])
def test_data_that_was_archived_is_seen_by_validate_and_again_before_the_job_runs(
    stage: Stage, workspace: FakeWorkspace, data: str
) -> None:
    validated = asking(stage, workspace, inputs={"data": data})
    workspace.has_data("holdout", "7", is_archived=True)
    words = ("version 7 is archived", "Restore it")
    failed(validated.poll("evaluate", workspace), FailureKind.NOT_FOUND, *words)
    failed(unvalidated(stage, inputs={"data": data}).poll("validate", workspace), FailureKind.NOT_FOUND, *words)
    assert workspace.submitted == {}


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (JOB.replace("model: {type: custom_model}, ", ""), "needs an input model"),
        (JOB.replace("champion: {type: custom_model}, ", ""), "needs an input champion"),
        (JOB.replace(", data: {type: uri_folder}", ""), "has no input data"),
        ("a: b", "does not describe a command job"),
    ],
)
def test_a_job_file_that_breaks_the_contract_is_seen_by_validate(
    stage: Stage, workspace: FakeWorkspace, job: str, words: str
) -> None:
    (stage.folder / "evaluate.yml").write_text(job)
    failed(unvalidated(stage).poll("validate", workspace), FailureKind.BAD_CONFIG, words)


def test_throttling_is_tried_again(stage: Stage, workspace: FakeWorkspace) -> None:
    for method in ("submitted_job", "start_job", "job_differences", "metrics"):
        workspace.raises[method] = BusyError("busy")
        outcome = stage.poll("evaluate", workspace)
        assert isinstance(outcome, Retry)
    assert isinstance(stage.run("evaluate", workspace), Succeeded)


# --- others meanwhile -------------------------------------------------------------------------------------------------


def squat(workspace: FakeWorkspace, stage: Stage, creator: str = "somebody", **changes: Any) -> None:
    """A job is there under our name."""
    job = SubmittedJob(NAME, "/subscriptions/s/workspaces/ws-test", "Completed", command="echo")
    workspace.submitted[NAME] = replace(job, **changes)
    workspace.contents[NAME] = "another"
    workspace.creators[NAME] = creator
    workspace.job_metrics[NAME] = {"auc": 1.0, "champion.auc": 0.1}


@pytest.mark.parametrize("creator", ["somebody", "worker-oid"])
def test_a_job_of_other_content_under_our_name_is_a_conflict_whoever_submitted_it(
    stage: Stage, workspace: FakeWorkspace, creator: str
) -> None:
    data = "/subscriptions/s/workspaces/ws-test/data/holdout/versions/7"
    squat(workspace, stage, creator, inputs={"data": data})
    outcome = failed(stage.poll("evaluate", workspace), FailureKind.CONFLICT, f"another job named {NAME}")
    assert ("its code" if creator == "worker-oid" else "not submitted by the identity") in outcome.reason


def test_tags_that_say_otherwise_are_not_believed(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.polls_until_ended = None
    stage.poll("evaluate", workspace)
    job = workspace.submitted[NAME]
    workspace.submitted[NAME] = replace(job, tags={**job.tags, "mlpromote.digest": "0" * 40})
    failed(stage.poll("evaluate", workspace), FailureKind.CONFLICT, "its tag mlpromote.digest")


def test_a_newer_version_of_the_data_changes_nothing_for_a_job_that_was_submitted(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    workspace.polls_until_ended = None
    stage.poll("evaluate", workspace)
    workspace.has_data("holdout", "8")
    workspace.end_job(NAME, PASSING)
    seen = evaluated(stage.poll("evaluate", workspace, 2))
    assert [used.version for used in seen.data] == ["7"]


def test_a_version_of_the_data_that_was_archived_after_the_job_began_is_used_to_its_end(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    workspace.polls_until_ended = None
    stage.poll("evaluate", workspace)
    workspace.has_data("holdout", "7", is_archived=True)
    workspace.end_job(NAME, PASSING)
    assert evaluated(stage.poll("evaluate", workspace, 2)).data[0].version == "7"


def test_code_that_changes_while_the_job_runs_is_reported(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.polls_until_ended = None
    first = stage.poll("evaluate", workspace)
    assert isinstance(first, Running)
    (stage.folder / "src" / "evaluate.py").write_text("print('measures otherwise')\n")
    workspace.end_job(NAME, PASSING)
    command = replace(stage.command("evaluate", 2), state=first.state)
    at = Workplace(lambda _: workspace, lambda _: stage.rules, stage.folder, lambda: command.not_before)
    outcome = run_step(command, at)
    failed(outcome, FailureKind.CHANGED, "src/evaluate.py")


def test_the_champion_is_what_the_endpoint_serves(stage: Stage, workspace: FakeWorkspace) -> None:
    serve_champion(workspace)
    stage.with_(champion=CHAMPION).run("evaluate", workspace)
    assert workspace.submitted[NAME].inputs["champion"].endswith("/versions/2")


@pytest.mark.parametrize("named", [CHAMPION, None])
def test_a_command_cannot_choose_another_champion_than_the_one_that_serves(
    stage: Stage, workspace: FakeWorkspace, named: Champion | None
) -> None:
    serve_champion(workspace, "1")
    outcome = stage.with_(champion=named).run("evaluate", workspace)
    if named is None:
        assert isinstance(outcome, Succeeded | Failed)
        assert workspace.submitted[NAME].inputs["champion"].endswith("/versions/1")
    else:
        failed(outcome, FailureKind.CONFLICT, "not the champion, version 2")


def test_a_champion_that_is_gone_from_the_registry_is_reported(stage: Stage, workspace: FakeWorkspace) -> None:
    del workspace.registry.models["digits", "2"]
    failed(stage.with_(champion=CHAMPION).poll("evaluate", workspace), FailureKind.NOT_FOUND, "gone from the registry")


# --- the environment's policy -----------------------------------------------------------------------------------------


def with_policy(stage: Stage, workspace: FakeWorkspace, digest: str = "", **more: Any) -> Stage:
    """The stage in an environment where nothing is deployed without this evaluation, validated."""
    job = digest or stage.evidence["validate"]["manifest"]["evaluation"]
    policy = Policy.model_validate({"evaluation": {"job": job, **more}})
    changed = stage.with_(rules=Rules(policy), evidence={"share": SHARED})
    outcome = changed.poll("validate", workspace)
    seen = {"validate": outcome.evidence} if isinstance(outcome, Succeeded) else {}
    return changed.with_(evidence={"share": SHARED, **seen})


def test_what_was_evaluated_is_deployed(stage: Stage, workspace: FakeWorkspace) -> None:
    stage = with_policy(stage, workspace)
    stage.run("evaluate", workspace)
    assert isinstance(stage.run("deploy", workspace), Succeeded)


def test_a_route_without_an_evaluation_is_refused_where_the_policy_asks_for_one(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    policy = Policy.model_validate({"evaluation": {"job": "sha256:" + "0" * 64}})
    settings = {name: value for name, value in stage.settings.items() if name != "evaluate"}
    without = stage.with_(rules=Rules(policy), settings=settings, evidence={"share": SHARED})
    failed(without.poll("validate", workspace), FailureKind.REFUSED, "the stage has no evaluation")
    # What a forged command says was validated does not count: it is read again.
    forged = without.with_(evidence=stage.evidence)
    assert isinstance(forged.poll("deploy", workspace), Failed)
    assert workspace.made == {}


def test_another_job_than_the_policys_is_refused_and_its_digest_is_reported(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    digest = stage.evidence["validate"]["manifest"]["evaluation"]
    (stage.folder / "src" / "evaluate.py").write_text("print('is kinder')\n")
    changed = with_policy(stage, workspace, digest)
    outcome = failed(changed.poll("validate", workspace), FailureKind.REFUSED, "policy: evaluation", digest)
    assert outcome.reason.count("sha256:") == 2


def test_other_data_than_the_policys_is_refused(stage: Stage, workspace: FakeWorkspace) -> None:
    changed = with_policy(stage, workspace, inputs={"data": "the-real-one"})
    failed(changed.poll("validate", workspace), FailureKind.REFUSED, "input data: required the-real-one, found holdout")


def test_nothing_is_deployed_that_was_not_evaluated_whatever_the_evidence_says(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    stage = with_policy(stage, workspace)
    forged = stage.with_(evidence={**stage.evidence, "evaluate": {"job": NAME, "gates": []}})
    failed(forged.poll("deploy", workspace), FailureKind.PERMISSION, "does not exist")
    squat(workspace, stage)
    failed(forged.poll("deploy", workspace), FailureKind.CONFLICT, "not submitted by the identity of test")
    assert workspace.made == {}


@pytest.mark.parametrize("status", ["Running", "Failed", "Canceled"])
def test_nothing_is_deployed_while_the_job_has_not_completed(
    stage: Stage, workspace: FakeWorkspace, status: str
) -> None:
    stage = with_policy(stage, workspace)
    stage.run("evaluate", workspace)
    workspace.submitted[NAME] = replace(workspace.submitted[NAME], status=status)
    workspace.polls_until_ended = None
    failed(stage.poll("deploy", workspace), FailureKind.PERMISSION, "Nothing was deployed")


def test_nothing_is_deployed_that_the_job_found_wanting(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.outcome = JobOutcome(metrics={"auc": 0.5})
    stage = with_policy(stage, workspace)
    stage.run("evaluate", workspace)
    failed(stage.poll("deploy", workspace), FailureKind.REFUSED, "found 0.5")
    assert workspace.made == {}


def test_a_job_on_another_model_does_not_count(stage: Stage, workspace: FakeWorkspace) -> None:
    stage = with_policy(stage, workspace)
    stage.run("evaluate", workspace)
    job = workspace.submitted[NAME]
    workspace.submitted[NAME] = replace(
        job, inputs={**job.inputs, "model": "azureml://registries/reg/models/x/versions/1"}
    )
    failed(stage.poll("deploy", workspace), FailureKind.CONFLICT, "its input model")


def test_a_champion_that_was_never_evaluated_is_not_brought_back(stage: Stage, workspace: FakeWorkspace) -> None:
    stage = with_policy(stage, workspace)
    evidence = {**stage.evidence}
    back = stage.with_(
        champion=replace(CHAMPION, candidate=replace(CHAMPION.candidate, version="3"), evidence=evidence)
    )
    failed(back.poll("reinstate", workspace), FailureKind.PERMISSION, "it was never evaluated here")
    outcome = stage.run("evaluate", workspace)
    assert isinstance(outcome, Succeeded)
    passed = replace(
        back.champion or CHAMPION, promotion=stage.promotion, evidence={**evidence, "evaluate": outcome.evidence}
    )
    assert isinstance(stage.with_(champion=passed).run("reinstate", workspace), Succeeded)


@pytest.mark.parametrize(
    ("given", "is_same"),
    [
        ("azureml://registries/reg/models/digits/versions/3", True),
        ("azureml://registries/reg/models/digits/versions/2", False),
        ("azureml://registries/other/models/digits/versions/3", False),
        ("/subscriptions/s/resourceGroups/g/providers/x/workspaces/ws-test/models/digits/versions/3", False),
        ("", False),
    ],
)
def test_the_model_of_a_job_is_told_by_its_id(given: str, is_same: bool) -> None:
    assert is_same_model(given, "azureml://registries/reg/models/digits/versions/3") is is_same


def test_a_workspaces_own_model_is_the_same_by_both_of_its_ids() -> None:
    workspace = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/ws-prod"
    own = "azureml://locations/west/workspaces/8f3c/models/digits/versions/3"
    assert is_same_model(f"{workspace}/models/digits/versions/3", own)
    assert not is_same_model(f"{workspace}/models/digits/versions/4", own)


# --- approvals that the environment takes itself ----------------------------------------------------------------------


def asking_here(stage: Stage, workspace: FakeWorkspace, approvals: FakeApprovals) -> Stage:
    """The stage in an environment that takes its own approvals, evaluated."""
    policy = Policy.model_validate({"approvals": {"min": 1, "taken_by": "environment"}})
    here = stage.with_(rules=Rules(policy, approvals), evidence={"share": SHARED})
    here = here.with_settings(approval={"min": 1}).validated(workspace)
    outcome = here.run("evaluate", workspace)
    assert isinstance(outcome, Succeeded)
    return here.with_(evidence={**here.evidence, "evaluate": outcome.evidence})


def test_what_was_measured_is_shown_and_is_part_of_what_people_approve(stage: Stage, workspace: FakeWorkspace) -> None:
    approvals = FakeApprovals()
    stage = asking_here(stage, workspace, approvals)
    assert isinstance(stage.poll("approve", workspace), Running)
    asked = approvals.request(stage.promotion, "test")
    assert asked is not None
    assert from_json(Evaluated, asked.shown["evaluation"]).metrics[0].candidate == 0.9
    assert asked.digest == stage.evidence["evaluate"]["approves"] != stage.evidence["validate"]["manifest"]["digest"]
    approvals.decide(
        stage.promotion, "test", asked.digest, ApprovalDecision("id-anna", "anna", True, "good figures", NOW)
    )
    assert isinstance(stage.run("approve", workspace), Succeeded)
    assert isinstance(stage.run("deploy", workspace), Succeeded)


def test_figures_that_change_after_people_have_approved_are_not_approved(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    approvals = FakeApprovals()
    stage = asking_here(stage, workspace, approvals)
    stage.poll("approve", workspace)
    asked = approvals.request(stage.promotion, "test")
    assert asked is not None
    approvals.decide(stage.promotion, "test", asked.digest, ApprovalDecision("id-anna", "anna", True, "good", NOW))
    workspace.job_metrics[NAME]["auc"] = 0.95
    failed(stage.poll("deploy", workspace), FailureKind.PERMISSION, "approvals of exactly this")
    assert workspace.made == {}


def test_what_a_command_says_was_measured_is_not_shown_to_people(stage: Stage, workspace: FakeWorkspace) -> None:
    approvals = FakeApprovals()
    stage = asking_here(stage, workspace, approvals)
    del workspace.submitted[NAME]
    failed(stage.poll("approve", workspace), FailureKind.PERMISSION, "does not exist")
    assert approvals.request(stage.promotion, "test") is None


# --- with the rules of the core ---------------------------------------------------------------------------------------


def carried_out(stage: Stage, workspace: FakeWorkspace, limit: timedelta) -> Promotion:
    """A promotion through a stage that evaluates, as core and worker carry it out; `limit`: of the evaluation."""
    given = stage.command("evaluate")
    settings = ModelStage.parse(given.settings)
    plan = plan_for(
        Kind.MODEL,
        environment="test",
        source="dev",
        first=False,
        limits={"evaluate": limit},
        asked=settings.stage.asks_for(),
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
