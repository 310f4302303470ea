"""The steps of a stage with a batch endpoint: the same as for an online endpoint, with its default as the traffic."""

from pathlib import Path

import pytest

from shared.config.policy import Policy
from shared.core.messages import Failed, FailureKind, Succeeded
from shared.core.replacing import replace
from shared.ports import EndpointKind, UnavailableError
from shared.worker.fence import TooLateError, fenced
from shared.worker.order import Rules
from tests.fakes.workspace import FakeWorkspace
from tests.steps.batch import BATCH_ENDPOINT, batch_stage, batch_view, serving
from tests.steps.promotion import NOW, OURS, Stage


@pytest.fixture
def stage(tmp_path: Path, workspace: FakeWorkspace) -> Stage:
    workspace.has_data("sample", "1", type="uri_file")
    return batch_stage(tmp_path)


def deployed(stage: Stage, workspace: FakeWorkspace) -> Stage:
    validated = stage.validated(workspace)
    outcome = validated.run("deploy", workspace)
    assert isinstance(outcome, Succeeded), outcome
    return validated.with_(evidence={**validated.evidence, "deploy": outcome.evidence})


def test_the_endpoint_is_created_and_the_new_deployment_beside_the_default(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    first = deployed(stage, workspace)
    view = batch_view(workspace)
    assert view.endpoints[BATCH_ENDPOINT].tags == OURS
    assert (BATCH_ENDPOINT, first.deployment) in view.made
    assert view.endpoints[BATCH_ENDPOINT].traffic == {}
    assert workspace.endpoints == {}


def test_the_default_stays_until_it_is_switched_and_the_old_one_is_removed_after_that(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    stage = deployed(stage.with_(champion=serving(workspace)), workspace)
    view = batch_view(workspace)
    assert view.traffic(BATCH_ENDPOINT) == {"v2-old": 100, stage.deployment: 0}
    shifted = stage.run("shift", workspace)
    assert isinstance(shifted, Succeeded)
    assert view.traffic(BATCH_ENDPOINT) == {"v2-old": 0, stage.deployment: 100}
    retired = stage.with_(evidence={**stage.evidence, "shift": shifted.evidence}).run("retire", workspace)
    assert isinstance(retired, Succeeded)
    assert [name for _, name in view.made] == [stage.deployment]


def test_a_default_that_somebody_moved_stays_and_is_named(stage: Stage, workspace: FakeWorkspace) -> None:
    stage = deployed(stage.with_(champion=serving(workspace)), workspace)
    view = batch_view(workspace)
    view.has_deployment(BATCH_ENDPOINT, "by-hand", {})
    view.has_endpoint(BATCH_ENDPOINT, OURS, {"by-hand": 100})
    outcome = stage.run("shift", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
    assert f"The default of batch endpoint {BATCH_ENDPOINT} is by-hand" in outcome.reason
    assert view.endpoints[BATCH_ENDPOINT].traffic == {"by-hand": 100}


def test_rolling_back_while_the_old_deployment_is_kept_is_one_change_of_the_endpoint(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    stage = deployed(stage.with_(champion=serving(workspace)), workspace)
    assert isinstance(stage.run("shift", workspace), Succeeded)
    workspace.calls.clear()
    assert isinstance(stage.run("reinstate", workspace), Succeeded)
    assert isinstance(stage.run("restore", workspace), Succeeded)
    changes = {name: count for name, count in workspace.calls.items() if name.startswith("start_")}
    assert changes == {"start_traffic": 1}
    assert batch_view(workspace).endpoints[BATCH_ENDPOINT].traffic == {"v2-old": 100}


def test_the_first_deployment_is_taken_back_and_removed(stage: Stage, workspace: FakeWorkspace) -> None:
    stage = deployed(stage, workspace)
    for step in ("shift", "reinstate", "restore", "remove"):
        assert isinstance(stage.run(step, workspace), Succeeded)
    view = batch_view(workspace)
    assert (view.endpoints[BATCH_ENDPOINT].traffic, view.made) == ({}, {})


def test_an_endpoint_of_somebody_else_is_left_alone(stage: Stage, workspace: FakeWorkspace) -> None:
    batch_view(workspace).has_endpoint(BATCH_ENDPOINT, {}, {})
    outcome = stage.poll("validate", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
    assert "Choose another `batch_endpoint`" in outcome.reason


def test_what_the_deployment_needs_is_looked_for_before_anything_is_spent(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    workspace.computes = set()
    outcome = stage.poll("validate", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith("The workspace of test has no cluster cpu, which batch.yml requires.")
    workspace.computes = {"cpu"}
    workspace.data.clear()
    outcome = stage.poll("validate", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith("There is no data asset sample, version 1, in the workspace of test.")


def test_an_environments_sizes_are_those_of_the_clusters_nodes(stage: Stage, workspace: FakeWorkspace) -> None:
    allowed = stage.with_(rules=Rules(Policy(instance_types=("Standard_DS3_v2",), max_instances=2)))
    assert isinstance(allowed.poll("validate", workspace), Succeeded)
    refused = stage.with_(rules=Rules(Policy(instance_types=("Standard_F4s_v2",), max_instances=1)))
    outcome = refused.poll("validate", workspace)
    assert isinstance(outcome, Failed)
    assert "policy: instance type" in outcome.reason
    assert "policy: instances" in outcome.reason


def test_what_is_behind_a_fence_stays_there_in_the_view_of_batch_endpoints(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    command = stage.command("deploy")
    view = fenced(workspace, command, lambda: command.not_after).with_endpoints(EndpointKind.BATCH)
    with pytest.raises(TooLateError):
        view.start_endpoint(BATCH_ENDPOINT, OURS)
    assert workspace.batch_endpoints == {}


@pytest.mark.parametrize("step", ["deploy", "shift"])
def test_a_poll_that_dies_after_its_change_is_delivered_again_and_changes_nothing_twice(
    stage: Stage, workspace: FakeWorkspace, step: str
) -> None:
    stage = stage.with_(champion=serving(workspace)).validated(workspace)
    for name in ("deploy", "shift"):
        workspace.dies_after = {"deploy": "start_deployment", "shift": "start_traffic"}[name] if name == step else ""
        outcome = stage.run(name, workspace)
        assert isinstance(outcome, Succeeded), outcome
        stage = stage.with_(evidence={**stage.evidence, name: outcome.evidence})
    assert (workspace.calls["start_deployment"], workspace.calls["start_traffic"]) == (1, 1)
    assert batch_view(workspace).endpoints[BATCH_ENDPOINT].traffic == {stage.deployment: 100}


def test_nothing_is_deployed_that_was_not_validated(stage: Stage, workspace: FakeWorkspace) -> None:
    validated = stage.validated(workspace)
    (stage.folder / "batch.yml").write_text("compute: azureml:cpu\nresources: {instance_count: 9}\n")
    outcome = validated.run("deploy", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CHANGED
    assert workspace.batch_made == {}


def test_a_busy_workspace_is_asked_again(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.raises["cluster"] = UnavailableError("throttled")
    assert not isinstance(stage.poll("validate", workspace), Failed)
    assert replace(stage.command("validate")).not_before == NOW
