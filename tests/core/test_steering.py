"""How people may steer what is promoted or failed, rule by rule."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.events import (
    Abandoned,
    Cancelled,
    NotNowError,
    PromotionRequested,
    Released,
    Replayed,
    Retried,
    RolledBack,
    TimePassed,
)
from shared.core.lane import FIRST_PAUSE, decide, due, wake_at
from shared.core.messages import GRACE, Failed, FailureKind, NotRun, Outcome, Retry, Running, Succeeded
from shared.core.promotion import Lane, PromotionStatus, StageStatus
from shared.core.waiting import waits
from tests.core.driver import AzureAnswers, LaneDriver, drive
from tests.core.people import ANNA, ONE_STAGE, OPERATOR, approve, ask, asking, in_flight, run, the, waiting
from tests.core.world import BROKEN, KEY, NOW, TEST_THEN_PROD, Azure, answer, promotion, requested

# --- cancel -----------------------------------------------------------------------------------------------------------


def with_champion(*stages: str) -> tuple[Lane, Azure]:
    """A lane where version 1 serves."""
    return drive(Lane(KEY), requested("1", dict.fromkeys(stages or ("prod",), ())), Azure())


def newer(lane: Lane, until: str) -> Lane:
    """Version 2 on its way into prod, with the step in flight."""
    return run(decide(lane, requested("2", ONE_STAGE), NOW).lane, until=until)


def test_cancelled_before_the_traffic_moved_the_deployment_is_removed_and_the_champion_stays() -> None:
    lane = newer(with_champion()[0], until="smoke")
    lane = ask(lane, Cancelled(KEY, the(lane, "2").id, OPERATOR, "not now"))
    assert in_flight(lane) == ["prod.smoke"], "it must have answered before anything is undone"
    lane = decide(lane, answer(due(lane)[0]), NOW).lane
    assert in_flight(lane) == ["prod.remove"]
    lane = run(lane)
    assert the(lane, "2").status is PromotionStatus.CANCELLED
    assert lane.champions["prod"].candidate.version == "1"
    assert lane.holds == {}


def test_cancelled_after_the_traffic_began_to_move_it_is_a_rollback_that_holds_the_stage_and_says_so() -> None:
    lane = newer(with_champion()[0], until="shift")
    decision = decide(lane, Cancelled(KEY, the(lane, "2").id, OPERATOR, "not now"), NOW)
    assert "this is a rollback of prod" in decision.journal[0].text
    lane = run(decision.lane)
    assert the(lane, "2").status is PromotionStatus.ROLLED_BACK
    assert lane.champions["prod"].candidate.version == "1"
    assert lane.holds["prod"].by == "olga"


def test_cancelled_while_it_waits_for_its_turn_it_never_starts() -> None:
    lane = newer(with_champion()[0], until="deploy")
    lane = decide(lane, requested("3", ONE_STAGE), NOW).lane
    lane = ask(lane, Cancelled(KEY, the(lane, "3").id, OPERATOR, "wrong one"))
    assert the(lane, "3").status is PromotionStatus.CANCELLED
    assert the(lane, "3").reason == "prod: cancelled by olga: wrong one"
    assert in_flight(lane) == ["prod.deploy"]


def test_cancelled_between_stages_what_is_done_stays_and_the_rest_never_starts() -> None:
    lane = drive(Lane(KEY), requested("1"), Azure())[0]
    lane = run(decide(lane, requested("2"), NOW).lane, until="retire")
    assert in_flight(lane) == ["test.retire"]
    lane = decide(lane, answer(due(lane)[0]), NOW).lane
    lane = run(ask(lane, Cancelled(KEY, the(lane, "2").id, OPERATOR, "enough")))
    assert [stage.status for stage in the(lane, "2").stages] == [StageStatus.SUCCEEDED, StageStatus.CANCELLED]
    assert {stage: one.candidate.version for stage, one in lane.champions.items()} == {"test": "2", "prod": "1"}


def test_what_has_ended_cannot_be_cancelled_and_the_answer_says_as_what() -> None:
    lane, _ = with_champion()
    with pytest.raises(NotNowError, match="the promotion has ended: it has succeeded"):
        ask(lane, Cancelled(KEY, the(lane).id, OPERATOR, "late"))


def test_what_is_being_taken_back_cannot_be_cancelled_again() -> None:
    lane = newer(with_champion()[0], until="smoke")
    event = Cancelled(KEY, the(lane, "2").id, OPERATOR, "not now")
    with pytest.raises(NotNowError, match="already being undone"):
        ask(ask(lane, event), event)


# --- roll back, hold and release --------------------------------------------------------------------------------------


def rolled_back() -> Lane:
    """Version 2 served after version 1, and was rolled back."""
    lane, azure = with_champion()
    lane, azure = drive(lane, requested("2", ONE_STAGE), azure)
    lane = ask(lane, RolledBack(KEY, the(lane, "2").id, OPERATOR, "wrong answers"))
    return LaneDriver(lane, AzureAnswers(azure)).run()


def test_rolling_back_a_finished_stage_brings_the_predecessor_back_and_holds_the_stage() -> None:
    lane, azure = with_champion()
    lane, azure = drive(lane, requested("2", ONE_STAGE), azure)
    assert azure.endpoint("prod").deployments == {the(lane, "2").id}, "the predecessor was retired"
    lane = ask(lane, RolledBack(KEY, the(lane, "2").id, OPERATOR, "wrong answers"))
    assert in_flight(lane) == ["prod.reinstate"]
    assert the(lane, "2").status is PromotionStatus.RUNNING
    lane = run(lane)
    assert the(lane, "2").status is PromotionStatus.ROLLED_BACK
    assert lane.champions["prod"].candidate.version == "1"
    assert (lane.holds["prod"].promotion, lane.holds["prod"].reason) == (the(lane, "2").id, "wrong answers")


def test_rolling_back_a_running_stage_gives_the_traffic_back() -> None:
    lane = newer(with_champion()[0], until="retire")
    lane = run(ask(lane, RolledBack(KEY, the(lane, "2").id, OPERATOR, "slow")))
    assert the(lane, "2").status is PromotionStatus.ROLLED_BACK
    assert lane.champions["prod"].candidate.version == "1"


def test_the_first_that_ever_served_has_nothing_to_go_back_to() -> None:
    lane, _ = with_champion()
    with pytest.raises(NotNowError, match="nothing served prod before this promotion"):
        ask(lane, RolledBack(KEY, the(lane).id, OPERATOR, "bad"))
    assert lane.champions["prod"].candidate.version == "1"


def test_what_no_longer_serves_cannot_be_rolled_back() -> None:
    lane, azure = with_champion()
    lane, _ = drive(lane, requested("2", ONE_STAGE), azure)
    with pytest.raises(NotNowError, match="prod is served by version 2"):
        ask(lane, RolledBack(KEY, the(lane).id, OPERATOR, "bad"))


def test_a_challenger_in_the_stage_has_to_be_cancelled_before_the_champion_is_rolled_back() -> None:
    lane, azure = with_champion()
    lane, azure = drive(lane, requested("2", ONE_STAGE), azure)
    lane = run(decide(lane, requested("3", ONE_STAGE), NOW).lane, until="deploy")
    with pytest.raises(NotNowError, match=f"promotion {the(lane, '3').id} is in prod: cancel it first"):
        ask(lane, RolledBack(KEY, the(lane, "2").id, OPERATOR, "bad"))


def test_without_a_stage_the_last_one_that_it_serves_is_rolled_back() -> None:
    lane, azure = drive(Lane(KEY), requested("1"), Azure())
    lane, _ = drive(lane, requested("2"), azure)
    lane = run(ask(lane, RolledBack(KEY, the(lane, "2").id, OPERATOR, "bad")))
    assert {stage: one.candidate.version for stage, one in lane.champions.items()} == {"test": "2", "prod": "1"}
    lane = run(ask(lane, RolledBack(KEY, the(lane, "2").id, OPERATOR, "bad there too", "test")))
    assert lane.champions["test"].candidate.version == "1"
    assert set(lane.holds) == {"test", "prod"}


def test_what_was_rolled_back_in_a_stage_does_not_go_on_to_the_next_one_that_it_queued_for() -> None:
    lane, azure = drive(Lane(KEY), requested("1"), Azure())
    lane, azure = drive(lane, requested("2"), azure)
    lane = run(ask(lane, RolledBack(KEY, the(lane, "2").id, OPERATOR, "bad", "prod")))
    lane, _ = drive(lane, requested("3"), azure)
    assert [stage.status for stage in the(lane, "3").stages] == [StageStatus.SUCCEEDED, StageStatus.QUEUED]
    lane = ask(lane, RolledBack(KEY, the(lane, "3").id, OPERATOR, "strange answers", "test"))
    lane = ask(lane, Released(KEY, "prod", OPERATOR, "looked into"))
    assert {command.stage for command in due(lane)} == {"test"}, "not while it is being taken back either"
    lane = run(lane)
    assert [stage.status for stage in the(lane, "3").stages] == [StageStatus.ROLLED_BACK, StageStatus.SKIPPED]
    assert the(lane, "3").status is PromotionStatus.ROLLED_BACK
    assert lane.champions["prod"].candidate.version == "1"


def test_a_hold_keeps_everybody_out_until_it_is_released() -> None:
    lane = decide(rolled_back(), requested("3", ONE_STAGE), NOW).lane
    assert in_flight(lane) == []
    assert the(lane, "3").stages[0].status is StageStatus.QUEUED
    lane = ask(lane, Released(KEY, "prod", OPERATOR, "mended"))
    assert in_flight(lane) == ["prod.share"]
    assert lane.holds == {}


def test_a_stage_without_a_hold_cannot_be_released() -> None:
    with pytest.raises(NotNowError, match="there is no hold on test"):
        ask(rolled_back(), Released(KEY, "test", OPERATOR, "why not"))


def test_a_rolled_back_version_can_be_promoted_again_with_a_new_id() -> None:
    lane = ask(rolled_back(), Released(KEY, "prod", OPERATOR, "mended"))
    again = replace(promotion("2", ONE_STAGE), id="again")
    lane = run(decide(lane, PromotionRequested(again, automatic=False), NOW).lane)
    assert lane.champions["prod"].promotion == "again"


# --- retry ------------------------------------------------------------------------------------------------------------


def failed(step: str, event: PromotionRequested | None = None) -> Lane:
    lane = run(decide(Lane(KEY), event or requested("1", ONE_STAGE), NOW).lane, {step: BROKEN})
    assert the(lane).status is PromotionStatus.FAILED
    return lane


@pytest.mark.parametrize(
    ("broke", "goes_on_from"),
    [("share", "share"), *((broke, "validate") for broke in ("validate", "deploy", "smoke", "shift"))],
)
def test_a_retry_goes_on_from_what_failed_but_looks_again_at_what_is_to_be_deployed(
    broke: str, goes_on_from: str
) -> None:
    lane = failed(broke)
    lane = ask(lane, Retried(KEY, the(lane).id, OPERATOR, "mended"))
    assert in_flight(lane) == [f"prod.{goes_on_from}"]
    assert due(lane)[0].attempt == 2
    assert the(run(lane)).status is PromotionStatus.SUCCEEDED


def test_a_retry_can_begin_earlier_but_not_later() -> None:
    lane = failed("deploy")
    event = Retried(KEY, the(lane).id, OPERATOR, "again", "share")
    assert in_flight(ask(lane, event)) == ["prod.share"]
    with pytest.raises(NotNowError, match="prod can resume from share, validate, not from deploy"):
        ask(lane, replace(event, from_step="deploy"))
    with pytest.raises(NotNowError, match="not from nonsense"):
        ask(lane, replace(event, from_step="nonsense"))


def test_a_retry_lets_the_stages_after_the_failed_one_follow() -> None:
    lane = failed("deploy", requested("1", TEST_THEN_PROD))
    assert [stage.status for stage in the(lane).stages] == [StageStatus.FAILED, StageStatus.SKIPPED]
    lane = run(ask(lane, Retried(KEY, the(lane).id, OPERATOR, "mended")))
    assert the(lane).status is PromotionStatus.SUCCEEDED


def test_what_was_refused_is_not_tried_again() -> None:
    no = {"validate": Failed("auc is too low", FailureKind.REFUSED)}
    lane = run(decide(Lane(KEY), requested("1", ONE_STAGE), NOW).lane, no)
    with pytest.raises(NotNowError, match="it is refused; start a new promotion instead"):
        ask(lane, Retried(KEY, the(lane).id, OPERATOR, "again"))


def test_what_is_under_way_or_succeeded_is_not_tried_again() -> None:
    lane, _ = with_champion()
    with pytest.raises(NotNowError, match="it has succeeded"):
        ask(lane, Retried(KEY, the(lane).id, OPERATOR, "again"))
    lane = newer(lane, until="deploy")
    with pytest.raises(NotNowError, match="it is running"):
        ask(lane, Retried(KEY, the(lane, "2").id, OPERATOR, "again", only_failed=True))


def test_what_a_newer_version_has_superseded_is_not_tried_again() -> None:
    lane = run(decide(failed("deploy"), requested("2", ONE_STAGE), NOW).lane)
    with pytest.raises(NotNowError, match="superseded: version 2 is newer and already serves prod"):
        ask(lane, Retried(KEY, the(lane).id, OPERATOR, "again"))


def test_what_another_version_that_is_no_number_has_superseded_is_not_tried_again() -> None:
    azure = Azure(failing={("autumn", "prod", "deploy"): BROKEN})
    lane, azure = drive(Lane(KEY), requested("autumn", ONE_STAGE), azure)
    lane, _ = drive(lane, requested("winter", ONE_STAGE), azure)
    with pytest.raises(NotNowError, match="version winter now serves prod"):
        ask(lane, Retried(KEY, the(lane, "autumn").id, OPERATOR, "again"))


def test_what_a_newer_version_is_about_to_supersede_is_not_tried_again() -> None:
    lane = run(decide(failed("deploy"), requested("2", ONE_STAGE), NOW).lane, until="smoke")
    with pytest.raises(NotNowError, match="superseded: version 2 is newer and already on its way"):
        ask(lane, Retried(KEY, the(lane).id, OPERATOR, "again"))


def approved_and_failed(step: str) -> Lane:
    lane = run(approve(waiting(asking()), ANNA), {step: BROKEN})
    assert the(lane).status is PromotionStatus.FAILED
    return lane


def test_an_approval_stays_good_where_the_retry_comes_to_the_same_evidence() -> None:
    lane = approved_and_failed("deploy")
    same = {"validate": Succeeded({"saw": "validate"})}
    lane = run(ask(lane, Retried(KEY, the(lane).id, OPERATOR, "again")), same, until="deploy")
    assert in_flight(lane) == ["prod.deploy"]


def test_approval_is_asked_for_again_after_a_retry_that_makes_new_evidence() -> None:
    lane = approved_and_failed("deploy")
    before = next(step for step in the(lane).stages[0].steps if step.plan.waits).evidence["on"]
    lane = run(
        ask(lane, Retried(KEY, the(lane).id, OPERATOR, "other data", "validate")),
        {"validate": Succeeded({"saw": "other"})},
    )
    step = the(lane).stages[0].current
    assert step is not None
    assert step.plan.name == "approve"
    assert step.evidence["given"] == []
    assert step.evidence["on"] != before
    with pytest.raises(NotNowError, match="evidence has changed"):
        approve(lane, ANNA, evidence=before)
    assert in_flight(approve(lane, ANNA)) == ["prod.deploy"]


# --- replay -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("until", ["deploy", ""])
def test_a_replay_is_noted_and_changes_nothing_else(until: str) -> None:
    lane = newer(with_champion()[0], until=until)
    after = ask(lane, Replayed(KEY, the(lane, "2").id, OPERATOR, "mended", "dead letters steps-prod:7"))
    assert the(after, "2").lines == the(lane, "2").lines + 1
    assert the(after, "2").stages == the(lane, "2").stages
    assert (due(after), after.champions) == (due(lane), lane.champions)


# --- a step that is under way when its stage is turned back -----------------------------------------------------------


def turned_back(step: str) -> Lane:
    """Version 2 rolled back or cancelled while the step was under way; version 1 served before."""
    lane = newer(with_champion()[0], until=step)
    return ask(lane, Cancelled(KEY, the(lane, "2").id, OPERATOR, "wrong"))


@pytest.mark.parametrize(
    "outcome",
    [Succeeded({}), BROKEN, Running(timedelta(seconds=20), "removing"), Retry(timedelta(seconds=20), "busy")],
    ids=["succeeded", "failed", "running", "retry"],
)
def test_any_answer_of_the_step_that_was_under_way_lets_its_undo_begin(outcome: Outcome) -> None:
    lane = turned_back("retire")
    assert in_flight(lane) == ["prod.retire"]
    lane = decide(lane, answer(due(lane)[0], outcome), NOW).lane
    assert in_flight(lane) == ["prod.reinstate"]
    assert the(run(lane), "2").status is PromotionStatus.ROLLED_BACK


def test_without_an_answer_the_undo_begins_once_the_command_is_known_never_to_act() -> None:
    lane = turned_back("retire")
    command = due(lane)[0]
    assert wake_at(lane) == command.not_before + GRACE
    assert command.not_after < command.not_before + GRACE
    assert decide(lane, TimePassed(KEY), command.not_before + GRACE - timedelta(seconds=1)).stale
    lane = decide(lane, TimePassed(KEY), command.not_before + GRACE).lane
    assert in_flight(lane) == ["prod.reinstate"]


def test_a_second_delivery_is_no_answer_the_first_may_still_be_at_work() -> None:
    lane = turned_back("retire")
    command = due(lane)[0]
    lane = decide(lane, answer(command, NotRun("delivered again")), NOW).lane
    assert in_flight(lane) == []
    assert wake_at(lane) == command.not_before + GRACE
    (wait,) = waits(lane, the(lane, "2"))
    assert wait.until == command.not_before + GRACE
    lane = decide(lane, TimePassed(KEY), command.not_before + GRACE).lane
    assert in_flight(lane) == ["prod.reinstate"]


def test_a_crash_long_before_does_not_delay_the_way_back() -> None:
    lane = newer(with_champion()[0], until="deploy")
    lane = decide(lane, answer(due(lane)[0], NotRun("delivered again")), NOW).lane
    later = NOW + GRACE * 2
    lane = decide(lane, answer(due(lane)[0]), later).lane
    event = Cancelled(KEY, the(lane, "2").id, OPERATOR, "wrong")
    lane = decide(lane, event, later).lane
    lane = decide(lane, answer(due(lane)[0]), later).lane
    assert in_flight(lane) == ["prod.remove"]


def test_a_command_that_nobody_ran_is_asked_for_again_at_once() -> None:
    lane = newer(with_champion()[0], until="deploy")
    before = due(lane)[0]
    lane = decide(lane, answer(before, NotRun("too late")), NOW).lane
    (again,) = due(lane)
    assert (again.step, again.poll) == ("deploy", before.poll + 1)
    assert again.not_before <= NOW + FIRST_PAUSE


# --- whatever waits can be ended by a person --------------------------------------------------------------------------


def stuck(outcome: Outcome = BROKEN) -> Lane:
    """Version 2 on its way back, where `restore` gave this answer, with what follows in flight."""
    lane = run(turned_back("retire"), until="restore")
    return decide(lane, answer(due(lane)[0], outcome), NOW).lane


def test_a_pausing_undo_is_polled_now_when_a_person_asks() -> None:
    lane = stuck(Retry(timedelta(minutes=5), "no quota"))
    before = due(lane)[0]
    lane = ask(lane, Retried(KEY, the(lane, "2").id, OPERATOR, "quota is there"))
    (again,) = due(lane)
    assert (again.step, again.poll, again.not_before) == ("restore", before.poll + 1, NOW)


def test_a_way_back_can_be_abandoned_and_says_what_it_left() -> None:
    lane = stuck(Retry(timedelta(minutes=5), "no quota"))
    lane = ask(lane, Abandoned(KEY, the(lane, "2").id, OPERATOR, "I move the traffic by hand"))
    assert in_flight(lane) == ["prod.restore"], "it must have answered before anybody else enters"
    lane = decide(lane, answer(due(lane)[0], Running(timedelta(seconds=5), "busy")), NOW).lane
    assert in_flight(lane) == []
    found = the(lane, "2")
    assert found.status is PromotionStatus.FAILED
    assert "abandoned by olga: I move the traffic by hand; not undone: restore, remove" in found.reason


def test_what_was_abandoned_can_be_rolled_back_again() -> None:
    lane = stuck(Retry(timedelta(minutes=5), "no quota"))
    lane = ask(lane, Abandoned(KEY, the(lane, "2").id, OPERATOR, "later"))
    lane = decide(lane, answer(due(lane)[0], Retry(timedelta(0), "no quota")), NOW).lane
    lane = run(ask(lane, RolledBack(KEY, the(lane, "2").id, OPERATOR, "quota is there")))
    assert the(lane, "2").status is PromotionStatus.ROLLED_BACK
    assert lane.champions["prod"].candidate.version == "1"


def test_a_rollback_that_failed_can_be_asked_for_again() -> None:
    lane = run(stuck(BROKEN))
    assert the(lane, "2").status is PromotionStatus.FAILED
    assert "undoing also failed: restore" in the(lane, "2").reason
    lane = run(ask(lane, RolledBack(KEY, the(lane, "2").id, OPERATOR, "mended")))
    assert the(lane, "2").status is PromotionStatus.ROLLED_BACK


def test_what_another_version_has_come_to_serve_since_is_not_rolled_back_again() -> None:
    """Its predecessor would be deployed again, and nobody would take that away."""
    lane = run(stuck(BROKEN))
    lane = ask(lane, Released(KEY, "prod", OPERATOR, "go on"))
    lane = run(decide(lane, requested("3", ONE_STAGE), NOW).lane)
    assert lane.champions["prod"].candidate.version == "3"
    with pytest.raises(NotNowError, match="prod is served by version 3"):
        ask(lane, RolledBack(KEY, the(lane, "2").id, OPERATOR, "again"))


def test_only_a_way_back_can_be_abandoned() -> None:
    lane = newer(with_champion()[0], until="deploy")
    with pytest.raises(NotNowError, match="no stage of the promotion is being undone; it is running"):
        ask(lane, Abandoned(KEY, the(lane, "2").id, OPERATOR, "why not"))


def test_what_waits_for_approval_has_nothing_to_poll_now() -> None:
    lane = waiting(asking())
    with pytest.raises(NotNowError, match="no step that waits for its next poll"):
        ask(lane, Retried(KEY, the(lane).id, OPERATOR, "hurry"))
