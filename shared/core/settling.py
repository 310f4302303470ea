"""What follows automatically from an event: stages start, are superseded and are left; promotions end.

Part of the rules; `lane.py` lists them.
"""

from collections.abc import Sequence
from datetime import datetime

from shared.core import keeping, superseding
from shared.core.held_back import held_back, let_go
from shared.core.in_window import kept_outside
from shared.core.promotion import (
    STAGE_ENDED,
    STAGE_OCCUPIED,
    Promotion,
    PromotionStatus,
    StageRun,
    StageStatus,
    StepRun,
    StepStatus,
)
from shared.core.replacing import replace
from shared.core.transitions import UNDONE_AS, Trigger, end_stage, move
from shared.core.trying_again import once_more
from shared.core.turn import Turn
from shared.core.wait_kinds import WAITS


def settle(turn: Turn) -> None:
    """Apply the rules until nothing changes. Terminates: each round moves a stage forward in the transition table."""
    turn.lane = turn.lane.without_past_closures(turn.now)
    before = None
    while turn.lane is not before:
        before = turn.lane
        superseding.supersede(turn)
        for promotion in list(turn.lane.at_work()):
            for stage in promotion.stages:
                known = turn.latest(promotion)
                settled = _settle_stage(turn, known, stage)
                if settled is not stage:
                    turn.put(known, settled)
                _close_after(turn, settled)
            turn.put(_settle_promotion(turn, turn.latest(promotion)))


def _settle_stage(turn: Turn, promotion: Promotion, stage: StageRun) -> StageRun:
    if stage.status is StageStatus.WAITING:
        return _leave_waiting(turn, promotion, stage)
    if stage.status is StageStatus.QUEUED:
        return _enter(turn, promotion, stage)
    if stage.kept_until is not None:
        return _settle_kept(turn, promotion, stage)
    if stage.status not in STAGE_OCCUPIED:
        return stage
    step = stage.current
    if step is None:
        return _leave(turn, promotion, stage)
    if step.status is StepStatus.WAITING and turn.now >= (stage.held_until(step) or turn.now):
        outside = kept_outside(turn, promotion, stage, step)
        return outside or let_go(stage).with_step(_begun(turn, promotion, stage, step))
    if step.plan.waits and stage.status is StageStatus.RUNNING:
        return WAITS[step.plan.waits_for].look(turn, promotion, stage, step)
    return stage


def _settle_kept(turn: Turn, promotion: Promotion, stage: StageRun) -> StageRun:
    step = keeping.removal(stage)
    if step is None or step.status not in (StepStatus.WAITING, StepStatus.RUNNING):
        left = f"{step.plan.name}: {step.failure.reason}" if step and step.failure is not None else stage.reason
        return replace(stage, kept_until=None, reason=left)
    until = keeping.ends_at(turn.lane, promotion, stage)
    if step.status is StepStatus.RUNNING or until is None or turn.now < until:
        return stage
    return stage.with_step(_begun(turn, promotion, stage, step))


def _close_after(turn: Turn, stage: StageRun) -> None:
    """Close a stage that is being left while an unanswered command may still act."""
    until, closed = stage.unanswered_until, turn.lane.closed_until
    if until is None or stage.status not in STAGE_ENDED or not stage.is_held(turn.now):
        return
    if closed.get(stage.name, turn.now) < until:
        turn.lane = replace(turn.lane, closed_until={**closed, stage.name: until})


def _begun(turn: Turn, promotion: Promotion, stage: StageRun, step: StepRun) -> StepRun:
    deadline = turn.now + step.plan.limit
    begun = replace(step, status=StepStatus.RUNNING, poll=1, started=turn.now, deadline=deadline, not_before=None)
    if not step.plan.waits:
        return replace(begun, next_poll=turn.now)
    return WAITS[step.plan.waits_for].begin(turn, promotion, stage, begun)


def _leave_waiting(turn: Turn, promotion: Promotion, stage: StageRun) -> StageRun:
    before = _before(promotion, stage)
    skipped = _skipped(stage, before, turn.now)
    if skipped is not None:
        return skipped
    if all(other.status is StageStatus.SUCCEEDED for other in before):
        return move(replace(stage, queued=turn.now), Trigger.BEFORE_DONE)
    return stage


def _before(promotion: Promotion, stage: StageRun) -> list[StageRun]:
    return [other for name in stage.after if (other := promotion.stage(name)) is not None]


