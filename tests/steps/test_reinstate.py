import pytest

from shared.core.messages import Failed, FailureKind, Running, Succeeded
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import ENDPOINT, ORIGIN, OURS, SHARED, Stage, champion


@pytest.fixture
def old(stage: Stage) -> Stage:
    """The champion's own promotion, as it was."""
    before = champion()
    return stage.with_(promotion=before.promotion, version=before.candidate.version)


@pytest.fixture
def replaced(stage: Stage, workspace: FakeWorkspace) -> Stage:
    """The stage whose predecessor was retired."""
    workspace.has_endpoint(ENDPOINT, OURS, {stage.deployment: 100})
    workspace.has_deployment(ENDPOINT, stage.deployment, stage.its_tags)
    before = champion()
    workspace.has_copy("digits", before.candidate.version, ORIGIN)
    return stage.with_(champion=champion(share=SHARED))


def test_deploys_the_champion_again_under_its_own_name_and_asks_no_gate(
    replaced: Stage, old: Stage, workspace: FakeWorkspace
) -> None:
    assert isinstance(replaced.look("reinstate", workspace), Running)
    assert isinstance(replaced.run("reinstate", workspace), Succeeded)
    assert (ENDPOINT, old.deployment) in workspace.made
    assert workspace.traffic(ENDPOINT) == {replaced.deployment: 100, old.deployment: 0}


def test_leaves_a_champion_that_is_still_there_as_it_is(replaced: Stage, old: Stage, workspace: FakeWorkspace) -> None:
    workspace.has_deployment(ENDPOINT, old.deployment, {**old.its_tags, "mlpromote.attempt": "7"})
    assert isinstance(replaced.look("reinstate", workspace), Succeeded)
    assert not workspace.calls["start_removal"]
    assert not workspace.calls["start_deployment"]


def test_succeeds_where_there_was_no_champion(stage: Stage, workspace: FakeWorkspace) -> None:
    assert stage.look("reinstate", workspace) == Succeeded({})


def test_fails_in_words_where_the_champions_model_is_gone(replaced: Stage, workspace: FakeWorkspace) -> None:
    workspace.registry.models.clear()
    outcome = replaced.run("reinstate", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.NOT_FOUND
