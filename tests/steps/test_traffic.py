"""Steps `shift` and `restore`."""

from collections.abc import Mapping
from types import MappingProxyType

import pytest

from shared.core.messages import Failed, FailureKind, Running, Succeeded
from shared.core.replacing import replace
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import ENDPOINT, ORIGIN, OURS, SHARED, Stage, champion, deploy_saw


@pytest.fixture
def both(stage: Stage, workspace: FakeWorkspace) -> FakeWorkspace:
    """An endpoint with the champion's deployment and the new one."""
    workspace.has_endpoint(ENDPOINT, OURS, {"v2-old": 100})
    workspace.has_deployment(ENDPOINT, "v2-old", {**OURS, "mlpromote.promotion": "digits-2"})
    workspace.has_deployment(ENDPOINT, stage.deployment, stage.its_tags)
    return workspace


@pytest.fixture
def deployed(stage: Stage) -> Stage:
    """The stage after `deploy`, with a champion."""
    old = champion(deploy=deploy_saw("v2-old"))
    return stage.with_(evidence={"share": SHARED, "deploy": deploy_saw("v3-new", v2_old=100)}, champion=old)


def test_shift_gives_all_traffic_to_the_new_deployment_and_reads_it_back(deployed: Stage, both: FakeWorkspace) -> None:
    both.polls_until_ready = 2
    assert isinstance(deployed.poll("shift", both), Running)
    assert both.traffic(ENDPOINT) == {deployed.deployment: 0, "v2-old": 100}, "Azure ML shows the old until it is done"
    assert isinstance(deployed.poll("shift", both, 2), Running)  # asked for, and not yet confirmed
    outcome = deployed.run("shift", both)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence == {
        "traffic": {deployed.deployment: 100},
        "others": ["v2-old"],
    }
    assert both.traffic(ENDPOINT) == {deployed.deployment: 100, "v2-old": 0}
    assert both.calls["start_traffic"] == 1


def test_shift_leaves_traffic_that_somebody_has_moved_elsewhere(deployed: Stage, both: FakeWorkspace) -> None:
    both.has_deployment(ENDPOINT, "v4-newer", OURS)
    both.has_endpoint(ENDPOINT, OURS, {"v4-newer": 100})
    outcome = deployed.run("shift", both)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
    assert "v4-newer (100 %)" in outcome.reason
    assert both.traffic(ENDPOINT)["v4-newer"] == 100


def test_restore_leaves_traffic_that_does_not_go_to_its_own_deployment(deployed: Stage, both: FakeWorkspace) -> None:
    both.has_deployment(ENDPOINT, "v4-newer", OURS)
    both.has_endpoint(ENDPOINT, OURS, {"v4-newer": 100})
    assert isinstance(deployed.run("restore", both), Succeeded)
    assert both.traffic(ENDPOINT)["v4-newer"] == 100


def test_restore_gives_the_traffic_back_to_the_champion(deployed: Stage, both: FakeWorkspace) -> None:
    deployed.run("shift", both)
    outcome = deployed.run("restore", both)
    assert isinstance(outcome, Succeeded)
    assert both.traffic(ENDPOINT) == {deployed.deployment: 0, "v2-old": 100}


def test_restore_gives_it_to_none_where_there_was_no_champion(stage: Stage, both: FakeWorkspace) -> None:
    both.has_endpoint(ENDPOINT, OURS, {stage.deployment: 100})
    assert isinstance(stage.run("restore", both), Succeeded)
    assert not any(both.traffic(ENDPOINT).values())


@pytest.mark.parametrize("step", ["shift", "restore"])
def test_a_second_run_changes_nothing(deployed: Stage, both: FakeWorkspace, step: str) -> None:
    deployed.run("shift", both)
    first = deployed.run(step, both)
    started = both.calls["start_traffic"]
    assert deployed.run(step, both) == first
    assert both.calls["start_traffic"] == started


@pytest.mark.parametrize("step", ["shift", "restore"])
def test_goes_on_after_a_crash_behind_the_start(deployed: Stage, both: FakeWorkspace, step: str) -> None:
    both.polls_until_ready = 1
    if step == "restore":
        deployed.run("shift", both)
    both.dies_after = "start_traffic"
    assert isinstance(deployed.run(step, both), Succeeded)


def test_restore_of_a_shift_that_never_began_changes_nothing(deployed: Stage, both: FakeWorkspace) -> None:
    assert isinstance(deployed.run("restore", both), Succeeded)
    assert not both.calls["start_traffic"]


def test_restore_deploys_the_champion_again_that_went_away_since_it_was_reinstated(
    deployed: Stage, both: FakeWorkspace
) -> None:
    before = champion()
    both.has_copy("digits", "2", ORIGIN)
    theirs = deployed.with_(promotion=before.promotion, version="2", champion=None).approved(both)
    evidence = {**theirs.evidence, "deploy": deploy_saw("v2-old")}
    deployed = deployed.with_(champion=replace(before, evidence=evidence))
    deployed.run("shift", both)
    both.polls_until_ready = 3
    both.start_removal(ENDPOINT, "v2-old")
    outcome = deployed.run("restore", both)
    assert isinstance(outcome, Succeeded)
    (serving,) = outcome.evidence["traffic"]
    assert both.made[ENDPOINT, serving].state == "Succeeded"
    assert both.traffic(ENDPOINT) == {deployed.deployment: 0, serving: 100}


