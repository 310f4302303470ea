"""Steps `rollout`, `watch`, and what `shift` and `restore` do in a stage with a rollout."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from shared.core.messages import Failed, FailureKind, Outcome, Retry, Running, Succeeded
from shared.core.replacing import replace
from shared.ports import ForbiddenError, LiveFigures, RejectedError, UnavailableError
from shared.worker.removals import LATE_REQUESTS
from tests.fakes.work import Crash
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import ENDPOINT, NOW, OURS, SHARED, Stage, champion, deploy_saw

ROLLOUT = {
    "steps": [{"mirror": 20, "for": "10m"}, {"traffic": 10, "for": "10m"}, {"traffic": 50, "for": "10m"}],
    "watch": "20m",
    "keep": "1h",
}
OLD = "v2-old"


@pytest.fixture
def both(stage: Stage, workspace: FakeWorkspace) -> FakeWorkspace:
    """An endpoint with the champion's deployment and the new one."""
    workspace.has_endpoint(ENDPOINT, OURS, {OLD: 100})
    workspace.has_deployment(ENDPOINT, OLD, {**OURS, "mlpromote.promotion": "digits-2"})
    workspace.has_deployment(ENDPOINT, stage.deployment, stage.its_tags)
    return workspace


@pytest.fixture
def deployed(stage: Stage) -> Stage:
    """The stage after `deploy`, with a champion and a rollout."""
    old = champion(deploy=deploy_saw(OLD))
    evidence = {"share": SHARED, "deploy": deploy_saw("v3-new", v2_old=100)}
    return stage.with_(evidence=evidence, champion=old).with_settings(rollout=ROLLOUT)


def rolled(stage: Stage, workspace: FakeWorkspace, entry: int, minutes: float = 10) -> Outcome:
    """One step of the rollout, polled until it has ended; each poll comes when the last one asked for it."""
    return watched(stage.with_(options={"entry": entry}), workspace, "rollout", minutes)


def watched(stage: Stage, workspace: FakeWorkspace, step: str, minutes: float) -> Outcome:
    at, state = timedelta(0), dict[str, Any]()
    for poll in range(1, 100):
        command = replace(stage.with_(started_late=at, state=state).command(step, poll))
        outcome = stage.run_command(command, workspace, NOW + at)
        if not isinstance(outcome, Running):
            assert isinstance(outcome, Failed) or at >= timedelta(minutes=minutes)
            return outcome
        assert outcome.poll_again_after <= timedelta(minutes=1)
        at, state = at + outcome.poll_again_after, dict(outcome.state)
    raise AssertionError("it does not end")


def shares(workspace: FakeWorkspace) -> tuple[Mapping[str, int], Mapping[str, int]]:
    found = workspace.endpoints[ENDPOINT]
    return dict(found.traffic), dict(found.mirror)


def test_each_step_gives_its_share_for_its_time_and_the_shift_gives_the_rest(
    deployed: Stage, both: FakeWorkspace
) -> None:
    mine = deployed.deployment
    both.polls_until_ready = 2
    wanted = [({OLD: 100}, {mine: 20}), ({OLD: 90, mine: 10}, {}), ({OLD: 50, mine: 50}, {})]
    for entry, (traffic, mirror) in enumerate(wanted, 1):
        outcome = rolled(deployed, both, entry)
        assert isinstance(outcome, Succeeded), outcome
        assert (outcome.evidence["traffic"], outcome.evidence["mirror"]) == (traffic, mirror)
        assert shares(both) == (traffic, mirror)
        assert both.calls["start_traffic"] == entry, "the shares are written once"
    assert isinstance(deployed.run("shift", both), Succeeded)
    assert shares(both) == ({mine: 100}, {})


def test_a_step_says_what_it_gives_and_until_when(deployed: Stage, both: FakeWorkspace) -> None:
    rolled(deployed, both, 1)
    stage = deployed.with_(options={"entry": 2})
    stage.poll("rollout", both)
    outcome = stage.poll("rollout", both, 2)
    assert isinstance(outcome, Running)
    assert outcome.says == f"{deployed.deployment} gets 10 % of the traffic until 2026-11-20 12:10:00 UTC"


