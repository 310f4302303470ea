"""Cancelling, rolling back, and abandoning an undo. Part of the rules in `lane.py`.

- Cancelling stops a promotion where it is and removes what it has deployed. A stage in which traffic has begun to move
  is rolled back instead, and held.
- A rollback returns the traffic to what served before, without gates, and holds the stage. A promotion that only waits
  in the stage for a time goes back to the stage's queue.
- What fails while it is watched is rolled back by itself, and held. If nothing served before, it goes on serving.
- A person can end every wait. Abandoning stops an undo where it is, and names what was left. A stage that was not
  undone completely can be rolled back again, until another promotion serves it.
"""

from collections.abc import Sequence

from shared.core.events import Abandoned, Cancelled, NotNowError, RolledBack
from shared.core.lane_notes import Hold
from shared.core.messages import Failed
from shared.core.plan import undo_of
from shared.core.promotion import (
    STAGE_OCCUPIED,
    Lane,
    Promotion,
    PromotionStatus,
    StageRun,
    StageStatus,
    StepRun,
    StepStatus,
)
from shared.core.replacing import replace
from shared.core.transitions import Trigger, move
from shared.core.turn import Turn

#: Who rolls a stage back that no person has asked to roll back.
ITSELF = "mlpromote"


def cancel(turn: Turn, promotion: Promotion, event: Cancelled) -> None:
    if not promotion.under_way:
        raise NotNowError(f"the promotion has ended: it {promotion.status.told}")
    running = [stage for stage in promotion.stages if stage.status is StageStatus.RUNNING]
    moved = [stage for stage in running if _has_moved_traffic(stage)]
    for stage in moved:
        _check_can_go_back(turn, promotion, stage)
    pending = [stage for stage in promotion.stages if stage.status in (StageStatus.WAITING, StageStatus.QUEUED)]
    if not running and not pending:
        raise NotNowError("the promotion is already being undone; abandon it to stop undoing")
    says = f"; traffic had begun to move, so this is a rollback of {names(moved)}" if moved else ""
    turn.note(promotion, "cancelled", event.asked() + says)
    for stage in pending:
        reason = f"cancelled by {event.asked()}"
        promotion = promotion.with_stage(replace(move(stage, Trigger.CANCELLED), ended=turn.now, reason=reason))
    for stage in running:
        ends_as = StageStatus.ROLLED_BACK if stage in moved else StageStatus.CANCELLED
        promotion = promotion.with_stage(turn_back(stage, ends_as, f"{ends_as.words} by {event.asked()}"))
    _hold(turn, promotion, moved, event)
    turn.put(promotion)


def roll_back(turn: Turn, promotion: Promotion, event: RolledBack) -> None:
    check_stage(promotion, event.stage)
    stage = _stage_to_roll_back(turn, promotion, event.stage)
    _check_can_go_back(turn, promotion, stage)
    _make_way(turn, promotion, stage, event)
    reason = f"rolled back by {event.asked()}"
    turn.note(promotion, "rolled-back", event.asked(), stage)
    trigger = Trigger.TURNED_BACK if stage.status is StageStatus.RUNNING else Trigger.ROLLED_BACK
    stage = turn_back(stage, StageStatus.ROLLED_BACK, reason, trigger)
    _hold(turn, promotion, [stage], event)
    turn.put(replace(promotion.with_stage(stage), status=PromotionStatus.RUNNING, reason=""))


def _stage_to_roll_back(turn: Turn, promotion: Promotion, name: str | None) -> StageRun:
    wanted = [stage for stage in promotion.stages if name in (None, stage.name)]
    running = [stage for stage in wanted if stage.status is StageStatus.RUNNING]
    serving = [stage for stage in wanted if turn.lane.serves(promotion, stage) and stage.status not in STAGE_OCCUPIED]
    half_undone = [stage for stage in wanted if _is_half_undone(turn.lane, stage, promotion)]
    if running or serving or half_undone:
        return (running or serving or half_undone)[-1]
    champions = turn.lane.champions
    others = {stage.name: champions[stage.name].candidate.version for stage in wanted if stage.name in champions}
    now = ", ".join(f"{stage} is served by version {version}" for stage, version in others.items())
    raise NotNowError(
        f"the promotion serves nothing that can be rolled back; it {promotion.status.told}{f'; {now}' if now else ''}"
    )


def _is_half_undone(lane: Lane, stage: StageRun, promotion: Promotion) -> bool:
    """Whether the stage was not undone completely, and no other promotion has served it since. If one has, its `retire`
    has cleaned up, and what served before must not return."""
    left = any(step.status is not StepStatus.SUCCEEDED for step in stage.undoing)
    champion, before = lane.champions.get(stage.name), stage.predecessor
    theirs = champion is not None and champion.promotion not in (promotion.id, before.promotion if before else None)
    return stage.status is StageStatus.FAILED and left and not theirs


