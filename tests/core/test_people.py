"""What people may ask of a lane, rule by rule."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.core.lane import PromotionRequested, TimePassed, decide, due
from shared.core.messages import Failed, FailureKind, Outcome, Succeeded
from shared.core.people import (
    Approved,
    Cancelled,
    NotAllowedError,
    NotNowError,
    Person,
    PersonEvent,
    Rejected,
    Released,
    Replayed,
    Retried,
    RolledBack,
)
from shared.core.promotion import SOMEBODY, Lane, Promotion, PromotionStatus, StageStatus, StepStatus
from shared.core.waiting import waits
from tests.core.world import BROKEN, KEY, NOW, TEST_THEN_PROD, Azure, answer, drive, promotion, requested

OPERATOR = Person("id-o", "olga", ("Promotion.Operator",))
ANNA, BERT, CARLA = (Person(f"id-{name}", name, ("Promotion.Approver",)) for name in ("anna", "bert", "carla"))
NOBODY = Person("id-n", "nobody", ())
ONE_STAGE: Mapping[str, tuple[str, ...]] = {"prod": ()}
TWO_OF_THEM = {"min": 2, "roles": ["Promotion.Approver"], "not_requester": True}


def asking(
    version: str = "1", approval: Mapping[str, Any] | None = None, requester: str = "", **stages: tuple[str, ...]
) -> PromotionRequested:
    """A request for a promotion whose stages (prod alone, if none is named) all ask for approval."""
    made = promotion(version, stages or ONE_STAGE, left_out=())
    runs = tuple(replace(stage, settings={"approval": dict(approval or {})}) for stage in made.stages)
    return PromotionRequested(replace(made, stages=runs, requester=requester), automatic=False)


def with_a_key(request: PromotionRequested) -> PromotionRequested:
    """The same request, made with a function key alone."""
    return replace(request, promotion=replace(request.promotion, requested_by=SOMEBODY))


def ask(lane: Lane, event: PersonEvent, after: timedelta = timedelta()) -> Lane:
    """The lane after the request, which must have been written into the journal with who and why."""
    decision = decide(lane, event, NOW + after)
    if not decision.stale:
        assert any(event.by.name in entry.text and event.reason in entry.text for entry in decision.journal)
    return decision.lane


def waiting(event: PromotionRequested, lane: Lane | None = None) -> Lane:
    """The lane where the promotion waits for approval."""
    return drive(lane or Lane(KEY), event, Azure())[0]


def the(lane: Lane, version: str = "1") -> Promotion:
    return next(known for known in lane.promotions if known.candidate.version == version)


def run(lane: Lane, outcomes: Mapping[str, Outcome] | None = None, until: str = "") -> Lane:
    """Answer all commands, by step, until none is left or the step `until` is in flight."""
    for turn in range(200):
        commands = due(lane)
        if not commands or commands[0].step == until:
            return lane
        reply = answer(commands[0], (outcomes or {}).get(commands[0].step))
        lane = decide(lane, reply, NOW + timedelta(seconds=turn)).lane
    raise AssertionError("the lane does not come to rest")


def in_flight(lane: Lane) -> list[str]:
    return [f"{command.stage}.{command.step}" for command in due(lane)]


def approve(lane: Lane, by: Person, **more: Any) -> Lane:
    return ask(lane, Approved(KEY, the(lane).id, by, "seen", **more))


# --- approval ---------------------------------------------------------------------------------------------------------


def test_a_stage_that_asks_waits_after_its_gates_with_nothing_in_flight() -> None:
    lane = waiting(asking())
    stage = the(lane).stages[0]
    assert stage.current is not None
    assert stage.current.plan.name == "approve"
    assert in_flight(lane) == []
    assert [step.plan.name for step in stage.steps if step.status is StepStatus.SUCCEEDED] == ["share", "validate"]


def test_it_goes_on_at_the_second_different_person_and_says_how_many_are_missing() -> None:
    lane = approve(waiting(asking(approval=TWO_OF_THEM)), ANNA)
    step = the(lane).stages[0].current
    assert step is not None
    assert step.says == "waits for approval: 1 of 2 given"
    assert in_flight(lane) == []
    assert in_flight(approve(lane, BERT)) == ["prod.deploy"]


def test_the_same_person_twice_is_one_approval() -> None:
    lane = approve(waiting(asking(approval=TWO_OF_THEM)), ANNA)
    renamed = replace(ANNA, name="Anna B.")
    assert decide(lane, Approved(KEY, the(lane).id, renamed, "again"), NOW).stale
    assert in_flight(lane) == []


def test_repeating_the_approval_that_let_it_go_on_changes_nothing_and_sends_what_is_due_again() -> None:
    lane = approve(waiting(asking()), ANNA)
    decision = decide(lane, Approved(KEY, the(lane).id, ANNA, "seen"), NOW)
    assert decision.stale
    assert [command.step for command in decision.commands] == ["deploy"]


def test_who_asked_for_the_promotion_may_not_approve_it() -> None:
    lane = waiting(asking(requester=ANNA.id))
    with pytest.raises(NotAllowedError, match="anna asked for this promotion"):
        approve(lane, ANNA)
    assert in_flight(approve(lane, BERT)) == ["prod.deploy"]


def test_started_with_a_key_alone_it_takes_one_person_more_as_one_of_them_may_have_asked_for_it() -> None:
    lane = waiting(with_a_key(asking()))
    [wait] = waits(lane, the(lane))
    assert "0 of 2 given" in wait.what
    assert "one more than usual, as whoever started it had not signed in" in wait.what
    lane = approve(lane, ANNA)
    assert in_flight(lane) == []
    assert in_flight(approve(lane, BERT)) == ["prod.deploy"]


@pytest.mark.parametrize("request_", [asking(), with_a_key(asking(approval={"not_requester": False}))])
def test_what_came_by_itself_or_may_be_approved_by_anybody_takes_no_person_more(request_: PromotionRequested) -> None:
    assert in_flight(approve(waiting(request_), ANNA)) == ["prod.deploy"]


def test_a_person_who_signed_in_under_the_name_of_the_key_is_known_all_the_same() -> None:
    lane = waiting(with_a_key(asking(requester=BERT.id)))
    assert in_flight(approve(lane, ANNA)) == ["prod.deploy"]


def test_who_asked_for_it_may_approve_it_where_the_stage_allows_that() -> None:
    lane = waiting(asking(requester=ANNA.id, approval={"not_requester": False}))
    assert in_flight(approve(lane, ANNA)) == ["prod.deploy"]


def test_who_asked_for_it_may_still_reject_it() -> None:
    lane = waiting(asking(requester=ANNA.id))
    lane = ask(lane, Rejected(KEY, the(lane).id, ANNA, "a mistake"))
    assert the(lane).status is PromotionStatus.REJECTED


@pytest.mark.parametrize("by", [NOBODY, OPERATOR])
def test_deciding_takes_a_role_that_the_stage_names(by: Person) -> None:
    lane = waiting(asking())
    with pytest.raises(NotAllowedError, match=r"needs the role Promotion\.Approver"):
        approve(lane, by)
    with pytest.raises(NotAllowedError):
        decide(lane, Rejected(KEY, the(lane).id, by, "no"), NOW)


def test_any_one_of_several_roles_is_enough() -> None:
    owner = Person("id-owner", "owner", ("Model.Owner", "Other"))
    lane = waiting(asking(approval={"roles": ["Risk", "Model.Owner"]}))
    with pytest.raises(NotAllowedError, match=r"Risk or Model\.Owner"):
        approve(lane, ANNA)
    assert in_flight(approve(lane, owner)) == ["prod.deploy"]


def test_one_rejection_ends_it_and_nothing_was_deployed() -> None:
    lane = approve(waiting(asking(approval=TWO_OF_THEM)), ANNA)
    lane = ask(lane, Rejected(KEY, the(lane).id, BERT, "biased"))
    assert (the(lane).status, the(lane).reason) == (PromotionStatus.REJECTED, "prod: rejected by bert: biased")
    assert in_flight(lane) == []
    assert lane.champions == {}


def test_at_expiry_it_ends_as_rejected() -> None:
    lane = waiting(asking())
    assert decide(lane, TimePassed(KEY), NOW + timedelta(hours=71)).stale
    lane = decide(lane, TimePassed(KEY), NOW + timedelta(hours=73)).lane
    assert the(lane).status is PromotionStatus.REJECTED
    assert "nobody decided" in the(lane).reason
    with pytest.raises(NotNowError, match="it is rejected"):
        approve(lane, ANNA)


def test_at_expiry_it_says_how_many_had_approved() -> None:
    lane = approve(waiting(asking(approval=TWO_OF_THEM)), ANNA)
    lane = decide(lane, TimePassed(KEY), NOW + timedelta(hours=73)).lane
    assert the(lane).status is PromotionStatus.REJECTED
    assert "only 1 of 2 approved within 72 h" in the(lane).reason


def test_an_approval_after_expiry_is_refused_even_before_the_timer_has_come() -> None:
    lane = waiting(asking())
    step = the(lane).stages[0].current
    assert step is not None
    assert step.deadline is not None
    late = Approved(KEY, the(lane).id, ANNA, "seen")
    with pytest.raises(NotNowError, match="the time to approve prod ended at"):
        decide(lane, late, step.deadline)
    assert in_flight(decide(lane, late, step.deadline - timedelta(seconds=1)).lane) == ["prod.deploy"]


def test_an_approval_given_on_other_evidence_is_refused() -> None:
    lane = waiting(asking())
    step = the(lane).stages[0].current
    assert step is not None
    with pytest.raises(NotNowError, match="evidence has changed"):
        approve(lane, ANNA, evidence="0" * 16)
    assert in_flight(approve(lane, ANNA, evidence=step.evidence["on"])) == ["prod.deploy"]


def test_where_two_stages_wait_one_has_to_be_named() -> None:
    lane = waiting(asking(north=(), west=()))
    with pytest.raises(NotNowError, match="name one: north, west"):
        approve(lane, ANNA)
    assert in_flight(approve(lane, ANNA, stage="west")) == ["west.deploy"]


def test_what_does_not_wait_cannot_be_approved() -> None:
    lane = decide(Lane(KEY), asking(), NOW).lane
    with pytest.raises(NotNowError, match="nothing waits for approval; it is running"):
        approve(lane, ANNA)
    with pytest.raises(NotNowError, match="there is no promotion another"):
        decide(lane, Approved(KEY, "another", ANNA, "seen"), NOW)


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
    with pytest.raises(NotNowError, match="it has ended as succeeded"):
        ask(lane, Cancelled(KEY, the(lane).id, OPERATOR, "late"))


def test_what_is_being_taken_back_cannot_be_cancelled_again() -> None:
    lane = newer(with_champion()[0], until="smoke")
    event = Cancelled(KEY, the(lane, "2").id, OPERATOR, "not now")
    with pytest.raises(NotNowError, match="taken back already"):
        ask(ask(lane, event), event)


# --- roll back, hold and release --------------------------------------------------------------------------------------


def rolled_back() -> Lane:
    """Version 2 served after version 1, and was rolled back."""
    lane, azure = with_champion()
    lane, azure = drive(lane, requested("2", ONE_STAGE), azure)
    lane = ask(lane, RolledBack(KEY, the(lane, "2").id, OPERATOR, "wrong answers"))
    while commands := due(lane):
        azure, outcome = azure.run(commands[0])
        lane = decide(lane, answer(commands[0], outcome), NOW).lane
    return lane


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
    with pytest.raises(NotNowError, match="nothing served prod before it"):
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
    [("share", "share"), ("validate", "validate"), ("deploy", "deploy"), ("smoke", "deploy"), ("shift", "deploy")],
)
def test_a_retry_goes_on_from_what_failed_or_was_undone_first(broke: str, goes_on_from: str) -> None:
    lane = failed(broke)
    lane = ask(lane, Retried(KEY, the(lane).id, OPERATOR, "mended"))
    assert in_flight(lane) == [f"prod.{goes_on_from}"]
    assert due(lane)[0].attempt == 2
    assert the(run(lane)).status is PromotionStatus.SUCCEEDED


def test_a_retry_can_begin_earlier_but_not_later() -> None:
    lane = failed("deploy")
    event = Retried(KEY, the(lane).id, OPERATOR, "again", "validate")
    assert in_flight(ask(lane, event)) == ["prod.validate"]
    with pytest.raises(NotNowError, match="prod can go on from share, validate, deploy, not from smoke"):
        ask(lane, replace(event, from_step="smoke"))
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
    with pytest.raises(NotNowError, match="it is succeeded"):
        ask(lane, Retried(KEY, the(lane).id, OPERATOR, "again"))
    lane = newer(lane, until="deploy")
    with pytest.raises(NotNowError, match="it is running"):
        ask(lane, Retried(KEY, the(lane, "2").id, OPERATOR, "again"))


def test_what_a_newer_version_has_superseded_is_not_tried_again() -> None:
    lane = run(decide(failed("deploy"), requested("2", ONE_STAGE), NOW).lane)
    with pytest.raises(NotNowError, match="superseded: version 2 is newer and already serves prod"):
        ask(lane, Retried(KEY, the(lane).id, OPERATOR, "again"))


def test_what_another_version_that_is_no_number_has_superseded_is_not_tried_again() -> None:
    azure = Azure(failing={("autumn", "prod", "deploy"): BROKEN})
    lane, azure = drive(Lane(KEY), requested("autumn", ONE_STAGE), azure)
    lane, _ = drive(lane, requested("winter", ONE_STAGE), azure)
    with pytest.raises(NotNowError, match="version winter has come to serve prod since"):
        ask(lane, Retried(KEY, the(lane, "autumn").id, OPERATOR, "again"))


def test_what_a_newer_version_is_about_to_supersede_is_not_tried_again() -> None:
    lane = run(decide(failed("deploy"), requested("2", ONE_STAGE), NOW).lane, until="smoke")
    with pytest.raises(NotNowError, match="superseded: version 2 is newer and already on its way"):
        ask(lane, Retried(KEY, the(lane).id, OPERATOR, "again"))


def approved_and_failed(step: str) -> Lane:
    lane = run(approve(waiting(asking()), ANNA), {step: BROKEN})
    assert the(lane).status is PromotionStatus.FAILED
    return lane


def test_an_approval_stays_good_where_the_retry_makes_no_new_evidence_before_it() -> None:
    lane = approved_and_failed("deploy")
    assert in_flight(ask(lane, Retried(KEY, the(lane).id, OPERATOR, "again"))) == ["prod.deploy"]


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


# --- roles ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [NOBODY, ANNA])
@pytest.mark.parametrize("kind", [Cancelled, RolledBack, Retried])
def test_steering_takes_the_role_of_an_operator(by: Person, kind: type[Cancelled | RolledBack | Retried]) -> None:
    lane = newer(with_champion()[0], until="deploy")
    with pytest.raises(NotAllowedError, match=r"needs the role Promotion\.Operator"):
        ask(lane, kind(KEY, the(lane, "2").id, by, "please"))
    with pytest.raises(NotAllowedError):
        ask(rolled_back(), Released(KEY, "prod", by, "please"))
    with pytest.raises(NotAllowedError):
        ask(lane, Replayed(KEY, the(lane, "2").id, by, "please", "everything"))
