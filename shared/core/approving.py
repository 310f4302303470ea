"""Approving and rejecting. Part of the rules in `lane.py`.

- A stage says which roles may approve it.
- An approval counts once per person, only for the candidate and evidence that it was given on, and only before expiry.
"""

from collections.abc import Sequence

from shared.core.approval import APPROVE, Approval, ApprovalEvidence, GivenApproval, digest
from shared.core.durations import in_words
from shared.core.events import Approved, NotAllowedError, NotNowError, Person, Rejected, TakenElsewhereError
from shared.core.going_back import check_stage, turn_back
from shared.core.messages import Failed, FailureKind, as_evidence
from shared.core.promotion import Promotion, StageRun, StageStatus, StepRun, StepStatus
from shared.core.replacing import replace
from shared.core.turn import Turn


def begin(turn: Turn, promotion: Promotion, stage: StageRun, step: StepRun) -> StepRun:
    """The step that asks for approval. Approvals that were given on the same evidence before count again."""
    on, asked, before = digest(promotion.approvable(stage)), Approval.of(promotion, stage), ApprovalEvidence.of(step)
    given = before.given if before.on == on else ()
    evidence = as_evidence(ApprovalEvidence(on, given))
    waiting = replace(step, evidence=evidence, says=asked.says(len(given)))
    if given:
        names = ", ".join(one.name for one in given)
        turn.note(promotion, "approved", f"{names} approved the same evidence before", stage, step)
    if len(given) < asked.least:
        return waiting
    return replace(waiting, status=StepStatus.SUCCEEDED, ended=turn.now, says="")


def too_late(promotion: Promotion, stage: StageRun, step: StepRun) -> Failed:
    """The failure of a wait that nobody has ended."""
    given = len(ApprovalEvidence.of(step).given)
    who = f"only {given} of {Approval.of(promotion, stage).least} approved" if given else "nobody decided"
    return Failed(f"{who} within {in_words(step.plan.limit)}: start a new promotion", FailureKind.REJECTED)


def approve(turn: Turn, promotion: Promotion, event: Approved) -> None:
    if not _all_waiting(promotion, event.stage) and _has_approved(promotion, event):
        return
    stage, step, approval = _waiting(promotion, event.stage)
    _check_may_approve(event.by, promotion, approval)
    # The timer that ends the wait runs up to a minute later, or later still if the app was down.
    if step.deadline is not None and turn.now >= step.deadline:
        raise NotNowError(f"the time to approve {stage.name} ended at {step.deadline:%Y-%m-%d %H:%M:%S} UTC")
    evidence = ApprovalEvidence.of(step)
    if event.evidence not in (None, evidence.on):
        raise NotNowError("the evidence has changed since you saw it: review it again")
    if any(one.id == event.by.id for one in evidence.given):
        return
    by = event.by
    roles = tuple(each for each in by.roles if each in approval.roles)
    groups = tuple(each for each in by.groups if each in approval.groups)
    given = (*evidence.given, GivenApproval(by.id, by.name, turn.now, event.reason, roles, groups))
    turn.note(promotion, "approved", f"{event.asked()} ({len(given)} of {approval.least})", stage, step)
    evidence = replace(evidence, given=given)
    step = replace(step, evidence=as_evidence(evidence), says=approval.says(len(given)))
    if len(given) >= approval.least:
        step = replace(step, status=StepStatus.SUCCEEDED, ended=turn.now, says="")
    turn.put(promotion, stage.with_step(step))


def reject(turn: Turn, promotion: Promotion, event: Rejected) -> None:
    stage, step, approval = _waiting(promotion, event.stage)
    _check_may_approve(event.by, promotion, approval, rejecting=True)
    reason = f"rejected by {event.asked()}"
    turn.note(promotion, "rejected", event.asked(), stage, step)
    failure = Failed(reason, FailureKind.REJECTED)
    step = replace(step, status=StepStatus.FAILED, failure=failure, ended=turn.now, says=reason)
    turn.put(promotion, turn_back(stage.with_step(step), StageStatus.REJECTED, reason))


def _has_approved(promotion: Promotion, event: Approved) -> bool:
    """Whether the person's approval is among those that let a stage continue."""
    return any(
        one.id == event.by.id
        for stage in promotion.stages
        if event.stage in (None, stage.name) and stage.status is StageStatus.RUNNING
        for step in stage.steps
        if step.plan.asks_people and step.status is StepStatus.SUCCEEDED
        for one in ApprovalEvidence.of(step).given
    )


def _all_waiting(promotion: Promotion, name: str | None) -> Sequence[tuple[StageRun, StepRun]]:
    return [
        (stage, step)
        for stage in promotion.stages
        if name in (None, stage.name) and (step := stage.current) is not None and step.plan.asks_people
    ]


def _waiting(promotion: Promotion, name: str | None) -> tuple[StageRun, StepRun, Approval]:
    check_stage(promotion, name)
    found = _all_waiting(promotion, name)
    if not found:
        _check_taken_here(promotion, name)
        raise NotNowError(
            f"nothing waits for approval{f' in {name}' if name else ''}; the promotion {promotion.status.told}"
        )
    if len(found) > 1:
        raise NotNowError(
            f"several stages wait for approval: name one of {', '.join(stage.name for stage, _ in found)}"
        )
    stage, step = found[0]
    return stage, step, Approval.of(promotion, stage)


def _check_taken_here(promotion: Promotion, name: str | None) -> None:
    for stage in promotion.stages:
        step = stage.current
        if name in (None, stage.name) and step is not None and step.plan.name == APPROVE:
            text = f"{stage.environment} takes approvals in its own app: decide there. It says: {step.says}"
            raise TakenElsewhereError(text, stage.name, stage.environment)


def _check_may_approve(by: Person, promotion: Promotion, approval: Approval, rejecting: bool = False) -> None:
    if not set(by.roles) & set(approval.roles):
        raise NotAllowedError(f"{by.name} needs the role {' or '.join(approval.roles)}")
    if approval.groups and not set(by.groups) & set(approval.groups):
        says = f"{by.name} is in none of the groups that may approve this: {', '.join(approval.groups)}"
        raise NotAllowedError(by.groups_left_out or says)
    if approval.not_requester and not rejecting and by.id == promotion.requester:
        raise NotAllowedError(f"{by.name} requested this promotion and so may not approve it")
    if approval.not_author and not rejecting and by.id in approval.authors:
        raise NotAllowedError(f"{by.name} made this model and so may not approve it")
