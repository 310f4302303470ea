"""What follows by itself once an event has been taken in: stages start, are superseded, are left; promotions end.

Part of the rules in `lane.py`, which heads them.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from shared.core.approval import Approval, digest
from shared.core.journal import Notes
from shared.core.messages import Kind
from shared.core.precedence import newest
from shared.core.promotion import (
    STAGE_ENDED,
    STAGE_OCCUPIED,
    Lane,
    Promotion,
    PromotionStatus,
    StageRun,
    StageStatus,
    StepRun,
    StepStatus,
)
from shared.core.transitions import UNDONE_AS, Trigger, move


def settle(lane: Lane, now: datetime, notes: Notes) -> Lane:
    """Apply the rules until nothing changes. Bounded: each round moves a stage forward in its table."""
    lane = lane.without_past_closures(now)
    while True:
        before = lane
        lane = _supersede(lane, now, notes)
        for promotion in list(lane.under_way()):
            for stage in promotion.stages:
                known = lane.promotion(promotion.id) or promotion
                settled = _settle_stage(lane, known, stage, now, notes)
                lane = _closed_after(lane, settled, now).with_promotion(known.with_stage(settled))
            lane = lane.with_promotion(_settle_promotion(lane.promotion(promotion.id) or promotion, now, notes))
        if lane == before:
            return lane


def _settle_stage(lane: Lane, promotion: Promotion, stage: StageRun, now: datetime, notes: Notes) -> StageRun:
    if stage.status is StageStatus.WAITING:
        return _leave_waiting(promotion, stage, now)
    if stage.status is StageStatus.QUEUED:
        return _enter(lane, promotion, stage, now, notes)
    if stage.status not in STAGE_OCCUPIED:
        return stage
    step = stage.current
    if step is None:
        return _leave(promotion, stage, now, notes)
    # Once the way back has begun, nothing of the way forward can act any more; steps that undo may overlap.
    begins_way_back = stage.undoing and step is stage.undoing[0]
    if step.status is StepStatus.WAITING and not (begins_way_back and stage.is_held(now)):
        return stage.with_step(_begun(promotion, stage, step, now, notes))
    return stage


def _closed_after(lane: Lane, stage: StageRun, now: datetime) -> Lane:
    """The lane with a stage closed that is being left while a command which was never answered may still act."""
    until = stage.unanswered_until
    if until is None or stage.status not in STAGE_ENDED or not lane.closed_until.get(stage.name, now) < until:
        return lane
    return replace(lane, closed_until={**lane.closed_until, stage.name: until}) if stage.is_held(now) else lane


def _begun(promotion: Promotion, stage: StageRun, step: StepRun, now: datetime, notes: Notes) -> StepRun:
    begun = replace(step, status=StepStatus.RUNNING, poll=1, started=now, next_poll=now, deadline=now + step.plan.limit)
    if not step.plan.waits:
        return begun
    on, asked = digest(promotion.evidence_for(stage)), Approval.of(promotion, stage)
    given = step.evidence.get("given", ()) if step.evidence.get("on") == on else ()
    waiting = replace(begun, next_poll=None, evidence={"on": on, "given": list(given)}, says=asked.says(len(given)))
    if given:
        names = ", ".join(one["name"] for one in given)
        notes.add(promotion, "approved", f"{names} approved the same evidence before", stage, step)
    return replace(waiting, status=StepStatus.SUCCEEDED, ended=now, says="") if len(given) >= asked.least else waiting


def _leave_waiting(promotion: Promotion, stage: StageRun, now: datetime) -> StageRun:
    before = _before(promotion, stage)
    skipped = _skipped(stage, before, now)
    if skipped is not None:
        return skipped
    if all(other.status is StageStatus.SUCCEEDED for other in before):
        return move(replace(stage, queued=now), Trigger.BEFORE_DONE)
    return stage


def _before(promotion: Promotion, stage: StageRun) -> list[StageRun]:
    return [other for name in stage.after if (other := promotion.stage(name)) is not None]


def _skipped(stage: StageRun, before: Sequence[StageRun], now: datetime) -> StageRun | None:
    """The stage as it ends because one before it did not succeed; None where none has ended so."""
    failed = [other.name for other in before if other.status in STAGE_ENDED - {StageStatus.SUCCEEDED}]
    return end_stage(stage, Trigger.BEFORE_ENDED, f"{failed[0]} did not succeed", now) if failed else None


def _enter(lane: Lane, promotion: Promotion, stage: StageRun, now: datetime, notes: Notes) -> StageRun:
    if not stage.is_held(now):
        stage = replace(stage, unanswered_until=None)
    # While it queued, a stage before it may have been rolled back.
    before = _before(promotion, stage)
    skipped = _skipped(stage, before, now)
    if skipped is not None:
        return skipped
    if any(other.status is not StageStatus.SUCCEEDED for other in before):
        return stage
    if stage.name in lane.holds and promotion.candidate.kind is not Kind.JOB:
        return stage
    if stage.is_held(now) or stage.name in lane.closed_until:  # a command of an earlier walk may still act
        return stage
    for other in lane.under_way():
        theirs = other.stage(stage.name)
        same_queue = other.id != promotion.id and other.candidate.kind is promotion.candidate.kind
        if theirs is not None and same_queue and theirs.status in STAGE_OCCUPIED:
            return stage
    notes.add(promotion, "stage-started", f"in {stage.environment}", stage)
    champion = lane.champions.get(stage.name)
    return move(replace(stage, started=now, predecessor=champion, unanswered_until=None), Trigger.ENTERED)


def _leave(promotion: Promotion, stage: StageRun, now: datetime, notes: Notes) -> StageRun:
    if stage.status is StageStatus.RUNNING:
        left_over = [f"{step.plan.name}: {step.failure.reason}" for step in stage.steps if step.failure is not None]
        notes.add(promotion, "stage-succeeded", "; ".join(left_over) or "done", stage)
        return end_stage(stage, Trigger.PLAN_DONE, "; ".join(left_over), now)
    broken = [f"{step.plan.name}: {step.failure.reason}" for step in stage.undoing if step.failure is not None]
    reason = " ".join([stage.reason, *(f"(undoing failed too: {text})" for text in broken)])
    if stage.abandoned:
        left = ", ".join(step.plan.name for step in stage.undoing if step.status is StepStatus.STOPPED) or "nothing"
        reason += f" (the way back was abandoned by {stage.abandoned}; not undone: {left})"
    ends_as = StageStatus.FAILED if broken or stage.abandoned else stage.ends_as
    notes.add(promotion, f"stage-{ends_as}", reason, stage)
    return end_stage(stage, UNDONE_AS[ends_as], reason, now)


def end_stage(stage: StageRun, trigger: Trigger, reason: str, now: datetime) -> StageRun:
    return replace(move(stage, trigger), ended=now, reason=reason)


def _supersede(lane: Lane, now: datetime, notes: Notes) -> Lane:
    """Of the candidates that queue for a stage, all but the newest step aside."""
    for promotion in list(lane.under_way()):
        for stage in promotion.stages:
            if stage.status is not StageStatus.QUEUED or promotion.candidate.kind is Kind.JOB:
                continue
            latest = newest(other for other in lane.under_way() if _queues_for(other, stage.name))
            if latest.id == promotion.id:
                continue
            reason = f"version {latest.candidate.version} came before it could enter {stage.name}"
            notes.add(promotion, "stage-superseded", reason, stage)
            ended = promotion.with_stage(end_stage(stage, Trigger.NEWER_CAME, reason, now))
            lane, promotion = lane.with_promotion(ended), ended
    return lane


def _queues_for(promotion: Promotion, stage: str) -> bool:
    theirs = promotion.stage(stage)
    return theirs is not None and theirs.status is StageStatus.QUEUED and promotion.candidate.kind is not Kind.JOB


def _settle_promotion(promotion: Promotion, now: datetime, notes: Notes) -> Promotion:
    statuses = {stage.status for stage in promotion.stages}
    if statuses <= STAGE_ENDED and promotion.under_way:
        status, reason = _ending(promotion)
        return end(promotion, status, reason, now, notes)
    if promotion.status is PromotionStatus.QUEUED and statuses & STAGE_OCCUPIED:
        return replace(promotion, status=PromotionStatus.RUNNING, updated=now)
    return promotion


#: What a promotion ends as: the first of these that one of its stages ended as.
_ENDINGS = (
    (StageStatus.FAILED, PromotionStatus.FAILED),
    (StageStatus.ROLLED_BACK, PromotionStatus.ROLLED_BACK),
    (StageStatus.CANCELLED, PromotionStatus.CANCELLED),
    (StageStatus.REJECTED, PromotionStatus.REJECTED),
    (StageStatus.REFUSED, PromotionStatus.REFUSED),
    (StageStatus.SUPERSEDED, PromotionStatus.SUPERSEDED),
    (StageStatus.SUCCEEDED, PromotionStatus.SUCCEEDED),
)


def _ending(promotion: Promotion) -> tuple[PromotionStatus, str]:
    for ended_as, status in _ENDINGS:
        stages = [stage for stage in promotion.stages if stage.status is ended_as]
        if stages:
            return status, "; ".join(f"{stage.name}: {stage.reason}" for stage in stages if stage.reason)
    raise ValueError(f"{promotion.id} has ended without a stage that says how")


def end(promotion: Promotion, status: PromotionStatus, reason: str, now: datetime, notes: Notes) -> Promotion:
    notes.add(promotion, status, reason or "done")
    return replace(promotion, status=status, reason=reason, updated=now)
