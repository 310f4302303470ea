"""Retrying, replaying, and releasing a hold. Part of the rules in `lane.py`.

- A failed promotion is retried from the step that failed or the first step that was undone, but no later than the step
  that reviews what will be deployed. Approvals count again if the review produces the same evidence. A superseded
  promotion is not retried. One that is under way is polled at once instead of after its pause.
- A retry uses the files of the newest bundle. If they differ, people are asked for approval again. If they differ, or
  may differ, it starts no later than the first step that works from them.
"""

from datetime import datetime

from shared.core.events import Discarded, NotNowError, Released, Renewed, Replayed, Retried
from shared.core.going_back import names
from shared.core.precedence import newer_version
from shared.core.promotion import Lane, Promotion, PromotionStatus, StageRun, StageStatus, StepRun, StepStatus
from shared.core.replacing import replace
from shared.core.transitions import Trigger, move
from shared.core.turn import Turn

#: Digits of a digest, and names of files, that the journal shows.
_SHOWN = 12
#: Stages that a retry begins again.
_AGAIN = frozenset({StageStatus.FAILED, StageStatus.REFUSED})
_NAMED = 5


def retry(turn: Turn, promotion: Promotion, event: Retried) -> None:
    if promotion.under_way and event.from_step is None and not event.only_failed:
        _hurry(turn, promotion, event)
        return
    why_not = why_not_retried(turn.lane, promotion, event.only_failed)
    if why_not:
        raise NotNowError(why_not)
    failed = [stage for stage in promotion.stages if stage.status in _AGAIN]
    renewed = event.renewed
    turn.note(promotion, "retried", f"{event.asked()}; from {names(failed)}{_with_files(promotion, renewed)}")
    if renewed is not None:
        promotion = replace(promotion, bundle=renewed.bundle)
    keeps_approvals = renewed is None or not renewed.changed
    # Without a bundle, the files are the app's own folder, which whoever deploys the app may have changed.
    reads_again = not keeps_approvals or not promotion.bundle
    for stage in promotion.stages:
        if stage in failed:
            promotion = promotion.with_stage(
                once_more(stage, Trigger.RETRIED, turn.now, event.from_step, keeps_approvals, reads_again)
            )
        elif stage.status is StageStatus.SKIPPED:
            promotion = promotion.with_stage(replace(move(stage, Trigger.RETRIED), ended=None, reason=""))
    turn.put(replace(promotion, status=PromotionStatus.QUEUED, reason=""))


def _with_files(promotion: Promotion, renewed: Renewed | None) -> str:
    """What the journal says of the files."""
    if renewed is None:
        return ""
    before = f" instead of {promotion.bundle[:_SHOWN]}" if promotion.bundle else ""
    files = f"; with the files of bundle {renewed.bundle[:_SHOWN]}{before}"
    if not renewed.changed:
        return f"{files}, which are the same for this promotion"
    named = ", ".join(renewed.changed[:_NAMED])
    more = len(renewed.changed) - _NAMED
    listed = f"{named} and {more} more" if more > 0 else named
    return f"{files}: {listed} changed, so earlier approvals no longer count"


def _hurry(turn: Turn, promotion: Promotion, event: Retried) -> None:
    """Poll the steps that wait for their next poll now, under a new message id."""
    pausing = [
        (stage, step)
        for stage in promotion.stages
        if (step := stage.current) is not None and step.next_poll is not None and not stage.has_called_off(step)
    ]
    if not pausing:
        raise NotNowError(f"the promotion has no step that waits for its next poll; it {promotion.status.told}")
    for stage, step in pausing:
        turn.note(promotion, "retried", f"{event.asked()}; {step.plan.name} is polled now", stage, step)
        asked = replace(step, poll=step.poll + 1, retries=0, next_poll=turn.now)
        promotion = promotion.with_stage(stage.left_unanswered(step).with_step(asked))
    turn.put(promotion)


