"""What people may decide about a stage that waits for approval, rule by rule."""

from datetime import timedelta

import pytest

from shared.core.approval import ApprovalEvidence
from shared.core.commands import due
from shared.core.events import (
    Approved,
    NotAllowedError,
    NotNowError,
    Person,
    PromotionRequested,
    Rejected,
    Retried,
    TakenElsewhereError,
    TimePassed,
)
from shared.core.lane import decide
from shared.core.messages import Succeeded
from shared.core.promotion import ApprovalRule, Lane, PromotionStatus, StepStatus
from shared.core.replacing import replace
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
    run,
    the,
    waiting,
    with_a_key,
)
from tests.core.world import BROKEN, KEY, NOW, answer


def test_a_stage_that_asks_waits_after_its_gates_with_nothing_in_flight() -> None:
    lane = waiting(asking())
    stage = the(lane).stages[0]
    assert stage.current is not None
    assert stage.current.plan.name == "approve"
    assert in_flight(lane) == []
    done = [step.plan.name for step in stage.steps if step.status is StepStatus.SUCCEEDED]
    assert done == ["share", "validate", "check_capacity"]


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


def test_the_requester_may_not_approve_the_promotion() -> None:
    lane = waiting(asking(requester=ANNA.id))
    with pytest.raises(NotAllowedError, match="anna requested this promotion"):
        approve(lane, ANNA)
    assert in_flight(approve(lane, BERT)) == ["prod.deploy"]


def test_approvers_see_that_the_requester_is_unknown_if_only_a_key_started_it() -> None:
    lane = waiting(with_a_key(asking()))
    [wait] = waits(lane, the(lane))
    assert "0 of 1 given" in wait.what
    assert "the requester had not signed in and may be an approver" in wait.what
    assert in_flight(approve(lane, ANNA)) == ["prod.deploy"]


@pytest.mark.parametrize(
    "request_",
    [asking(), with_a_key(asking(approval=ApprovalRule(not_requester=False))), with_a_key(asking(requester=BERT.id))],
    ids=["came by itself", "anybody may approve", "a person named like the key"],
)
def test_an_unknown_requester_is_not_mentioned_if_there_is_none_or_it_does_not_matter(
    request_: PromotionRequested,
) -> None:
    lane = waiting(request_)
    [wait] = waits(lane, the(lane))
    assert "signed in" not in wait.what


def test_the_requester_may_approve_where_the_stage_allows_that() -> None:
    lane = waiting(asking(requester=ANNA.id, approval=ApprovalRule(not_requester=False)))
    assert in_flight(approve(lane, ANNA)) == ["prod.deploy"]


def test_the_requester_may_still_reject() -> None:
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
    lane = waiting(asking(approval=ApprovalRule(roles=("Risk", "Model.Owner"))))
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
    with pytest.raises(NotNowError, match="the promotion is rejected"):
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
    with pytest.raises(NotNowError, match="name one of north, west"):
        approve(lane, ANNA)
    assert in_flight(approve(lane, ANNA, stage="west")) == ["west.deploy"]


def test_what_does_not_wait_cannot_be_approved() -> None:
    lane = decide(Lane(KEY), asking(), NOW).lane
    with pytest.raises(NotNowError, match="nothing waits for approval; the promotion is running"):
        approve(lane, ANNA)
    with pytest.raises(NotNowError, match="there is no promotion another"):
        decide(lane, Approved(KEY, "another", ANNA, "seen"), NOW)


def taken_elsewhere(request: PromotionRequested, stage: str) -> PromotionRequested:
    """The same request for a stage whose environment takes its approvals itself: its worker runs the step."""
    runs = [
        replace(
            known,
            steps=tuple(replace(step, plan=replace(step.plan, waits=False)) for step in known.steps),
        )
        if known.name == stage
        else known
        for known in request.promotion.stages
    ]
    return replace(request, promotion=replace(request.promotion, stages=tuple(runs)))


def test_an_app_that_takes_approvals_is_reported_only_for_its_stage() -> None:
    lane = decide(Lane(KEY), taken_elsewhere(asking(north=(), west=()), "west"), NOW).lane
    lane = run(lane, until="approve")
    assert in_flight(lane) == ["west.approve"]
    with pytest.raises(TakenElsewhereError, match="west takes approvals in its own app") as told:
        approve(lane, ANNA, stage="west")
    assert told.value.stage == "west"
    lane = approve(lane, ANNA, stage="north")
    with pytest.raises(NotNowError, match="nothing waits for approval in north"):
        approve(lane, BERT, stage="north")


# --- again ------------------------------------------------------------------------------------------------------------


#: What `validate` saw before, and will see again.
SAME = {"validate": Succeeded({"saw": "validate"})}


def retried_after_two_approvals(lane: Lane | None = None) -> Lane:
    """The lane after a deployment that two people had approved has failed. It is being validated again."""
    lane = approve(approve(lane or waiting(asking(approval=TWO_OF_THEM)), ANNA), BERT)
    lane = run(lane, {"deploy": BROKEN})
    lane = ask(lane, Retried(KEY, the(lane).id, OPERATOR, "mended"))
    assert in_flight(lane) == ["prod.validate"]
    return lane


