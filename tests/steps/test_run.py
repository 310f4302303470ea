from datetime import timedelta

import pytest

from shared.core.messages import Failed, FailureKind, Kind, NotRun, Outcome, Retry, Running
from shared.core.replacing import replace
from shared.ports import BusyError, ForbiddenError, OutOfQuotaError, RejectedError, UnavailableError, Workspace
from shared.worker.fence import CHANGES, TooLateError, fenced
from shared.worker.steps import steps
from tests.fakes.workspace import FakeWorkspace
from tests.steps.batch import BATCH
from tests.steps.promotion import SHARED, Stage, champion


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (UnavailableError("slow down", timedelta(seconds=17)), Retry(timedelta(seconds=17), "slow down")),
        (UnavailableError("no connection"), Retry(timedelta(seconds=5), "no connection")),
        (UnavailableError("at once", timedelta(0)), Retry(timedelta(0), "at once")),
        (BusyError("another operation"), Retry(timedelta(seconds=5), "another operation")),
        (ForbiddenError("may not read"), Failed("may not read", FailureKind.PERMISSION)),
        (OutOfQuotaError("no room"), Failed("no room", FailureKind.QUOTA)),
        (RejectedError("wrong"), Failed("wrong", FailureKind.BAD_CONFIG)),
    ],
)
def test_errors_of_the_port_become_outcomes(
    stage: Stage, workspace: FakeWorkspace, error: Exception, outcome: Outcome
) -> None:
    workspace.raises["endpoint"] = error
    assert stage.poll("deploy", workspace) == outcome


def test_an_error_names_the_environment_that_it_happened_in_where_the_stage_has_another_name(stage: Stage) -> None:
    dev = FakeWorkspace(raises={"model": ForbiddenError("may not read")})
    command = replace(stage.command("share"), environment="dev")
    outcome = stage.run_command(command, dev)
    assert outcome == Failed("dev: may not read", FailureKind.PERMISSION)


#: They are tested with a promotion of their own kind.
OF_PIPELINES = {"register_components", "inspect", "approve_run", "run", "compare", "register_model", "withdraw"}


#: Calls that several steps make.
OF_ALL = ("model", "model_versions", "endpoint", "deployment", "registry_model", "submitted_job")


@pytest.mark.parametrize("step", sorted(steps().keys() - {"approve"} - OF_PIPELINES))
def test_throttling_of_any_call_of_any_step_is_tried_again(stage: Stage, step: str) -> None:
    """Each call that the step makes is throttled once, on a workspace in which it gets that far."""
    met = set()
    stage = stage.with_(champion=champion(share=SHARED))
    if step == "register":
        stage = stage.with_(kind=Kind.JOB, settings={"output": "model"})
    if step == "evaluate":
        stage = stage.with_settings(evaluate={"job": "evaluate.yml", "gates": [{"metric": "auc", "at_least": 0.8}]})
    if step == "invoke":
        stage = stage.with_(settings=BATCH)
    if step == "cancel_job":
        stage = stage.with_(options={"undoes": "evaluate"})
    if step == "move_monitor":
        (stage.folder / "monitor.yml").write_text("name: drift\ncreate_monitor: {}\n", encoding="utf-8")
        stage = stage.with_settings(monitor="monitor.yml")
    if step in ("rollout", "watch"):
        rollout = {"steps": [{"traffic": 10, "for": "10m"}], "watch": "10m", "keep": "1h"}
        stage = stage.with_(options={"entry": 1}).with_settings(rollout=rollout)
    for method in (*OF_ALL, "quotas", "monitor"):
        workspace = FakeWorkspace(raises={method: UnavailableError("throttled", timedelta(seconds=3))})
        outcome = stage.poll(step, workspace)
        if workspace.raises == {}:
            met.add(method)
            assert outcome == Retry(timedelta(seconds=3), "throttled")
    assert met or step in ("smoke", "share_data")


def test_an_unknown_step_fails_in_words(stage: Stage, workspace: FakeWorkspace) -> None:
    outcome = stage.poll("canary", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.BUG
    assert "'canary'" in outcome.reason


def test_a_command_does_nothing_from_its_end_on(stage: Stage, workspace: FakeWorkspace) -> None:
    stage = stage.validated(workspace)
    workspace.calls.clear()
    end = stage.command("deploy").not_after
    assert isinstance(stage.poll("deploy", workspace, now=end), NotRun)
    assert isinstance(stage.poll("deploy", workspace, now=end + timedelta(hours=1)), NotRun)
    assert not workspace.calls
    assert isinstance(stage.poll("deploy", workspace, now=end - timedelta(seconds=1)), Running)


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_command_that_expires_while_it_is_at_work_makes_no_change_any_more(
    stage: Stage, workspace: FakeWorkspace, change: str
) -> None:
    """Its time is over at the moment of the change, since the process may have paused before it."""
    command = stage.command("deploy")
    with pytest.raises(TooLateError):
        getattr(fenced(workspace, command, lambda: command.not_after), change)()
    assert not workspace.calls


def test_every_method_of_the_port_that_changes_something_is_fenced() -> None:
    """By the port's convention, such a method's name says that it starts or registers something."""
    methods = {name for name in dir(Workspace) if not name.startswith("_")}
    assert {name for name in methods if name.startswith(("start_", "register_"))} == CHANGES


def test_a_bug_fails_the_step_in_words(
    stage: Stage, workspace: FakeWorkspace, caplog: pytest.LogCaptureFixture
) -> None:
    workspace.raises["endpoint"] = ZeroDivisionError("a bug")
    outcome = stage.poll("deploy", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.BUG
    assert "ZeroDivisionError: a bug" in outcome.reason
    assert "Traceback" in caplog.text
