"""A monitor follows the deployment that serves."""

from dataclasses import replace

import pytest

from shared.core.messages import Failed, FailureKind, Retry, Succeeded
from shared.ports import ForbiddenError, Monitor, UnavailableError
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import ENDPOINT, OURS, Stage, champion, deploy_saw, failed

DEPLOYMENT = """\
instance_type: Standard_DS3_v2
instance_count: 1
data_collector: {collections: {model_inputs: {enabled: 'True'}, model_outputs: {enabled: 'True'}}}
"""
MONITOR = "name: '{model}-drift'\ncreate_monitor: {compute: {instance_type: standard_e4s_v3}}\n"
NAME = "digits-drift"
COLLECTS = frozenset({"model_inputs", "model_outputs"})
OF_STAGE = {**OURS, "mlpromote.stage": "test"}


@pytest.fixture
def stage(stage: Stage, workspace: FakeWorkspace) -> Stage:
    """In which version 2 serves, and version 3 has been deployed."""
    (stage.folder / "deployment.yml").write_text(DEPLOYMENT)
    (stage.folder / "monitor.yml").write_text(MONITOR)
    stage = stage.with_settings(monitor="monitor.yml")
    workspace.has_endpoint(ENDPOINT, OURS, {"v2-old": 100})
    for name in ("v2-old", stage.deployment):
        workspace.has_deployment(ENDPOINT, name, stage.its_tags if name == stage.deployment else OURS)
        workspace.collecting[ENDPOINT, name] = COLLECTS
    return stage