def test_approvals_count_again_where_a_retry_has_the_same_evidence() -> None:
    lane = run(retried_after_two_approvals(), SAME, until="deploy")
    assert in_flight(lane) == ["prod.deploy"]
    [step] = [step for step in the(lane).stages[0].steps if step.plan.waits]
    assert [one["name"] for one in step.evidence["given"]] == ["anna", "bert"]


def test_approvals_that_count_again_are_in_the_journal() -> None:
    lane = run(retried_after_two_approvals(), SAME, until="check_capacity")
    decision = decide(lane, answer(due(lane)[0]), NOW)
    said = [entry.text for entry in decision.journal if entry.what == "approved"]
    assert said == ["anna, bert approved the same evidence before"]


def test_approvals_count_again_where_only_what_informs_people_has_changed() -> None:
    outcomes = {**SAME, "check_capacity": Succeeded({"left": 12})}
    lane = run(retried_after_two_approvals(), outcomes, until="deploy")
    assert in_flight(lane) == ["prod.deploy"]


def test_what_informs_people_is_in_the_journal_in_words() -> None:
    lane = run(retried_after_two_approvals(), SAME, until="check_capacity")
    decision = decide(lane, answer(due(lane)[0], Succeeded({}, says="takes 3 instances")), NOW)
    assert [each.text for each in decision.journal if each.what == "step-succeeded"] == ["takes 3 instances"]


def test_approvals_lapse_where_a_retry_has_other_evidence() -> None:
    lane = run(retried_after_two_approvals(), {"validate": Succeeded({"saw": "a mended file"})})
    assert in_flight(lane) == []
    [wait] = waits(lane, the(lane))
    assert wait.what.startswith("approval: 0 of 2 given")
    assert in_flight(approve(approve(lane, ANNA), BERT)) == ["prod.deploy"]


# --- who made the model -----------------------------------------------------------------------------------------------


def made_by(*authors: tuple[str, bool]) -> Lane:
    """The lane that waits for approval of a model whose authors these are, by id and whether each is a person."""
    told = [{"id": each, "name": each, "is_person": is_person} for each, is_person in authors]
    lane = decide(Lane(KEY), asking(approval=ApprovalRule(not_author=True)), NOW).lane
    return run(lane, {"share": Succeeded({"authors": told})})


def test_the_author_may_reject_but_not_approve() -> None:
    lane = made_by((ANNA.id, True))
    with pytest.raises(NotAllowedError, match="anna made this model"):
        approve(lane, ANNA)
    assert in_flight(approve(lane, BERT)) == ["prod.deploy"]
    lane = ask(lane, Rejected(KEY, the(lane).id, ANNA, "a mistake"))
    assert the(lane).status is PromotionStatus.REJECTED


@pytest.mark.parametrize("authors", [(), (("id-of-a-pipeline", False),), ((BERT.id, True), ("", False))])
def test_approvers_see_that_the_author_is_not_a_known_person(authors: tuple[tuple[str, bool], ...]) -> None:
    lane = made_by(*authors)
    [wait] = waits(lane, the(lane))
    assert "the model's author is not a known person" in wait.what


def test_nothing_is_said_of_the_author_where_that_is_a_known_person() -> None:
    lane = made_by((BERT.id, True))
    [wait] = waits(lane, the(lane))
    assert "made the model" not in wait.what


# --- groups -----------------------------------------------------------------------------------------------------------

GROUP = "aaaaaaaa-0000-4000-8000-000000000001"
ASKS_A_GROUP = ApprovalRule(groups=(GROUP, "aaaaaaaa-0000-4000-8000-000000000002"))


def test_a_stage_that_names_groups_takes_the_approval_of_their_members_alone() -> None:
    lane = waiting(asking(approval=ASKS_A_GROUP))
    with pytest.raises(NotAllowedError, match=f"anna is in none of the groups that may approve this: {GROUP}"):
        approve(lane, ANNA)
    assert the(run(approve(lane, replace(ANNA, groups=("x", GROUP))))).status is PromotionStatus.SUCCEEDED


def test_an_approval_keeps_the_roles_and_groups_that_let_it_be_given() -> None:
    rule = ApprovalRule(least=2, groups=("g1", "g2"))
    by = replace(ANNA, roles=("Promotion.Reader", *ANNA.roles), groups=("g0", "g2"))
    step = the(approve(waiting(asking(approval=rule)), by)).stages[0].current
    assert step is not None
    [given] = ApprovalEvidence.of(step).given
    assert (given.roles, given.groups) == (("Promotion.Approver",), ("g2",))


def test_a_group_does_not_stand_for_the_role() -> None:
    lane = waiting(asking(approval=ASKS_A_GROUP))
    with pytest.raises(NotAllowedError, match=r"nobody needs the role Promotion\.Approver"):
        approve(lane, replace(NOBODY, groups=(GROUP,)))


def test_who_is_in_too_many_groups_for_a_token_is_told_so() -> None:
    lane = waiting(asking(approval=ASKS_A_GROUP))
    with pytest.raises(NotAllowedError, match="too many groups"):
        approve(lane, replace(ANNA, groups_left_out="You are in too many groups."))


def test_groups_bind_whoever_rejects_too() -> None:
    lane = waiting(asking(approval=ASKS_A_GROUP))
    with pytest.raises(NotAllowedError, match="in none of the groups"):
        decide(lane, Rejected(KEY, the(lane).id, ANNA, "no"), NOW)
