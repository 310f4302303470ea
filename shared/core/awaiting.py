"""Waiting for a job, which may take days. Part of the rules in `lane.py`.

- A step that waits for a job is polled less and less often, and immediately when an event reports the job's end. The
  event may arrive before the answer of the poll that submitted the job. Then the step is polled immediately after that
  answer.
- While it is somebody else's job, the step's own time limit does not apply: the wait has a longer one. Afterwards the
  step gets its full limit again.
- A newer candidate of the lane need not wait for somebody else's job: a promotion that waits for one lets it pass.
- A job that the step started itself must end within the step's own limit, because a queue without quota never moves.
  After that the step has failed, and its undo cancels the job. While such a step waits for its job, its polls only
  read.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from shared.core.durations import in_words
from shared.core.events import AwaitedJobEnded
from shared.core.messages import AwaitedJob, Failed, FailureKind
from shared.core.promotion import Lane, Promotion, StageRun, StepRun
from shared.core.replacing import replace
from shared.core.turn import Turn

#: How long a step waits for a job, counted from the step's start.
LONGEST_WAIT = timedelta(days=30)


def awaited(lane: Lane) -> frozenset[AwaitedJob]:
    """The jobs that wake the lane when they end."""
    return frozenset(step.awaits for _, _, step in awaiting(lane) if step.awaits is not None)


#: Tag of everything that this app creates or submits: the promotion that it belongs to.
PROMOTION = "mlpromote.promotion"


def awaits(step: StepRun, job: AwaitedJob | None, now: datetime) -> StepRun:
    """The step with its new deadline: waiting for the job from now on, or no longer waiting for one."""
    before = step.awaits
    if job is not None and not job.is_ours:
        return replace(step, awaits=job, deadline=(step.started or now) + LONGEST_WAIT)
    if before is not None and not before.is_ours:
        step = replace(step, deadline=now + step.plan.limit)
    return replace(step, awaits=job)


def waits_for_others(step: StepRun) -> bool:
    """Whether it waits for a job that it did not start."""
    return step.awaits is not None and not step.awaits.is_ours


def not_ended(step: StepRun, job: AwaitedJob) -> Failed:
    """The failure of a step whose job takes too long."""
    return Failed(
        f"Job {job.job} did not end within {in_words(LONGEST_WAIT)}. Cancel it, or start a new promotion once it has "
        "ended.",
        FailureKind.TIMEOUT,
    )


def wake(turn: Turn, event: AwaitedJobEnded) -> None:
    """Poll the steps that wait for the job now, under a new message id."""
    _hear(turn, event)
    for known, stage, step in list(awaiting(turn.lane)):
        if not event.job.is_same(step.awaits):
            continue
        promotion = turn.latest(known)
        turn.note(promotion, "job-ended", f"job {event.job.job} has ended; {step.plan.name} is polled now", stage, step)
        # Azure may still report the job as running: then the pauses grow from the shortest again.
        state = {} if waits_for_others(step) else step.state
        asked = replace(awaits(step, None, turn.now), poll=step.poll + 1, retries=0, next_poll=turn.now, state=state)
        # The planned poll still comes. If the step has started its own job already, that poll only reads.
        left = stage.left_unanswered(step) if waits_for_others(step) else stage
        turn.put(promotion, left.with_step(asked))


def _hear(turn: Turn, event: AwaitedJobEnded) -> None:
    """Keep the event for the steps of the job's promotion, since the poll under way may have submitted the job."""
    promotion = turn.lane.promotion(event.promotion)
    for stage in promotion.stages if promotion is not None and promotion.under_way else ():
        step = stage.current
        if promotion is None or step is None or step.plan.waits or step.awaits or stage.has_called_off(step):
            continue
        promotion = turn.put(promotion, stage.with_step(replace(step, heard=event.job)))


def has_ended(step: StepRun, job: AwaitedJob | None) -> bool:
    """Return whether the job's end was reported before the step said that it waits for the job."""
    return job is not None and job.is_same(step.heard)


def awaiting(lane: Lane) -> Iterator[tuple[Promotion, StageRun, StepRun]]:
    """The steps that wait for a job."""
    for promotion in lane.under_way():
        for stage in promotion.stages:
            step = stage.current
            if step is not None and step.awaits is not None and not stage.has_called_off(step):
                yield promotion, stage, step
