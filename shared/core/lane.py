"""What a lane does next. Pure: the same lane, event and time give the same decision.

- An event that is stale (of another look, of a promotion that has ended, seen before) changes nothing; what is due is
  sent again, and duplicate detection drops what was not lost. An effect that comes late is undone (`late.py`).
- What must be in flight is a function of the lane (`due`), so a process may die after saving and before sending.
- A stage is entered by one promotion of the lane at a time. Of those that queue for it only the newest goes on; what
  has entered is never superseded. Jobs that wait to have their output registered wait in order: none is dropped.
- A stage starts when the stages in its `after` have succeeded; when one of those did not, it is skipped.
- A stage walks its plan. When a step fails, the steps that were begun are undone in reverse order; a failing undo is
  noted and the walk goes on, so that no promotion can hang.
- The step that crowns makes the candidate the stage's champion. What comes after it only tidies up: its failure is
  noted and undoes nothing.
- Every step has a deadline. A look that could not be made is made again after a growing pause until then.
- An older version never overtakes a newer one by itself.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.core.journal import JournalEntry, Notes
from shared.core.late import late_steps
from shared.core.messages import (
    Candidate,
    Champion,
    Failed,
    FailureKind,
    Kind,
    LaneKey,
    Retry,
    Running,
    RunStep,
    StepReported,
    Succeeded,
)
from shared.core.plan import PlannedStep
from shared.core.precedence import newer_version, newest
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
from shared.core.transitions import Trigger, move

#: How long an answer may be overdue before the lane asks again: longer than a function ever works on one look.
GRACE = timedelta(minutes=5)
#: Pause after the first look that could not be made; doubled each time, up to the longest.
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=5)


@dataclass(frozen=True)
class PromotionRequested:
    """A candidate is to go along this lane. Made by `routing.py` from news, or from a person's request."""

    promotion: Promotion
    refusal: str = ""  #: why nothing is to happen: then it is recorded and ends at once
    automatic: bool = True

    @property
    def lane(self) -> LaneKey:
        return self.promotion.lane


@dataclass(frozen=True)
class TimePassed:
    """The reconciling timer found the lane overdue."""

    lane: LaneKey


LaneEvent = PromotionRequested | StepReported | TimePassed


@dataclass(frozen=True)
class Decision:
    """The lane as it is to be saved, and what to send once it is. `stale`: nothing changed, nothing is to be saved."""

    lane: Lane
    commands: tuple[RunStep, ...]
    journal: tuple[JournalEntry, ...] = ()
    stale: bool = False


def decide(lane: Lane, event: LaneEvent, now: datetime) -> Decision:
    """What the event makes of the lane. `lane` holds all promotions under way, and the one that the event names."""
    notes = Notes(now)
    if isinstance(event, PromotionRequested):
        after = _request(lane, event, now, notes)
    elif isinstance(event, StepReported):
        after = _report(lane, event, now, notes)
    else:
        after = _pass_time(lane, now, notes)
    if after is lane:
        late = late_steps(lane, event, now) if isinstance(event, StepReported) else ()
        return Decision(lane, (*due(lane), *(_command(*step) for step in late)), stale=True)
    after = _stamp(lane, _settle(after, now, notes), now)
    in_flight = {command.message_id for command in due(lane)}
    commands = tuple(command for command in due(after) if command.message_id not in in_flight)
    return Decision(after, commands, tuple(notes.entries))


def _stamp(before: Lane, after: Lane, now: datetime) -> Lane:
    """The lane with the time of change on each promotion that changed."""
    stamped = (kept if kept == before.promotion(kept.id) else replace(kept, updated=now) for kept in after.promotions)
    return replace(after, promotions=tuple(stamped))


def due(lane: Lane) -> tuple[RunStep, ...]:
    """Every command that must be in flight."""
    return tuple(
        _command(promotion, stage, step)
        for promotion in lane.under_way()
        for stage in promotion.stages
        if (step := stage.current) is not None and step.status is StepStatus.RUNNING
    )


def wake_at(lane: Lane) -> datetime | None:
    """When the reconciling timer should look at the lane if nothing came by then; None where nothing is in flight."""
    return min((command.not_before + GRACE for command in due(lane)), default=None)


# --- events -----------------------------------------------------------------------------------------------------------


def _request(lane: Lane, event: PromotionRequested, now: datetime, notes: Notes) -> Lane:
    promotion = event.promotion
    if lane.promotion(promotion.id) is not None:
        return lane
    notes.of(promotion, "requested", f"{_title(promotion.candidate)}, by {promotion.requested_by}")
    if event.refusal:
        return lane.with_promotion(_end(promotion, PromotionStatus.IGNORED, event.refusal, now, notes))
    newer = newer_version(lane, promotion.candidate) if event.automatic else None
    if newer:
        promotion = replace(
            promotion, stages=tuple(_end_stage(s, Trigger.NEWER_CAME, newer, now) for s in promotion.stages)
        )
    return lane.with_promotion(promotion)