def test_without_anything_that_served_there_is_nothing_to_divide(stage: Stage, both: FakeWorkspace) -> None:
    both.has_endpoint(ENDPOINT, OURS)
    first = stage.with_(evidence={"share": SHARED, "deploy": deploy_saw("v3-new")}).with_settings(rollout=ROLLOUT)
    outcome = first.with_(options={"entry": 1}).poll("rollout", both)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["left_out"].startswith("Nothing served here before")
    assert not both.calls["start_traffic"]
    assert isinstance(first.run("shift", both), Succeeded)
    assert shares(both) == ({stage.deployment: 100}, {})


BY_HAND = [
    ({OLD: 80, "mine": 20}, {}),
    ({"mine": 100}, {}),
    ({OLD: 50, "v9-other": 50}, {}),
    ({OLD: 100}, {"v9-other": 30}),
    ({}, {}),
]


def moved_by_hand(stage: Stage, workspace: FakeWorkspace, by_hand: Any) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """A person gives the traffic to other deployments."""
    workspace.has_deployment(ENDPOINT, "v9-other", {})
    traffic, mirror = (
        {stage.deployment if name == "mine" else name: share for name, share in shares.items()} for shares in by_hand
    )
    workspace.endpoints[ENDPOINT] = replace(workspace.endpoints[ENDPOINT], traffic=traffic, mirror=mirror)
    return traffic, mirror


@pytest.mark.parametrize("by_hand", BY_HAND, ids=str)
@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_traffic_that_a_person_moved_stops_the_rollout_and_stays(
    deployed: Stage, both: FakeWorkspace, by_hand: Any, when: str
) -> None:
    rolled(deployed, both, 1)
    stage = deployed.with_(options={"entry": 2})
    if when != "before":
        stage.poll("rollout", both)
        progress = stage.poll("rollout", both, 2)
        assert isinstance(progress, Running)
        stage = stage.with_(state=progress.state)
    found, written = moved_by_hand(deployed, both, by_hand), both.calls["start_traffic"]
    if when == "after" and found == ({deployed.deployment: 100}, {}):
        return  # what the step wants is there: nobody can tell who did it
    outcome = stage.poll("rollout", both, 3) if when != "after" else deployed.poll("shift", both)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
    undone = deployed.with_(options={"undoes": "rollout-2", "entry": 2}).run("restore", both)
    assert isinstance(undone, Failed if deployed.deployment in {**found[0], **found[1]} else Succeeded)
    assert shares(both) == found
    assert both.calls["start_traffic"] == written


@pytest.mark.parametrize("entry", [1, 2, 3])
@pytest.mark.parametrize("answered", [True, False])
def test_whatever_a_step_has_left_goes_back_in_one_change(
    deployed: Stage, both: FakeWorkspace, entry: int, answered: bool
) -> None:
    """Also if the worker died after the change, so that nobody knows of it."""
    for number in range(1, entry + 1):
        if number < entry or answered:
            rolled(deployed, both, number)
        else:
            deployed.with_(options={"entry": number}).poll("rollout", both)
    written = both.calls["start_traffic"]
    undone = deployed.with_(options={"undoes": f"rollout-{entry}", "entry": entry}).run("restore", both)
    assert undone == Succeeded({"traffic": {OLD: 100}})
    assert shares(both) == ({OLD: 100}, {})
    assert both.calls["start_traffic"] == written + 1
    assert isinstance(watched(deployed, both, "remove", 0), Succeeded)