def why_not_retried(lane: Lane, promotion: Promotion, only_failed: bool = True) -> str | None:
    """Why a promotion cannot be retried; None if it can. A gate's no is retried only if somebody asks for just that:
    `only_failed` is for whoever retries many at once."""
    if promotion.status is PromotionStatus.REFUSED and only_failed:
        return "a gate refused the promotion, and nothing is broken; once that has changed, retry it by itself"
    if promotion.status not in (PromotionStatus.FAILED, PromotionStatus.REFUSED):
        fresh = "" if promotion.under_way else "; start a new promotion instead"
        return f"only a failed or refused promotion can be retried; it {promotion.status.told}{fresh}"
    newer = newer_version(lane, promotion.candidate)
    if newer:
        return f"the promotion is superseded: {newer}"
    if not any(stage.status in _AGAIN for stage in promotion.stages):
        return f"no stage of the promotion failed, but what it serves had a breach: {promotion.reason}"
    for stage in promotion.stages:
        if stage.status not in _AGAIN:
            continue
        if lane.serves(promotion, stage):
            return f"the promotion serves {stage.name}; roll it back again, or leave it"
        before, champion = stage.predecessor, lane.champions.get(stage.name)
        if stage.started and champion and champion.promotion != (before.promotion if before else None):
            return f"the promotion is superseded: version {champion.candidate.version} now serves {stage.name}"
    return None


def once_more(
    stage: StageRun,
    trigger: Trigger,
    now: datetime,
    from_step: str | None = None,
    keeps_approvals: bool = True,
    reads_again: bool = False,
) -> StageRun:
    """The stage in its queue, with its steps waiting again, from the first that failed, was undone or reviews, or from
    an earlier one. `reads_again`: what steps made from files of the configuration may be out of date."""
    known = [step.plan.name for step in stage.steps]
    undone = [
        index for index, step in enumerate(stage.steps) if step.plan.undo and step.status is not StepStatus.WAITING
    ]
    failed = [index for index, step in enumerate(stage.steps) if step.status in (StepStatus.FAILED, StepStatus.STOPPED)]
    reviews = [
        index for index, step in enumerate(stage.steps) if step.plan.reviews or (reads_again and step.plan.reads)
    ]
    start = min([*undone, *failed, *reviews], default=0)
    if from_step is not None:
        if from_step not in known[: start + 1]:
            raise NotNowError(f"{stage.name} can resume from {', '.join(known[: start + 1])}, not from {from_step}")
        start = known.index(from_step)
    steps = tuple(step if index < start else _fresh(step, keeps_approvals) for index, step in enumerate(stage.steps))
    return replace(
        move(stage, trigger),
        steps=steps,
        undoing=(),
        attempt=stage.attempt + 1,
        ends_as=StageStatus.FAILED,
        predecessor=None,
        abandoned="",
        held=None,
        queued=now,
        started=None,
        ended=None,
        reason="",
    )


def _fresh(step: StepRun, keeps_approvals: bool) -> StepRun:
    """The step before its first poll. Approvals that it keeps count again for the same evidence."""
    return StepRun(step.plan, evidence=step.evidence if step.plan.asks_people and keeps_approvals else {})


def replay(turn: Turn, promotion: Promotion, event: Replayed) -> None:
    """Note the replay; the messages themselves follow."""
    turn.note(promotion, "replayed", f"{event.asked()}; {event.what}")


def discard(turn: Turn, promotion: Promotion, event: Discarded) -> None:
    """Note it; nothing else happens."""
    turn.note(promotion, "discarded", f"{event.asked()}; {event.what}")


def release(turn: Turn, event: Released) -> None:
    holds = turn.lane.holds
    hold = holds.get(event.stage)
    if hold is None:
        raise NotNowError(f"there is no hold on {event.stage}")
    promotion = turn.lane.promotion(hold.promotion)
    if promotion is not None:
        turn.note(promotion, "released", event.asked(), promotion.stage(event.stage))
    turn.lane = replace(turn.lane, holds={stage: kept for stage, kept in holds.items() if stage != event.stage})