def _report(lane: Lane, event: StepReported, now: datetime, notes: Notes) -> Lane:
    promotion = lane.promotion(event.promotion)
    stage = promotion.stage(event.stage) if promotion is not None and promotion.under_way else None
    step = stage.current if stage is not None else None
    if promotion is None or stage is None or step is None:
        return lane
    expected = (step.plan.name, stage.attempt, step.look, StepStatus.RUNNING)
    if (event.step, event.attempt, event.look, step.status) != expected:
        return lane
    step = replace(step, seconds=step.seconds + event.seconds)
    match event.outcome:
        case Succeeded():
            return _succeed(lane, promotion, stage, step, event.outcome, now, notes)
        case Failed():
            return _fail(lane, promotion, stage, step, event.outcome, now, notes)
        case Running() | Retry():
            return _look_again(lane, promotion, stage, step, event.outcome, now, notes)


def _pass_time(lane: Lane, now: datetime, notes: Notes) -> Lane:
    """Give up what is past its deadline; ask anew, with a new message id, where an answer is overdue."""
    after = lane
    for promotion in lane.under_way():
        for stage in promotion.stages:
            step = stage.current
            if step is None or step.next_look is None or step.deadline is None or now < step.next_look + GRACE:
                continue
            known = after.promotion(promotion.id) or promotion
            if now >= step.deadline:
                after = _fail(after, known, stage, step, _timeout(step), now, notes)
            else:
                asked = replace(step, look=step.look + 1, next_look=now, says="asked again: no answer had come")
                after = after.with_promotion(known.with_stage(stage.with_step(asked)))
    return after


# --- one step's answer ------------------------------------------------------------------------------------------------


def _succeed(
    lane: Lane, promotion: Promotion, stage: StageRun, step: StepRun, outcome: Succeeded, now: datetime, notes: Notes
) -> Lane:
    step = replace(step, status=StepStatus.SUCCEEDED, evidence=outcome.evidence, ended=now, next_look=None, says="")
    stage = stage.with_step(step)
    promotion = promotion.with_stage(stage)
    notes.of(promotion, "step-succeeded", "done", stage, step)
    if step.plan.crowns and stage.status is StageStatus.RUNNING:
        champion = Champion(promotion.id, promotion.candidate, now, promotion.evidence_for(stage))
        lane = replace(lane, champions={**lane.champions, stage.name: champion})
        notes.of(promotion, "crowned", f"version {promotion.candidate.version} serves {stage.endpoint}", stage)
    return lane.with_promotion(promotion)


def _fail(
    lane: Lane, promotion: Promotion, stage: StageRun, step: StepRun, outcome: Failed, now: datetime, notes: Notes
) -> Lane:
    step = replace(
        step,
        status=StepStatus.FAILED,
        failure=outcome,
        evidence=outcome.evidence,
        ended=now,
        next_look=None,
        says=outcome.reason,
    )
    stage = stage.with_step(step)
    notes.of(promotion, "step-failed", f"{outcome.kind}: {outcome.reason}", stage, step)
    if stage.status is StageStatus.RUNNING and not step.plan.tidies:
        stage = move(replace(stage, reason=outcome.reason, undoing=_way_back(stage)), Trigger.STEP_FAILED)
    return lane.with_promotion(promotion.with_stage(stage))


def _look_again(
    lane: Lane,
    promotion: Promotion,
    stage: StageRun,
    step: StepRun,
    outcome: Running | Retry,
    now: datetime,
    notes: Notes,
) -> Lane:
    deadline = step.deadline or now
    says = outcome.says if isinstance(outcome, Running) else outcome.reason
    if now >= deadline:
        return _fail(lane, promotion, stage, step, _timeout(replace(step, says=says)), now, notes)
    if isinstance(outcome, Running):
        retries, pause = 0, outcome.look_again_after
    else:
        retries = step.retries + 1
        pause = max(outcome.after, min(FIRST_PAUSE * 2 ** min(step.retries, 10), LONGEST_PAUSE))
    if says != step.says:
        notes.of(promotion, "looked" if isinstance(outcome, Running) else "retrying", says, stage, step)
    step = replace(step, look=step.look + 1, retries=retries, next_look=min(now + pause, deadline), says=says)
    return lane.with_promotion(promotion.with_stage(stage.with_step(step)))


def _timeout(step: StepRun) -> Failed:
    seen = f"; last seen: {step.says}" if step.says else ""
    text = f"{step.plan.name} was not done within {step.plan.limit}{seen}. Raise its time limit or look for the cause."
    return Failed(text, FailureKind.TIMEOUT)


def _way_back(stage: StageRun) -> tuple[StepRun, ...]:
    """The undo of every step that was begun, last first."""
    begun = [step.plan for step in stage.steps if step.status is not StepStatus.WAITING and step.plan.undo]
    return tuple(
        StepRun(PlannedStep(plan.undo or "", environment=plan.environment, limit=plan.undo_limit))
        for plan in reversed(begun)
    )


# --- what follows by itself -------------------------------------------------------------------------------------------