def test_a_deployment_is_removed_once_it_has_answered_all_that_it_was_asked(
    deployed: Stage, both: FakeWorkspace
) -> None:
    mine = both.made[ENDPOINT, deployed.deployment]
    both.made[ENDPOINT, deployed.deployment] = replace(mine, request_timeout=timedelta(seconds=90))
    first = deployed.poll("remove", both)
    assert isinstance(first, Running)
    assert (first.poll_again_after, both.calls["start_removal"]) == (timedelta(seconds=90) + LATE_REQUESTS, 0)
    for waited, removals in ((timedelta(seconds=90), 0), (timedelta(seconds=90) + LATE_REQUESTS, 1)):
        later = deployed.with_(started_late=waited, state=first.state)
        assert isinstance(later.poll("remove", both, 2, NOW + waited), Running)
        assert both.calls["start_removal"] == removals


def test_what_is_not_kept_is_removed_once_it_has_answered_all_that_it_was_asked(
    deployed: Stage, both: FakeWorkspace
) -> None:
    steps_only = deployed.with_settings(rollout={"steps": ROLLOUT["steps"]})
    both.has_endpoint(ENDPOINT, OURS, {deployed.deployment: 100})
    shifted = steps_only.with_(evidence={**deployed.evidence, "shift": {"traffic": {}, "others": [OLD]}})
    first = shifted.poll("retire", both)
    assert isinstance(first, Running)
    assert (first.poll_again_after, both.calls["start_removal"]) == (timedelta(seconds=5) + LATE_REQUESTS, 0)
    assert isinstance(watched(shifted, both, "retire", 0), Succeeded)
    assert {name for _, name in both.made} == {deployed.deployment}


def test_a_step_goes_on_after_a_crash_behind_the_change(deployed: Stage, both: FakeWorkspace) -> None:
    both.polls_until_ready = 1
    both.dies_after = "start_traffic"
    stage = deployed.with_(options={"entry": 1})
    with pytest.raises(Crash):
        stage.poll("rollout", both)
    assert isinstance(rolled(deployed, both, 1), Succeeded)
    assert both.calls["start_traffic"] == 1


def test_the_watch_lasts_its_time_and_fails_when_the_traffic_goes_elsewhere(
    deployed: Stage, both: FakeWorkspace
) -> None:
    both.has_endpoint(ENDPOINT, OURS, {deployed.deployment: 100})
    assert isinstance(watched(deployed, both, "watch", 20), Succeeded)
    moved_by_hand(deployed, both, ({OLD: 50, "mine": 50}, {}))
    outcome = deployed.poll("watch", both)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
    assert f"{OLD} (50 %)" in outcome.reason


# --- what is seen while it has its share ------------------------------------------------------------------------------

STRICT = {**ROLLOUT, "analysis": [{"metric": "error_rate", "at_most": 0.01}], "min_requests": 100}


def serving(workspace: FakeWorkspace, deployment: str, errors: float, hours: int = 2) -> None:
    """Its answers in each minute from now on: 60, some of them errors of the model."""
    workspace.has_minutes(ENDPOINT, deployment, NOW, hours * 60, {200: 60 - errors, 500: errors})


@pytest.fixture
def judged(deployed: Stage, both: FakeWorkspace) -> Stage:
    """The stage with an analysis, before the step that gives the new deployment 10 %."""
    rolled(deployed, both, 1)
    serving(both, OLD, errors=0)
    return deployed.with_settings(rollout=STRICT)


def test_a_breach_fails_the_step_before_its_time_is_over_with_the_figures(judged: Stage, both: FakeWorkspace) -> None:
    serving(both, judged.deployment, errors=3)
    outcome = rolled(judged, both, 2)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.REFUSED
    assert outcome.reason.startswith(
        f"Refused for test while {judged.deployment} gets 10 % of the traffic: error_rate "
    )
    assert outcome.evidence["seen"]["live"]["candidate"]["error_rate"] == 0.05
    assert outcome.evidence["seen"]["live"]["champion"]["error_rate"] == 0
    assert shares(both) == ({OLD: 90, judged.deployment: 10}, {}), "the undo gives the traffic back"


def test_good_figures_let_the_step_succeed_and_are_its_evidence(judged: Stage, both: FakeWorkspace) -> None:
    serving(both, judged.deployment, errors=0)
    outcome = rolled(judged, both, 2)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["seen"]["live"]["requests"] >= 100
    assert [each["result"] for each in outcome.evidence["seen"]["live"]["findings"]] == ["passed"]


