"""People cancel promotions, roll them back, and release what a rollback holds."""

import pytest

from shared.core.commands import due
from shared.core.events import (
    Cancelled,
    NotNowError,
    PromotionRequested,
    Released,
    RolledBack,
)
from shared.core.lane import decide
from shared.core.messages import Kind
from shared.core.promotion import Lane, PromotionStatus, StageStatus
from shared.core.replacing import replace
from tests.core.driver import drive
from tests.core.people import ONE_STAGE, OPERATOR, ask, in_flight, run, the
from tests.core.two_versions import newer, rolled_back, with_champion
from tests.core.world import KEY, NOW, Azure, answer, promotion, requested

# --- cancel -----------------------------------------------------------------------------------------------------------


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


def test_a_hold_keeps_no_job_from_registering_its_output() -> None:
    """What it registers is another promotion, which waits in front of the held stage."""
    job = PromotionRequested(promotion("train-9", ONE_STAGE, Kind.JOB))
    assert in_flight(decide(rolled_back(), job, NOW).lane) == ["prod.register"]


def test_a_stage_without_a_hold_cannot_be_released() -> None:
    with pytest.raises(NotNowError, match="there is no hold on test"):
        ask(rolled_back(), Released(KEY, "test", OPERATOR, "why not"))


def test_a_rolled_back_version_can_be_promoted_again_with_a_new_id() -> None:
    lane = ask(rolled_back(), Released(KEY, "prod", OPERATOR, "mended"))
    again = replace(promotion("2", ONE_STAGE), id="again")
    lane = run(decide(lane, PromotionRequested(again, automatic=False), NOW).lane)
    assert lane.champions["prod"].promotion == "again"
