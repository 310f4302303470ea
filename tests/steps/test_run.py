from datetime import timedelta

import pytest

from shared.core.messages import GRACE, Failed, FailureKind, Outcome, Retry, Running
from shared.ports import BusyError, ForbiddenError, OutOfQuotaError, RejectedError, UnavailableError
from shared.steps import RULED, STEPS
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import SHARED, Stage, champion


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (UnavailableError("slow down", timedelta(seconds=17)), Retry(timedelta(seconds=17), "slow down")),
        (UnavailableError("no connection"), Retry(timedelta(seconds=5), "no connection")),
        (UnavailableError("at once", timedelta(0)), Retry(timedelta(0), "at once")),
        (BusyError("another operation"), Retry(timedelta(seconds=5), "another operation")),
        (ForbiddenError("may not read"), Failed("test: may not read", FailureKind.PERMISSION)),
        (OutOfQuotaError("no room"), Failed("test: no room", FailureKind.QUOTA)),
        (RejectedError("wrong"), Failed("test: wrong", FailureKind.BAD_CONFIG)),
    ],
)
def test_errors_of_the_port_become_outcomes(
    stage: Stage, workspace: FakeWorkspace, error: Exception, outcome: Outcome
) -> None:
    workspace.raises["endpoint"] = error
    assert stage.look("deploy", workspace) == outcome


@pytest.mark.parametrize("step", sorted(STEPS.keys() | RULED.keys() - {"approve"}))
def test_throttling_of_any_call_of_any_step_is_tried_again(stage: Stage, step: str) -> None:
    """Each call that the step makes is throttled once, on a workspace in which it gets that far."""
    met = set()
    stage = stage.with_(champion=champion(share=SHARED))
    for method in ("model", "model_versions", "endpoint", "deployment", "registry_model"):
        workspace = FakeWorkspace(raises={method: UnavailableError("throttled", timedelta(seconds=3))})
        outcome = stage.look(step, workspace)
        if workspace.raises == {}:
            met.add(method)
            assert outcome == Retry(timedelta(seconds=3), "throttled")
    assert met or step == "smoke"


def test_an_unknown_step_fails_in_words(stage: Stage, workspace: FakeWorkspace) -> None:
    outcome = stage.look("canary", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.BUG
    assert "'canary'" in outcome.reason


def test_a_command_that_the_lane_has_given_up_does_nothing(stage: Stage, workspace: FakeWorkspace) -> None:
    stage = stage.validated(workspace)
    workspace.calls.clear()
    deadline = stage.command("deploy").deadline
    outcome = stage.look("deploy", workspace, now=deadline + GRACE)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.TIMEOUT
    assert not workspace.calls
    assert isinstance(stage.look("deploy", workspace, now=deadline), Running)


def test_a_bug_is_raised(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.raises["endpoint"] = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        stage.look("deploy", workspace)