def test_too_few_requests_make_the_step_wait_and_then_fail(judged: Stage, both: FakeWorkspace) -> None:
    stage = judged.with_settings(rollout={**STRICT, "wait_at_most": "5m"}).with_(options={"entry": 2})
    outcome = watched(stage, both, "rollout", 15)
    assert isinstance(outcome, Failed)
    assert f"deployment {judged.deployment} answered only 0 of 100 requests" in outcome.reason


def test_copies_are_not_judged_without_figures(deployed: Stage, both: FakeWorkspace) -> None:
    outcome = rolled(deployed.with_settings(rollout=STRICT), both, 1)
    assert isinstance(outcome, Succeeded)


def test_while_the_metrics_are_away_the_step_goes_on_and_later_waits_for_them(
    judged: Stage, both: FakeWorkspace
) -> None:
    serving(both, judged.deployment, errors=0)
    stage = judged.with_(options={"entry": 2})
    stage.poll("rollout", both)
    both.raises["live_figures"] = UnavailableError("Azure Monitor is busy")
    early = stage.poll("rollout", both, 2)
    assert isinstance(early, Running)
    late = stage.with_(started_late=timedelta(minutes=11), state=early.state)
    both.raises["live_figures"] = UnavailableError("Azure Monitor is busy")
    assert isinstance(late.poll("rollout", both, 3, NOW + timedelta(minutes=11)), Retry)


@pytest.mark.parametrize("errors", [0, 3])
def test_the_watch_compares_with_the_bounds_and_does_without_a_verdict(
    judged: Stage, both: FakeWorkspace, errors: int
) -> None:
    both.has_endpoint(ENDPOINT, OURS, {judged.deployment: 100})
    assert isinstance(watched(judged, both, "watch", 20), Succeeded), "nobody asks it anything"
    serving(both, judged.deployment, errors)
    outcome = watched(judged, both, "watch", 20)
    assert isinstance(outcome, Failed if errors else Succeeded)


@pytest.mark.parametrize("fault", [UnavailableError, ForbiddenError, RejectedError])
def test_figures_that_cannot_be_read_while_it_is_watched_are_no_reason_to_go_back(
    judged: Stage, both: FakeWorkspace, fault: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: object) -> LiveFigures:
        raise fault("no figures today")

    both.has_endpoint(ENDPOINT, OURS, {judged.deployment: 100})
    monkeypatch.setattr(both, "live_figures", unreadable)
    outcome = watched(judged, both, "watch", 20)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["seen"]["no_verdict"] == "no figures today"


# --- room -------------------------------------------------------------------------------------------------------------


def test_room_is_made_by_removing_what_an_earlier_promotion_keeps(deployed: Stage, both: FakeWorkspace) -> None:
    of_lane = {**OURS, "mlpromote.stage": "test", "mlpromote.model": "digits"}
    both.has_deployment(ENDPOINT, OLD, of_lane)
    both.has_deployment(ENDPOINT, "v1-kept", of_lane)
    both.has_deployment(ENDPOINT, "v0-kept", of_lane)
    both.has_deployment(ENDPOINT, "of-prod", {**of_lane, "mlpromote.stage": "prod"})
    both.has_deployment(ENDPOINT, "by-hand", {})
    del both.made[ENDPOINT, deployed.deployment]
    both.polls_until_ready = 1
    assert deployed.run("make_room", both) == Succeeded({"deployments": ["v1-kept", "v0-kept"]})
    assert {name for _, name in both.made} == {OLD, "of-prod", "by-hand"}


def test_no_room_is_made_where_it_is_not_known_what_serves(stage: Stage, both: FakeWorkspace) -> None:
    both.has_deployment(ENDPOINT, "v1-kept", {**OURS, "mlpromote.stage": "test", "mlpromote.model": "digits"})
    assert stage.run("make_room", both) == Succeeded({"deployments": []})
    assert not both.calls["start_removal"]
