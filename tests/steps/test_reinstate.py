import pytest

from shared.core.messages import Champion, Failed, FailureKind, Running, Succeeded
from shared.core.replacing import replace
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
    return stage.with_(champion=as_it_was_approved(stage, workspace))


def as_it_was_approved(stage: Stage, workspace: FakeWorkspace, *people: str) -> Champion:
    """The champion with the evidence of its own promotion."""
    before = champion()
    workspace.has_copy("digits", before.candidate.version, ORIGIN)
    theirs = stage.with_(promotion=before.promotion, version=before.candidate.version).approved(workspace, *people)
    return replace(before, evidence=theirs.evidence)


def test_deploys_the_champion_again_under_its_own_name_and_asks_no_gate(
    replaced: Stage, old: Stage, workspace: FakeWorkspace
) -> None:
    assert isinstance(replaced.poll("reinstate", workspace), Running)
    assert isinstance(replaced.run("reinstate", workspace), Succeeded)
    assert (ENDPOINT, old.deployment) in workspace.made
    assert workspace.traffic(ENDPOINT) == {replaced.deployment: 100, old.deployment: 0}


def test_leaves_a_champion_that_is_still_there_as_it_is(replaced: Stage, old: Stage, workspace: FakeWorkspace) -> None:
    workspace.has_deployment(ENDPOINT, old.deployment, {**old.its_tags, "mlpromote.attempt": "7"})
    assert isinstance(replaced.poll("reinstate", workspace), Succeeded)
    assert not workspace.calls["start_removal"]
    assert not workspace.calls["start_deployment"]


def test_succeeds_where_there_was_no_champion(stage: Stage, workspace: FakeWorkspace) -> None:
    assert stage.poll("reinstate", workspace) == Succeeded({})


def test_fails_in_words_where_the_champions_model_is_gone(replaced: Stage, workspace: FakeWorkspace) -> None:
    workspace.registry.models.clear()
    outcome = replaced.run("reinstate", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.NOT_FOUND


def test_brings_back_what_was_approved_though_a_file_was_fixed_since(
    replaced: Stage, old: Stage, workspace: FakeWorkspace
) -> None:
    (replaced.folder / "deployment.yml").write_text("instance_type: Standard_DS2_v2\n")
    assert isinstance(replaced.run("reinstate", workspace), Succeeded)
    assert (ENDPOINT, old.deployment) in workspace.made


@pytest.mark.parametrize("validated", [True, False])
def test_brings_back_no_other_model_than_the_one_that_was_validated(
    replaced: Stage, workspace: FakeWorkspace, validated: bool
) -> None:
    """A forged command that calls another version the champion."""
    origin = "azureml://locations/west/workspaces/ws-dev/models/open-evil/versions/1"
    workspace.has_copy("open-evil", "1", origin)
    assert replaced.champion is not None
    share = {**SHARED, "origin": origin}
    evidence = {**replaced.champion.evidence, "share": share} if validated else {"share": share}
    candidate = replace(replaced.champion.candidate, name="open-evil", version="1")
    forged = replaced.with_(champion=replace(replaced.champion, candidate=candidate, evidence=evidence))
    before = dict(workspace.made)
    outcome = forged.run("reinstate", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CHANGED
    assert workspace.made == before