@pytest.mark.parametrize("state", ["Deleting", "Failed", ""])
def test_the_traffic_stays_where_it_is_while_its_new_place_does_not_answer(
    deployed: Stage, both: FakeWorkspace, state: str
) -> None:
    """For good, if the champion cannot be deployed again either: its model is not in the registry."""
    deployed.run("shift", both)
    del both.made[ENDPOINT, "v2-old"]
    if state:
        both.has_deployment(ENDPOINT, "v2-old", {**OURS, "mlpromote.promotion": "digits-2-xyz"}, state)
        both.keeps_state.add("v2-old")
    moved = both.calls["start_traffic"]
    outcomes = [deployed.poll("restore", both, poll) for poll in range(1, 9)]
    assert not any(isinstance(outcome, Succeeded) for outcome in outcomes)
    assert both.calls["start_traffic"] == moved
    assert both.traffic(ENDPOINT)[deployed.deployment] == 100


@pytest.mark.parametrize("state", ["Deleting", "Failed", "Creating"])
def test_shift_gives_no_traffic_to_a_deployment_that_is_not_ready(
    deployed: Stage, both: FakeWorkspace, state: str
) -> None:
    both.has_deployment(ENDPOINT, deployed.deployment, deployed.its_tags, state)
    both.keeps_state.add(deployed.deployment)
    outcome = deployed.poll("shift", both)
    assert isinstance(outcome, Failed)
    assert f"is in state {state}" in outcome.reason
    assert both.traffic(ENDPOINT) == {deployed.deployment: 0, "v2-old": 100}


def test_waits_for_another_change_of_the_endpoint(deployed: Stage, both: FakeWorkspace) -> None:
    both.endpoints[ENDPOINT] = replace(both.endpoints[ENDPOINT], state="Updating")
    both.polls_until_ready = 0
    assert isinstance(deployed.run("shift", both), Succeeded)


@pytest.mark.parametrize("step", ["shift", "restore"])
def test_the_traffic_of_others_is_not_touched(deployed: Stage, both: FakeWorkspace, step: str) -> None:
    both.has_endpoint(ENDPOINT, {}, {"v2-old": 50, deployed.deployment: 50})
    outcome = deployed.run(step, both)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
    assert not both.calls["start_traffic"]


def test_an_endpoint_that_is_gone_fails_the_shift_but_leaves_nothing_to_restore(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    outcome = stage.run("shift", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.NOT_FOUND
    assert isinstance(stage.run("restore", workspace), Succeeded)


# --- the lane knows no champion, and the endpoint has one: as after the loss of the store -----------------------------


def forgotten(stage: Stage, both: FakeWorkspace, tags: Mapping[str, str] = MappingProxyType({})) -> Stage:
    """The stage after `deploy` on a lane that has forgotten its champion, whose deployment has these tags as well."""
    named = {"mlpromote.stage": "test", "mlpromote.model": "digits", "mlpromote.version": "2"} | {
        f"mlpromote.{name}": value for name, value in tags.items()
    }
    both.has_deployment(ENDPOINT, "v2-old", {**OURS, **named})
    return stage.with_(evidence={"share": SHARED, "deploy": deploy_saw("v3-new", v2_old=100)})


def test_a_forgotten_champion_is_known_by_its_tags_and_gives_the_traffic_up(stage: Stage, both: FakeWorkspace) -> None:
    after = forgotten(stage, both)
    assert isinstance(after.run("shift", both), Succeeded)
    assert both.traffic(ENDPOINT) == {after.deployment: 100, "v2-old": 0}


def test_a_forgotten_champion_gets_the_traffic_back(stage: Stage, both: FakeWorkspace) -> None:
    after = forgotten(stage, both)
    after.run("shift", both)
    assert after.run("restore", both) == Succeeded({"traffic": {"v2-old": 100}})
    assert both.traffic(ENDPOINT) == {after.deployment: 0, "v2-old": 100}


@pytest.mark.parametrize(
    "tags",
    [{"route": "another"}, {"stage": "prod"}, {"model": "letters"}, {"version": "10"}],
    ids=["route", "stage", "model", "newer"],
)
def test_what_is_not_of_this_lane_or_newer_keeps_the_traffic(
    tags: dict[str, str], stage: Stage, both: FakeWorkspace
) -> None:
    after = forgotten(stage, both, tags)
    outcome = after.run("shift", both)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
    assert both.traffic(ENDPOINT)["v2-old"] == 100


def test_where_a_champion_is_known_no_other_is_taken_for_it(deployed: Stage, both: FakeWorkspace) -> None:
    forgotten(deployed, both)
    stage = deployed.with_(champion=champion(deploy={"deployment": "v1-older"}))
    assert isinstance(stage.run("shift", both), Failed)
    assert both.traffic(ENDPOINT)["v2-old"] == 100


def test_traffic_that_was_moved_since_deploy_looked_is_left_although_we_made_that_deployment_too(
    stage: Stage, both: FakeWorkspace
) -> None:
    after = forgotten(stage, both)
    both.has_deployment(ENDPOINT, "v1-older", both.made[ENDPOINT, "v2-old"].tags)
    both.has_endpoint(ENDPOINT, OURS, {"v1-older": 100})
    assert isinstance(after.run("shift", both), Failed)
    assert both.traffic(ENDPOINT)["v1-older"] == 100
