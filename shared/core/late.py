"""Undoes late effects: a worker ran a step once more after the lane had undone it or replaced its candidate.

A command acts only in its first delivery and never after `not_after`. So this takes a process that stalled between the
check and the change. The effect, a deployment that nobody expects, is undone again. This needs no state: the late
report starts the undo, and each answer continues it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.core.messages import FIRST_LATE_POLL, NotRun, Retry, Running, StepReported
from shared.core.plan import PlannedStep, undo_of
from shared.core.promotion import STAGE_ENDED, Lane, Promotion, StageRun, StageStatus, StepRun, StepStatus
from shared.core.replacing import replace

MOST_LATE_POLLS = 200
PAUSE = timedelta(seconds=30)


def late_steps(lane: Lane, report: StepReported, now: datetime) -> Sequence[tuple[Promotion, StageRun, StepRun]]:
    """The undo to run for a stale report; none if its effect is wanted, or will be undone anyway."""
    promotion = lane.promotion(report.promotion)
    stage = promotion.stage(report.stage) if promotion is not None else None
    if promotion is None or stage is None:
        return ()
    step = None
    if report.poll >= FIRST_LATE_POLL:
        step = _poll_again(stage, report, now)
    elif not _changed_nothing(report) and _is_unwanted(lane, promotion, stage, report.step):
        plan = next(step.plan for step in stage.steps if step.plan.name == report.step)
        step = _undo(undo_of(plan)[-1], FIRST_LATE_POLL + report.poll, now, now)
    if step is None:
        return ()
    # Traffic must return to what serves the stage now, not to what served it when this promotion entered.
    return ((promotion, replace(stage, predecessor=lane.champions.get(stage.name)), step),)


def _changed_nothing(report: StepReported) -> bool:
    """Whether the poll is known to have changed nothing. What only reads from now on has only read this time, too."""
    outcome = report.outcome
    return isinstance(outcome, NotRun) or (isinstance(outcome, Running) and outcome.only_reads)


def _is_unwanted(lane: Lane, promotion: Promotion, stage: StageRun, name: str) -> bool:
    plan = next((step.plan for step in stage.steps if step.plan.name == name), None)
    if plan is None or not plan.undo:
        return False
    if stage.status is StageStatus.UNDOING:
        undo = next((step for step in stage.undoing if step.plan.name == plan.undo[-1]), None)
        return undo is not None and undo.status is not StepStatus.WAITING
    return stage.status in STAGE_ENDED and not lane.serves(promotion, stage)


def _poll_again(stage: StageRun, report: StepReported, now: datetime) -> StepRun | None:
    if not isinstance(report.outcome, Running | Retry | NotRun) or report.poll >= FIRST_LATE_POLL + MOST_LATE_POLLS:
        return None
    # Steps may share an undo: the last one's undoes the effects of all.
    plans = (undo for step in reversed(stage.steps) for undo in undo_of(step.plan))
    plan = next((plan for plan in plans if plan.name == report.step), None)
    return _undo(plan, report.poll + 1, now, now + PAUSE) if plan is not None else None


def _undo(plan: PlannedStep, poll: int, now: datetime, at: datetime) -> StepRun:
    return StepRun(plan, StepStatus.RUNNING, poll, started=now, next_poll=at, deadline=at + plan.limit)
