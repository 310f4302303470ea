import pytest

from shared.core.messages import Failed, Running, Succeeded, as_evidence
from shared.worker.steps.shift import Shifted
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import ENDPOINT, OURS, SHARED, Stage

SEEN = ("by-hand", "v1-older", "v2-old")


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """The stage after `shift`, which saw three others."""
    return stage.with_(evidence={"share": SHARED, "shift": as_evidence(Shifted({}, SEEN))})


@pytest.fixture
def shifted(stage: Stage, workspace: FakeWorkspace) -> FakeWorkspace:
    workspace.has_endpoint(ENDPOINT, OURS, {stage.deployment: 100})
    workspace.has_deployment(ENDPOINT, stage.deployment, stage.its_tags)
    for name in ("v1-older", "v2-old"):
        workspace.has_deployment(ENDPOINT, name, OURS)
    return workspace


def test_removes_what_was_replaced_one_after_the_other(stage: Stage, shifted: FakeWorkspace) -> None:
    shifted.polls_until_ready = 2
    assert isinstance(stage.poll("retire", shifted), Running)
    assert isinstance(stage.run("retire", shifted), Succeeded)
    assert list(shifted.made) == [(ENDPOINT, stage.deployment)]
    assert shifted.calls["start_removal"] == 2


def test_a_poll_while_one_is_being_removed_makes_a_single_call(stage: Stage, shifted: FakeWorkspace) -> None:
    shifted.polls_until_ready = 5
    begun = stage.poll("retire", shifted)
    assert isinstance(begun, Running)
    shifted.calls.clear()
    assert isinstance(stage.with_(state=begun.state).poll("retire", shifted, 2), Running)
    assert shifted.calls == {"deployments": 1}


def test_goes_on_after_a_crash_behind_a_start(stage: Stage, shifted: FakeWorkspace) -> None:
    shifted.polls_until_ready = 1
    shifted.dies_after = "start_removal"
    assert isinstance(stage.run("retire", shifted), Succeeded)
    assert list(shifted.made) == [(ENDPOINT, stage.deployment)]


def test_a_second_run_removes_nothing(stage: Stage, shifted: FakeWorkspace) -> None:
    first = stage.run("retire", shifted)
    assert stage.run("retire", shifted) == first
    assert shifted.calls["start_removal"] == 2


def test_leaves_deployments_of_others_and_those_with_traffic_alone_and_says_so(
    stage: Stage, shifted: FakeWorkspace
) -> None:
    shifted.has_endpoint(ENDPOINT, OURS, {stage.deployment: 90, "v2-old": 10})
    shifted.has_deployment(ENDPOINT, "by-hand", {})
    outcome = stage.run("retire", shifted)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence == {"left_alone": {"v2-old": "takes traffic", "by-hand": "not made by this route"}}
    assert {name for _, name in shifted.made} == {stage.deployment, "v2-old", "by-hand"}


def test_never_touches_a_deployment_that_came_after_the_shift(stage: Stage, shifted: FakeWorkspace) -> None:
    shifted.has_deployment(ENDPOINT, "v4-newer", OURS)
    assert isinstance(stage.run("retire", shifted), Succeeded)
    assert {name for _, name in shifted.made} == {stage.deployment, "v4-newer"}


def test_removes_nothing_where_somebody_has_moved_the_traffic_since(stage: Stage, shifted: FakeWorkspace) -> None:
    shifted.has_endpoint(ENDPOINT, OURS, {"v2-old": 100})
    outcome = stage.run("retire", shifted)
    assert isinstance(outcome, Failed)
    assert "v2-old (100 %)" in outcome.reason
    assert len(shifted.made) == 3


def test_removes_nothing_while_the_new_deployment_does_not_answer(stage: Stage, shifted: FakeWorkspace) -> None:
    shifted.has_deployment(ENDPOINT, stage.deployment, stage.its_tags, "Failed")
    assert isinstance(stage.run("retire", shifted), Failed)
    assert len(shifted.made) == 3
