import pytest

from shared.core.messages import Failed, FailureKind, Running, Succeeded
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import ENDPOINT, OURS, Stage


@pytest.fixture
def deployed(stage: Stage, workspace: FakeWorkspace) -> FakeWorkspace:
    workspace.has_endpoint(ENDPOINT, OURS, {"v2-old": 100})
    workspace.has_deployment(ENDPOINT, "v2-old", {**OURS, "mlpromote.promotion": "digits-2"})
    workspace.has_deployment(ENDPOINT, stage.deployment, stage.its_tags)
    return workspace


def test_takes_away_its_own_deployment_and_waits_until_it_is_gone(stage: Stage, deployed: FakeWorkspace) -> None:
    deployed.polls_until_ready = 2
    assert isinstance(stage.poll("remove", deployed), Running)
    assert stage.run("remove", deployed) == Succeeded({"deployment": stage.deployment})
    assert list(deployed.made) == [(ENDPOINT, "v2-old")]
    assert deployed.calls["start_removal"] == 1


def test_goes_on_after_a_crash_behind_the_start(stage: Stage, deployed: FakeWorkspace) -> None:
    deployed.dies_after = "start_removal"
    assert isinstance(stage.run("remove", deployed), Succeeded)


def test_a_failed_deployment_is_taken_away_too(stage: Stage, deployed: FakeWorkspace) -> None:
    deployed.has_deployment(ENDPOINT, stage.deployment, stage.its_tags, "Failed")
    assert isinstance(stage.run("remove", deployed), Succeeded)
    assert (ENDPOINT, stage.deployment) not in deployed.made


def test_succeeds_where_nothing_was_deployed(stage: Stage, workspace: FakeWorkspace) -> None:
    assert stage.run("remove", workspace) == Succeeded({"not_there": stage.deployment})
    assert not workspace.calls["start_removal"]


def test_says_at_once_that_it_stays_where_it_still_takes_traffic(stage: Stage, deployed: FakeWorkspace) -> None:
    """The traffic could not be restored, so nobody will move it. Waiting would block the lane."""
    deployed.has_endpoint(ENDPOINT, OURS, {stage.deployment: 100})
    outcome = stage.poll("remove", deployed)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
    assert "100 %" in outcome.reason
    assert (ENDPOINT, stage.deployment) in deployed.made


def test_waits_for_a_change_of_traffic_that_is_under_way(stage: Stage, deployed: FakeWorkspace) -> None:
    deployed.has_endpoint(ENDPOINT, OURS, {stage.deployment: 100})
    deployed.polls_until_ready = 1
    deployed.start_traffic(ENDPOINT, {"v2-old": 100}, {})
    assert isinstance(stage.poll("remove", deployed), Running)
    assert isinstance(stage.run("remove", deployed), Succeeded)


def test_leaves_what_a_retry_has_made_since(stage: Stage, deployed: FakeWorkspace) -> None:
    deployed.has_deployment(ENDPOINT, stage.deployment, {**stage.its_tags, "mlpromote.attempt": "2"})
    assert stage.run("remove", deployed) == Succeeded({"left_alone": stage.deployment})
    assert (ENDPOINT, stage.deployment) in deployed.made


def test_leaves_a_deployment_of_others_alone(stage: Stage, deployed: FakeWorkspace) -> None:
    deployed.has_deployment(ENDPOINT, stage.deployment, {})
    assert isinstance(stage.run("remove", deployed), Succeeded)
    assert (ENDPOINT, stage.deployment) in deployed.made