def _settle(lane: Lane, now: datetime, notes: Notes) -> Lane:
    """Apply the rules until nothing changes. Bounded: each round moves a stage forward in its table."""
    while True:
        before = lane
        lane = _supersede(lane, now, notes)
        for promotion in list(lane.under_way()):
            for stage in promotion.stages:
                known = lane.promotion(promotion.id) or promotion
                lane = lane.with_promotion(known.with_stage(_settle_stage(lane, known, stage, now, notes)))
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
    if step.status is StepStatus.WAITING:
        begun = replace(
            step, status=StepStatus.RUNNING, look=1, started=now, next_look=now, deadline=now + step.plan.limit
        )
        return stage.with_step(begun)
    return stage


def _leave_waiting(promotion: Promotion, stage: StageRun, now: datetime) -> StageRun:
    before = [other for name in stage.after if (other := promotion.stage(name)) is not None]
    failed = [other.name for other in before if other.status in STAGE_ENDED - {StageStatus.SUCCEEDED}]
    if failed:
        return _end_stage(stage, Trigger.BEFORE_ENDED, f"{failed[0]} did not succeed", now)
    if all(other.status is StageStatus.SUCCEEDED for other in before):
        return move(stage, Trigger.BEFORE_DONE)
    return stage


def _enter(lane: Lane, promotion: Promotion, stage: StageRun, now: datetime, notes: Notes) -> StageRun:
    for other in lane.under_way():
        theirs = other.stage(stage.name)
        same_queue = other.id != promotion.id and other.candidate.kind is promotion.candidate.kind
        if theirs is not None and same_queue and theirs.status in STAGE_OCCUPIED:
            return stage
    notes.of(promotion, "stage-started", f"in {stage.environment}", stage)
    champion = lane.champions.get(stage.name)
    return move(replace(stage, started=now, predecessor=champion), Trigger.ENTERED)


def _leave(promotion: Promotion, stage: StageRun, now: datetime, notes: Notes) -> StageRun:
    if stage.status is StageStatus.RUNNING:
        left_over = [f"{step.plan.name}: {step.failure.reason}" for step in stage.steps if step.failure is not None]
        notes.of(promotion, "stage-succeeded", "; ".join(left_over) or "done", stage)
        return _end_stage(stage, Trigger.PLAN_DONE, "; ".join(left_over), now)
    broken = [f"{step.plan.name}: {step.failure.reason}" for step in stage.undoing if step.failure is not None]
    reason = " ".join([stage.reason, *(f"(undoing failed too: {text})" for text in broken)])
    refused = any(step.failure and step.failure.kind is FailureKind.REFUSED for step in stage.steps)
    notes.of(promotion, "stage-refused" if refused else "stage-failed", reason, stage)
    return _end_stage(stage, Trigger.UNDONE_REFUSAL if refused else Trigger.UNDONE, reason, now)


def _end_stage(stage: StageRun, trigger: Trigger, reason: str, now: datetime) -> StageRun:
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
            notes.of(promotion, "stage-superseded", reason, stage)
            ended = promotion.with_stage(_end_stage(stage, Trigger.NEWER_CAME, reason, now))
            lane, promotion = lane.with_promotion(ended), ended
    return lane


def _queues_for(promotion: Promotion, stage: str) -> bool:
    theirs = promotion.stage(stage)
    return theirs is not None and theirs.status is StageStatus.QUEUED and promotion.candidate.kind is not Kind.JOB


def _settle_promotion(promotion: Promotion, now: datetime, notes: Notes) -> Promotion:
    statuses = {stage.status for stage in promotion.stages}
    if statuses <= STAGE_ENDED and promotion.under_way:
        status, reason = _ending(promotion)
        return _end(promotion, status, reason, now, notes)
    if promotion.status is PromotionStatus.QUEUED and statuses & STAGE_OCCUPIED:
        return replace(promotion, status=PromotionStatus.RUNNING, updated=now)
    return promotion


#: What a promotion ends as: the first of these that one of its stages ended as.
_ENDINGS = (
    (StageStatus.FAILED, PromotionStatus.FAILED),
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


def _end(promotion: Promotion, status: PromotionStatus, reason: str, now: datetime, notes: Notes) -> Promotion:
    notes.of(promotion, status, reason or "done")
    return replace(promotion, status=status, reason=reason, updated=now)


# --- commands ---------------------------------------------------------------------------------------------------------


def _command(promotion: Promotion, stage: StageRun, step: StepRun) -> RunStep:
    begun = step.started or promotion.created
    return RunStep(
        lane=promotion.lane,
        promotion=promotion.id,
        stage=stage.name,
        step=step.plan.name,
        environment=step.plan.environment,
        attempt=stage.attempt,
        look=step.look,
        not_before=step.next_look or begun,
        started=begun,
        deadline=step.deadline or begun,
        candidate=promotion.candidate,
        settings=stage.settings,
        evidence=promotion.evidence_for(stage),
        champion=stage.predecessor,
    )


def _title(candidate: Candidate) -> str:
    what = "the output of job" if candidate.kind is Kind.JOB else "version"
    return f"{candidate.name}, {what} {candidate.version} from {candidate.environment or candidate.workspace}"
