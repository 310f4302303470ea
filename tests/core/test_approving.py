"""What people may decide of a stage that waits for approval, rule by rule."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.lane import PromotionRequested, TimePassed, decide
from shared.core.people import Approved, NotAllowedError, NotNowError, Person, Rejected
from shared.core.promotion import Lane, PromotionStatus, StepStatus
from shared.core.waiting import waits
from tests.core.people import (
    ANNA,
    BERT,
    NOBODY,
    OPERATOR,
    TWO_OF_THEM,
    approve,
    ask,
    asking,
    in_flight,
    the,
    waiting,
    with_a_key,
)
from tests.core.world import KEY, NOW


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


def test_who_approves_is_told_that_the_requester_is_unknown_where_a_key_alone_started_it() -> None:
    lane = waiting(with_a_key(asking()))
    [wait] = waits(lane, the(lane))
    assert "0 of 1 given" in wait.what
    assert "who started it had not signed in and may be one of them" in wait.what
    assert in_flight(approve(lane, ANNA)) == ["prod.deploy"]


@pytest.mark.parametrize(
    "request_",
    [asking(), with_a_key(asking(approval={"not_requester": False})), with_a_key(asking(requester=BERT.id))],
    ids=["came by itself", "anybody may approve", "a person named like the key"],
)
def test_nothing_is_said_of_an_unknown_requester_where_there_is_none_or_it_does_not_matter(
    request_: PromotionRequested,
) -> None:
    lane = waiting(request_)
    [wait] = waits(lane, the(lane))
    assert "signed in" not in wait.what


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