def _check_can_go_back(turn: Turn, promotion: Promotion, stage: StageRun) -> None:
    if turn.lane.serves(promotion, stage) and stage.predecessor is None:
        raise NotNowError(f"nothing served {stage.name} before this promotion, so there is nothing to roll back to")
    for other in turn.lane.at_work():
        theirs = other.stage(stage.name)
        if other.id == promotion.id or theirs is None or not theirs.is_occupied:
            continue
        if not _only_waits_for_time(theirs):
            raise NotNowError(f"promotion {other.id} is in {stage.name}: cancel it first")


def _make_way(turn: Turn, promotion: Promotion, stage: StageRun, event: RolledBack) -> None:
    """Turn back who waits in the stage for a time, so that no such wait keeps a rollback waiting."""
    for other in list(turn.lane.under_way()):
        theirs = other.stage(stage.name)
        if other.id != promotion.id and theirs is not None and _only_waits_for_time(theirs):
            reason = f"{stage.name} was rolled back by {event.asked()}"
            turn.note(other, "gave-way", reason, theirs)
            turn.put(other, turn_back(theirs, StageStatus.QUEUED, reason))


def _only_waits_for_time(stage: StageRun) -> bool:
    """Whether the stage waits for its time, and nothing of its deployment has begun."""
    step = stage.current
    if step is None or stage.status is not StageStatus.RUNNING or step.not_before is None:
        return False
    return not any(each.plan.in_window and each.status is not StepStatus.WAITING for each in stage.steps)


def _has_moved_traffic(stage: StageRun) -> bool:
    begun = (step.plan for step in stage.steps if step.status is not StepStatus.WAITING)
    return any(plan.moves_traffic or plan.crowns for plan in begun)


def _hold(turn: Turn, promotion: Promotion, stages: Sequence[StageRun], event: Cancelled | RolledBack) -> None:
    hold = Hold(promotion.id, event.by.name, event.reason, turn.now)
    turn.lane = replace(turn.lane, holds={**turn.lane.holds, **{stage.name: hold for stage in stages}})


def turn_back(stage: StageRun, ends_as: StageStatus, reason: str, trigger: Trigger = Trigger.TURNED_BACK) -> StageRun:
    """The stage about to be undone: the undo of every step that was begun, last first."""
    begun = [step.plan for step in stage.steps if step.status is not StepStatus.WAITING]
    way: dict[str, StepRun] = {}
    for undo in (undo for plan in reversed(begun) for undo in undo_of(plan)):
        way.setdefault(undo.name, StepRun(undo))  # repeated steps share their undo: once is enough
    # Message ids of a second undo must differ from those of the first.
    attempt = stage.attempt + 1 if stage.undoing else stage.attempt
    return replace(
        move(stage, trigger),
        ends_as=ends_as,
        reason=reason,
        steps=tuple(map(_no_longer_waiting, stage.steps)),
        undoing=tuple(way.values()),
        attempt=attempt,
        abandoned="",
        kept_until=None,
        ended=None,
    )


def turn_back_by_itself(turn: Turn, promotion: Promotion, stage: StageRun, failure: Failed) -> StageRun:
    """The stage after a failure of what watches it: about to be rolled back. Without a predecessor it goes on serving,
    since nothing else could."""
    hold = Hold(promotion.id, ITSELF, failure.reason, turn.now)
    turn.lane = replace(turn.lane, holds={**turn.lane.holds, stage.name: hold})
    if stage.predecessor is None:
        turn.note(promotion, "held", f"nothing served before it, so it goes on serving: {failure.reason}", stage)
        return stage
    turn.note(promotion, "rolled-back", f"{ITSELF}: {failure.reason}", stage)
    return turn_back(stage, StageStatus.ROLLED_BACK, f"rolled back by {ITSELF}: {failure.reason}")


def _no_longer_waiting(step: StepRun) -> StepRun:
    """Stop a step that only waits, or whose poll changes nothing. Any other that a worker runs must still answer."""
    harmless = (step.plan.waits or step.only_reads) and step.status is StepStatus.RUNNING
    return replace(step, status=StepStatus.STOPPED, next_poll=None) if harmless else step


def abandon(turn: Turn, promotion: Promotion, event: Abandoned) -> None:
    check_stage(promotion, event.stage)
    undoing = [
        stage
        for stage in promotion.stages
        if event.stage in (None, stage.name) and stage.status is StageStatus.UNDOING and not stage.abandoned
    ]
    if not undoing:
        raise NotNowError(f"no stage of the promotion is being undone; it {promotion.status.told}")
    for stage in undoing:
        turn.note(promotion, "abandoned", event.asked(), stage)
        left = tuple(
            replace(step, status=StepStatus.STOPPED) if step.status is StepStatus.WAITING else step
            for step in stage.undoing
        )
        promotion = promotion.with_stage(replace(stage, undoing=left, abandoned=event.asked()))
    turn.put(promotion)


def check_stage(promotion: Promotion, name: str | None) -> None:
    """Raise `NotNowError` for a stage that the promotion does not have."""
    if name is not None and promotion.stage(name) is None:
        raise NotNowError(f"the promotion has no stage {name[:100]}; its stages are {names(promotion.stages)}")


def names(stages: Sequence[StageRun]) -> str:
    return ", ".join(stage.name for stage in stages)
