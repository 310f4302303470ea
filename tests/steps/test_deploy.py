import re

import pytest

from shared.core.messages import Failed, FailureKind, Running, Succeeded
from shared.core.replacing import replace
from shared.ports import ForbiddenError
from shared.worker.polls import poll_again
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import ENDPOINT, OURS, Stage

CRASH_LOG = """\
2026-11-20 23:03:25,819 E [15259] azmlinfsrv - Traceback (most recent call last):
  File "/var/score.py", line 5, in init
    import nothing_like_this
ModuleNotFoundError: No module named 'nothing_like_this'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/server/aml_blueprint.py", line 91, in setup
    raise UserScriptImportException(ex) from ex
azureml_inference_server_http.server.user_script.UserScriptImportException: Failed to import user script

2026-11-20 23:03:25,819 I [15259] gunicorn.error - Worker exiting (pid: 15259)
"""


@pytest.fixture
def stage(stage: Stage, workspace: FakeWorkspace) -> Stage:
    """After `validate` has succeeded."""
    return stage.validated(workspace)


def test_makes_the_endpoint_and_then_the_deployment_without_traffic(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.polls_until_ready = 3
    outcome = stage.run("deploy", workspace)
    assert isinstance(outcome, Succeeded)
    assert workspace.endpoints[ENDPOINT].tags == OURS
    assert workspace.traffic(ENDPOINT) == {stage.deployment: 0}
    made = workspace.made[ENDPOINT, stage.deployment]
    assert made.model == "azureml://registries/reg/models/digits/versions/3"
    assert made.tags == {
        "mlpromote.route": "digits",
        "mlpromote.promotion": "digits-3-abc",
        "mlpromote.attempt": "1",
        "mlpromote.stage": "test",
        "mlpromote.model": "digits",
        "mlpromote.version": "3",
        "mlpromote.source": "dev",
        "mlpromote.job": "train-3",
    }


def test_the_evidence_says_what_was_made_of_what(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.has_endpoint(ENDPOINT, OURS, {"v2-old": 100})
    workspace.has_deployment(ENDPOINT, "v2-old", OURS)
    outcome = stage.run("deploy", workspace)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence == {
        "endpoint": ENDPOINT,
        "deployment": stage.deployment,
        "model": "azureml://registries/reg/models/digits/versions/3",
        "scoring_uri": f"https://{ENDPOINT}/score",
        "traffic_before": {"v2-old": 100},
    }


@pytest.mark.parametrize("dies_after", ["start_endpoint", "start_deployment"])
def test_goes_on_after_a_crash_behind_each_start(stage: Stage, workspace: FakeWorkspace, dies_after: str) -> None:
    workspace.polls_until_ready = 1
    workspace.dies_after = dies_after
    assert isinstance(stage.run("deploy", workspace), Succeeded)
    assert (workspace.calls["start_endpoint"], workspace.calls["start_deployment"]) == (1, 1)


def test_a_second_run_finds_everything_there(stage: Stage, workspace: FakeWorkspace) -> None:
    first = stage.run("deploy", workspace)
    assert stage.run("deploy", workspace) == first
    assert workspace.calls["start_deployment"] == 1


def test_polls_less_and_less_often(stage: Stage) -> None:
    polls = (1, 2, 5, 12, 900)
    pauses = [poll_again(stage.command("deploy", poll), "").poll_again_after.total_seconds() for poll in polls]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.5, 30)


@pytest.mark.parametrize("version", ["1", "2024.01.31-rc_1", "X" * 100, "Ünicode", "---"])
def test_names_are_valid_in_azure_and_begin_with_the_version(stage: Stage, version: str) -> None:
    name = stage.with_(version=version).deployment
    assert re.fullmatch(r"[a-zA-Z][-a-zA-Z0-9]{1,30}[a-zA-Z0-9]", name)
    assert "--" not in name
    assert name.startswith("v")


def test_names_differ_between_promotions_of_the_same_version(stage: Stage) -> None:
    assert stage.deployment != stage.with_(promotion="digits-3-another").deployment


def test_an_endpoint_that_someone_else_made_is_a_conflict(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.has_endpoint(ENDPOINT, {})
    outcome = stage.run("deploy", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
    assert not workspace.made


def test_a_deployment_of_the_same_name_that_is_not_ours_is_a_conflict(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.has_endpoint(ENDPOINT, OURS)
    workspace.has_deployment(ENDPOINT, stage.deployment, {**OURS, "mlpromote.promotion": "another"})
    outcome = stage.run("deploy", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT


@pytest.mark.parametrize("state", ["Failed", "Succeeded"])
def test_a_deployment_of_an_earlier_attempt_is_recreated(stage: Stage, workspace: FakeWorkspace, state: str) -> None:
    workspace.polls_until_ready = 1
    workspace.has_endpoint(ENDPOINT, OURS)
    workspace.has_deployment(ENDPOINT, stage.deployment, stage.its_tags, state)
    outcome = stage.with_(attempt=2).run("deploy", workspace)
    assert isinstance(outcome, Succeeded)
    assert workspace.made[ENDPOINT, stage.deployment].tags["mlpromote.attempt"] == "2"


def test_a_deployment_of_an_attempt_before_that_takes_traffic_is_kept(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.has_endpoint(ENDPOINT, OURS, {stage.deployment: 100})
    workspace.has_deployment(ENDPOINT, stage.deployment, stage.its_tags)
    assert isinstance(stage.with_(attempt=2).run("deploy", workspace), Succeeded)
    assert not workspace.calls["start_removal"]


def test_waits_for_an_endpoint_that_is_being_deleted_and_recreates_it(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.endpoints[ENDPOINT] = replace(workspace.has_endpoint(ENDPOINT, OURS), state="Deleting")
    assert isinstance(stage.poll("deploy", workspace), Running)
    del workspace.endpoints[ENDPOINT]
    assert isinstance(stage.run("deploy", workspace), Succeeded)


def test_a_broken_endpoint_is_reported(stage: Stage, workspace: FakeWorkspace) -> None:
    broken = replace(workspace.has_endpoint(ENDPOINT, OURS), state="Failed", error="OutOfQuota: no endpoints left")
    workspace.endpoints[ENDPOINT] = broken
    outcome = stage.run("deploy", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.QUOTA
    assert "OutOfQuota" in outcome.reason


def test_a_broken_endpoint_also_reports_why_its_cause_cannot_be_read(stage: Stage, workspace: FakeWorkspace) -> None:
    unread = "Identity prod could not read why it failed: AuthorizationFailed."
    broken = replace(workspace.has_endpoint(ENDPOINT, OURS), state="Failed", unread=unread)
    workspace.endpoints[ENDPOINT] = broken
    outcome = stage.run("deploy", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.UNKNOWN
    assert "could not read why it failed: AuthorizationFailed. If nothing uses it, delete" in outcome.reason


@pytest.mark.parametrize(
    ("error", "log", "kind"),
    [
        ("OutOfQuota: Not enough quota available for Standard_DS3_v2", "", FailureKind.QUOTA),
        ("BadArgument: User container has crashed or terminated", "", FailureKind.CONTAINER_CRASH),
        ("ResourceNotReady: the liveness probe failed", "", FailureKind.CONTAINER_CRASH),
        ("Authorization error: the identity lacks AcrPull", "", FailureKind.PERMISSION),
        ("ImageBuildFailure: conda failed", "", FailureKind.BAD_CONFIG),
        ("BadArgument: it is wrong", "", FailureKind.BAD_CONFIG),
        ("BadArgument: it is wrong", CRASH_LOG, FailureKind.CONTAINER_CRASH),
        ("OutOfQuota: none left", CRASH_LOG, FailureKind.QUOTA),
        ("OperationTimedOut: it took too long", "", FailureKind.TIMEOUT),
        ("ResourceNotFound: environment asset e:1", "", FailureKind.NOT_FOUND),
        ("", "", FailureKind.UNKNOWN),
        ("", CRASH_LOG, FailureKind.CONTAINER_CRASH),
    ],
)
def test_the_class_of_a_failure_is_reported_from_azures_error_and_the_log(
    stage: Stage, workspace: FakeWorkspace, error: str, log: str, kind: FailureKind
) -> None:
    workspace.fails_to_deploy, workspace.container_log = error or " ", log
    outcome = stage.run("deploy", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is kind
    assert error in outcome.reason


def test_the_diagnosis_of_a_crash_is_its_cause_and_the_end_of_the_log(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.fails_to_deploy = "BadArgument: User container has crashed or terminated"
    workspace.container_log = "first line\n" * 30 + CRASH_LOG
    outcome = stage.run("deploy", workspace)
    assert isinstance(outcome, Failed)
    cause = "ModuleNotFoundError: No module named 'nothing_like_this'"
    assert cause in outcome.reason
    assert outcome.diagnosis.splitlines()[0] == cause
    assert outcome.diagnosis.splitlines()[-1] == cause
    assert '  File "/var/score.py", line 5, in init' in outcome.diagnosis.splitlines()
    assert "(score.py, line 5, in init)" in outcome.reason
    assert len(outcome.diagnosis.splitlines()) == 22


def test_a_cause_that_may_not_be_read_is_reported_as_such_and_not_as_a_wrong_file(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    workspace.fails_to_deploy = "OutOfQuota: none left"
    workspace.unread = "Identity prod could not read why it failed: AuthorizationFailed."
    outcome = stage.run("deploy", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.UNKNOWN
    assert "could not read why it failed: AuthorizationFailed" in outcome.reason
    assert "let the environment's identity read it" in outcome.reason
    assert "Correct the deployment file" not in outcome.reason


def test_a_failure_is_reported_where_the_log_cannot_be_read(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.fails_to_deploy = "BadArgument: wrong"
    workspace.raises["logs"] = ForbiddenError("no right to read logs")
    outcome = stage.run("deploy", workspace)
    assert isinstance(outcome, Failed)
    assert "BadArgument: wrong" in outcome.reason
    assert "no right to read logs" in outcome.diagnosis


def test_a_model_that_left_the_registry_meanwhile_is_not_deployed(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.registry.models.clear()
    outcome = stage.run("deploy", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.NOT_FOUND
    assert not workspace.made


def test_while_the_deployment_is_under_way_a_poll_is_one_look(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.has_endpoint(ENDPOINT, OURS)
    workspace.has_deployment(ENDPOINT, stage.deployment, stage.its_tags, "Creating")
    workspace.keeps_state.add(stage.deployment)
    first = stage.poll("deploy", workspace)
    assert isinstance(first, Running)
    workspace.calls.clear()
    second = stage.run_command(replace(stage.command("deploy", 2), state=first.state), workspace)
    assert isinstance(second, Running)
    assert workspace.calls == {"deployment": 1}
    assert second.state == first.state


@pytest.mark.parametrize("change", ["ready", "gone", "another"])
def test_whatever_changed_meanwhile_is_read_and_checked_again(
    stage: Stage, workspace: FakeWorkspace, change: str
) -> None:
    """The last poll's state is not trusted: here the endpoint is no longer ours."""
    workspace.has_endpoint(ENDPOINT, OURS)
    workspace.has_deployment(ENDPOINT, stage.deployment, stage.its_tags, "Creating")
    workspace.keeps_state.add(stage.deployment)
    first = stage.poll("deploy", workspace)
    assert isinstance(first, Running)
    workspace.has_endpoint(ENDPOINT, {})
    if change == "gone":
        del workspace.made[ENDPOINT, stage.deployment]
    else:
        tags = stage.its_tags if change == "ready" else {**OURS, "mlpromote.promotion": "another"}
        workspace.has_deployment(ENDPOINT, stage.deployment, tags)
    outcome = stage.run_command(replace(stage.command("deploy", 2), state=first.state), workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
    assert workspace.calls["start_deployment"] == 0