def test_a_monitor_that_is_missing_is_made_for_the_new_deployment(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.polls_until_ready = 2
    outcome = stage.run("move_monitor", workspace)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence == {"monitor": NAME, "deployment": stage.deployment}
    made = workspace.monitors[NAME]
    assert (made.deployment, made.is_enabled) == (f"{ENDPOINT}/{stage.deployment}", True)
    assert made.tags.items() >= OF_STAGE.items()
    assert workspace.calls["start_monitor"] == 1


def test_a_monitor_of_the_stage_is_pointed_at_the_new_deployment_and_then_left_alone(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    workspace.monitors[NAME] = Monitor(NAME, "Succeeded", True, f"{ENDPOINT}/v2-old", OF_STAGE)
    assert isinstance(stage.run("move_monitor", workspace), Succeeded)
    assert workspace.monitors[NAME].deployment == f"{ENDPOINT}/{stage.deployment}"
    assert isinstance(stage.run("move_monitor", workspace), Succeeded)
    assert workspace.calls["start_monitor"] == 1


@pytest.mark.parametrize("change", ["disabled", "another file"])
def test_a_monitor_that_is_not_as_its_file_says_is_made_anew(
    stage: Stage, workspace: FakeWorkspace, change: str
) -> None:
    assert isinstance(stage.run("move_monitor", workspace), Succeeded)
    if change == "disabled":
        workspace.monitors[NAME] = replace(workspace.monitors[NAME], is_enabled=False)
    else:
        (stage.folder / "monitor.yml").write_text(MONITOR.replace("e4s", "e8s"))
    assert isinstance(stage.run("move_monitor", workspace), Succeeded)
    assert workspace.calls["start_monitor"] == 2
    assert workspace.monitors[NAME].is_enabled


@pytest.mark.parametrize("tags", [{}, {**OF_STAGE, "mlpromote.stage": "prod"}])
def test_a_monitor_of_somebody_else_is_left_alone(stage: Stage, workspace: FakeWorkspace, tags: dict[str, str]) -> None:
    workspace.monitors[NAME] = theirs = Monitor(NAME, "Succeeded", True, "other/one", tags)
    outcome = stage.run("move_monitor", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
    assert workspace.monitors == {NAME: theirs}


def test_goes_on_after_a_crash_behind_the_start(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.polls_until_ready = 1
    workspace.dies_after = "start_monitor"
    assert isinstance(stage.run("move_monitor", workspace), Succeeded)
    assert workspace.calls["start_monitor"] == 1


def test_a_deployment_that_does_not_collect_is_refused_before_anything_is_deployed(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    (stage.folder / "deployment.yml").write_text(DEPLOYMENT.replace("model_outputs: {enabled: 'True'}", ""))
    outcome = stage.poll("validate", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.BAD_CONFIG
    assert "does not collect model_outputs" in outcome.reason


@pytest.mark.parametrize("content", [None, "name: m", "create_monitor: {}"])
def test_a_monitor_file_that_cannot_be_used_is_refused_before_anything_is_deployed(
    stage: Stage, workspace: FakeWorkspace, content: str | None
) -> None:
    stage.put("monitor.yml", content)
    failed(stage.poll("validate", workspace), FailureKind.BAD_CONFIG)


def test_the_monitor_file_is_part_of_what_is_approved(stage: Stage, workspace: FakeWorkspace) -> None:
    files = stage.validated(workspace).evidence["validate"]["manifest"]["files"]
    assert "monitor.yml" in files


def rolled_back(stage: Stage) -> Stage:
    """After the new version has taken the traffic, with the one before still there."""
    evidence = {**stage.evidence, "deploy": deploy_saw(stage.deployment, v2_old=100)}
    return stage.with_(evidence=evidence, champion=champion(deploy=deploy_saw("v2-old")))


def test_a_rollback_points_the_monitor_back(stage: Stage, workspace: FakeWorkspace) -> None:
    assert isinstance(stage.run("move_monitor", workspace), Succeeded)
    workspace.has_endpoint(ENDPOINT, OURS, {stage.deployment: 100})
    outcome = rolled_back(stage).run("restore", workspace)
    assert isinstance(outcome, Succeeded)
    assert "monitor_left" not in outcome.evidence
    assert workspace.monitors[NAME].deployment == f"{ENDPOINT}/v2-old"
    assert workspace.traffic(ENDPOINT) == {"v2-old": 100, stage.deployment: 0}


def test_a_rollback_waits_only_a_while_for_schedules_that_cannot_be_read(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    workspace.has_endpoint(ENDPOINT, OURS, {"v2-old": 100})
    for poll, expected in ((1, Retry), (10, Succeeded)):
        workspace.raises["monitor"] = UnavailableError("away")
        assert isinstance(rolled_back(stage).poll("restore", workspace, poll), expected)


@pytest.mark.parametrize("trouble", ["no right", "does not collect", "stuck"])
def test_a_rollback_does_not_fail_for_a_monitor(stage: Stage, workspace: FakeWorkspace, trouble: str) -> None:
    workspace.has_endpoint(ENDPOINT, OURS, {stage.deployment: 100})
    if trouble == "no right":
        workspace.raises["monitor"] = ForbiddenError("may not read monitors")
    if trouble == "does not collect":
        workspace.collecting.clear()
    if trouble == "stuck":
        workspace.monitors[NAME] = Monitor(NAME, "Updating", True, f"{ENDPOINT}/{stage.deployment}", OF_STAGE)
    outcome = rolled_back(stage).run("restore", workspace)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["monitor_left"]
    assert workspace.traffic(ENDPOINT) == {"v2-old": 100, stage.deployment: 0}


def test_a_monitor_of_another_model_of_the_stage_is_left_alone(stage: Stage, workspace: FakeWorkspace) -> None:
    theirs = {**OF_STAGE, "mlpromote.model": "letters"}
    workspace.monitors[NAME] = before = Monitor(NAME, "Succeeded", True, "other/one", theirs)
    outcome = stage.run("move_monitor", workspace)
    assert isinstance(outcome, Failed)
    assert "watches model letters of the same stage" in outcome.reason
    assert "{model}" in outcome.reason
    assert workspace.monitors == {NAME: before}