def _skipped(stage: StageRun, before: Sequence[StageRun], now: datetime) -> StageRun | None:
    """The stage, ended because one before it did not succeed, or serves in spite of a breach; None if none did."""
    ended = [other for other in before if other.status in STAGE_ENDED]
    failed = [f"{other.name} did not succeed" for other in ended if other.status is not StageStatus.SUCCEEDED]
    breached = [f"{other.name} had a breach while it was watched" for other in ended if other.breach]
    reasons = [*failed, *breached]
    return end_stage(stage, Trigger.BEFORE_ENDED, reasons[0], now) if reasons else None


def _enter(turn: Turn, promotion: Promotion, stage: StageRun) -> StageRun:
    if stage.unanswered_until is not None and not stage.is_held(turn.now):
        stage = replace(stage, unanswered_until=None)
    # A stage before it may have been rolled back while it queued.
    before = _before(promotion, stage)
    skipped = _skipped(stage, before, turn.now)
    if skipped is not None:
        return skipped
    if any(other.status is not StageStatus.SUCCEEDED for other in before):
        return stage
    kind = promotion.candidate.kind
    held = held_back(turn, promotion, stage)
    if held is not None:
        return held
    stage = let_go(stage)
    if stage.is_held(turn.now) or stage.name in turn.lane.closed_until:  # an earlier command may still act
        return stage
    if turn.lane.occupant(kind, stage.name) not in (None, promotion.id):
        return stage
    if not superseding.goes_first(turn.lane, promotion, stage):
        return stage
    turn.note(promotion, "stage-started", f"in {stage.environment}", stage)
    champion = turn.lane.champions.get(stage.name)
    return move(replace(stage, started=turn.now, predecessor=champion, unanswered_until=None), Trigger.ENTERED)


def _leave(turn: Turn, promotion: Promotion, stage: StageRun) -> StageRun:
    if stage.status is StageStatus.RUNNING:
        left_over = [f"{step.plan.name}: {step.failure.reason}" for step in stage.steps if step.failure is not None]
        turn.note(promotion, "stage-succeeded", "; ".join(left_over) or "done", stage)
        stage = keeping.begun(turn, promotion, stage)
        return end_stage(stage, Trigger.PLAN_DONE, "; ".join(left_over), turn.now)
    broken = [f"{step.plan.name}: {step.failure.reason}" for step in stage.undoing if step.failure is not None]
    reason = " ".join([stage.reason, *(f"(undoing also failed: {text})" for text in broken)])
    if stage.abandoned:
        left = ", ".join(step.plan.name for step in stage.undoing if step.status is StepStatus.STOPPED) or "nothing"
        reason += f" (undoing was abandoned by {stage.abandoned}; not undone: {left})"
    ends_as = StageStatus.FAILED if broken or stage.abandoned else stage.ends_as
    if ends_as is StageStatus.QUEUED:
        turn.note(promotion, "queued-again", reason, stage)
        return once_more(stage, UNDONE_AS[ends_as], turn.now)
    turn.note(promotion, f"stage-{ends_as}", reason, stage)
    return end_stage(stage, UNDONE_AS[ends_as], reason, turn.now)


def _settle_promotion(turn: Turn, promotion: Promotion) -> Promotion:
    statuses = {stage.status for stage in promotion.stages}
    if statuses <= STAGE_ENDED and promotion.under_way:
        status, reason = _ending(promotion)
        return end(turn, promotion, status, reason)
    if promotion.status is PromotionStatus.QUEUED and statuses & STAGE_OCCUPIED:
        return replace(promotion, status=PromotionStatus.RUNNING, updated=turn.now)
    return promotion


#: A promotion ends with the first of these statuses that one of its stages has.
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
    skipped = any(stage.status is StageStatus.SKIPPED for stage in promotion.stages)
    for ended_as, status in _ENDINGS:
        stages = [stage for stage in promotion.stages if stage.status is ended_as]
        if stages:
            # Nothing ended badly, and yet a stage was left out: a breach in a stage before it.
            found = PromotionStatus.REFUSED if skipped and status is PromotionStatus.SUCCEEDED else status
            return found, "; ".join(f"{stage.name}: {stage.reason}" for stage in stages if stage.reason)
    raise ValueError(f"{promotion.id} has ended without a stage that says how")


def end(turn: Turn, promotion: Promotion, status: PromotionStatus, reason: str) -> Promotion:
    turn.note(promotion, status, reason or "done")
    return replace(promotion, status=status, reason=reason, updated=turn.now)
