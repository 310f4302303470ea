"""What a lane does next. Pure: the same lane, event and time give the same decision.

- A report counts only from the environment whose worker was asked. Anybody else's changes nothing and asks for nothing.
- An event that is stale (of another poll, of a promotion that has ended, seen before) changes nothing; what is due is
  sent again, and duplicate detection drops what was not lost. An effect that comes late is undone (`late.py`).
- What must be in flight is a function of the lane (`due`), so a process may die after saving and before sending.
- A stage is entered by one promotion of the lane at a time. Of those that queue for it only the newest goes on; what
  has entered is never superseded. Jobs that wait to have their output registered wait in order: none is dropped.
- A stage starts when the stages in its `after` have succeeded; when one of those did not, or was rolled back while it
  queued, it is skipped.
- A stage walks its plan. When a step fails, the steps that were begun are undone in reverse order; a failing undo is
  noted and the walk goes on, so that no promotion can hang.
- Nothing is undone while what it undoes may still act. A stage that is turned back waits for the answer of the step
  that is under way, or until its command is known never to act (`GRACE`). That step is not asked again.
- The step that crowns makes the candidate the stage's champion. What comes after it only tidies up: its failure is
  noted and undoes nothing.
- Every step has a deadline, and so has every wait. A poll that could not be made is made again after a growing pause
  until then.
- A stage with a hold lets nobody in until a person releases it. What people may ask for stands in `people.py`.
- An older version never overtakes a newer one by itself.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.core import people
from shared.core.approval import Approval
from shared.core.durations import in_words
from shared.core.journal import JournalEntry, Notes
from shared.core.late import late_steps
from shared.core.messages import (
    GRACE,
    MAY_ACT_FOR,
    Candidate,
    Champion,
    Failed,
    FailureKind,
    Kind,
    LaneKey,
    NotRun,
    Retry,
    Running,
    RunStep,
    StepReported,
    Succeeded,
)
from shared.core.people import PersonEvent
from shared.core.precedence import newer_version
from shared.core.promotion import (
    Lane,
    Promotion,
    PromotionStatus,
    StageRun,
    StageStatus,
    StepRun,
    StepStatus,
)
from shared.core.settling import end, end_stage, settle
from shared.core.transitions import Trigger

#: Pause after the first poll that could not be made; doubled each time, up to the longest.
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=5)
#: Whoever made a change publishes it at once; after this, the timer does.
TELL_AFTER = timedelta(minutes=1)
#: How long a stage waits for its turn: for another promotion to leave, or for a hold to be released.
LONGEST_QUEUE = timedelta(days=30)


@dataclass(frozen=True)
class PromotionRequested:
    """A candidate is to go along this lane. Made by `routing.py` from news, or from a person's request."""

    promotion: Promotion
    refusal: str = ""  #: why nothing is to happen: then it is recorded and ends at once
    automatic: bool = True
    reason: str = ""  #: why a person wants it

    @property
    def lane(self) -> LaneKey:
        return self.promotion.lane


@dataclass(frozen=True)
class TimePassed:
    """The reconciling timer found the lane overdue."""

    lane: LaneKey


LaneEvent = PromotionRequested | StepReported | TimePassed | PersonEvent


@dataclass(frozen=True)
class Decision:
    """The lane as it is to be saved, and what to send once it is. `stale`: nothing changed, nothing is to be saved.
    `disbelieved`: why the event does not count at all; empty where it does.

    Raises `NotNowError` or `NotAllowedError` for what a person may not ask for; then nothing changed either.
    """

    lane: Lane
    commands: tuple[RunStep, ...]
    journal: tuple[JournalEntry, ...] = ()
    stale: bool = False
    disbelieved: str = ""


def decide(lane: Lane, event: LaneEvent, now: datetime) -> Decision:
    """What the event makes of the lane. `lane` holds all promotions under way, and the one that the event names."""
    if isinstance(event, StepReported) and (why := why_not_believed(lane, event)):
        return Decision(lane, (), stale=True, disbelieved=why)
    notes = Notes(now, _who(event))
    if isinstance(event, PromotionRequested):
        after = _request(lane, event, now, notes)
    elif isinstance(event, StepReported):
        after = _report(lane, event, now, notes)
    elif isinstance(event, TimePassed):
        after = _pass_time(lane, now, notes)
    else:
        after = people.apply(lane, event, now, notes)
    ignored = after is lane
    after = settle(after, now, notes)
    if after == lane and not notes.entries:
        late = late_steps(lane, event, now) if ignored and isinstance(event, StepReported) else ()
        return Decision(lane, (*due(lane), *(_command(*step) for step in late)), stale=True)
    after = _stamp(lane, after, notes)
    in_flight = {command.message_id for command in due(lane)}
    commands = tuple(command for command in due(after) if command.message_id not in in_flight)
    return Decision(after, commands, tuple(notes.entries))


def _who(event: LaneEvent) -> str:
    if isinstance(event, PromotionRequested):
        return event.promotion.requested_by
    return "" if isinstance(event, StepReported | TimePassed) else event.by.name


def _stamp(before: Lane, after: Lane, notes: Notes) -> Lane:
    """The lane with the time of change, and the length of its journal, on each promotion that changed."""

    def stamped(promotion: Promotion) -> Promotion:
        written = sum(entry.promotion == promotion.id for entry in notes.entries)
        if promotion == before.promotion(promotion.id) and not written:
            return promotion
        return replace(promotion, updated=notes.now, lines=promotion.lines + written)

    return replace(after, promotions=tuple(map(stamped, after.promotions)))


def due(lane: Lane) -> tuple[RunStep, ...]:
    """Every command that must be in flight."""
    return tuple(
        _command(promotion, stage, step)
        for promotion in lane.under_way()
        for stage in promotion.stages
        if (step := stage.current) is not None and step.status is StepStatus.RUNNING and not step.plan.waits
    )


def wake_at(lane: Lane) -> datetime | None:
    """When the reconciling timer should look at the lane if nothing came by then; None where it waits for nothing."""
    answers = [command.not_before + GRACE for command in due(lane)]
    waits = [until for promotion in lane.under_way() for stage in promotion.stages if (until := _waits_until(stage))]
    unpublished = [lane.unpublished.since + TELL_AFTER] if lane.unpublished is not None else []
    held = [
        until for promotion in lane.under_way() for stage in promotion.stages if (until := _held_until(lane, stage))
    ]
    return min([*answers, *waits, *held, *unpublished], default=None)


def _held_until(lane: Lane, stage: StageRun) -> datetime | None:
    """When a stage can go on that waits for a command which was never answered."""
    if stage.status is StageStatus.QUEUED:
        return max(filter(None, (stage.unanswered_until, lane.closed_until.get(stage.name))), default=None)
    step = stage.current
    return stage.unanswered_until if step is not None and step.status is StepStatus.WAITING else None


def _waits_until(stage: StageRun) -> datetime | None:
    """When a stage that waits for people, or for its turn, is given up."""
    if stage.status is StageStatus.QUEUED and stage.queued:
        return stage.queued + LONGEST_QUEUE
    step = stage.current
    return step.deadline if step is not None and step.plan.waits else None


# --- events -----------------------------------------------------------------------------------------------------------


def _request(lane: Lane, event: PromotionRequested, now: datetime, notes: Notes) -> Lane:
    promotion = event.promotion
    if lane.promotion(promotion.id) is not None:
        return lane
    why = f": {event.reason}" if event.reason else ""
    notes.add(promotion, "requested", f"{_title(promotion.candidate)}, by {promotion.requested_by}{why}")
    if event.refusal:
        return lane.with_promotion(end(promotion, PromotionStatus.IGNORED, event.refusal, now, notes))
    newer = newer_version(lane, promotion.candidate) if event.automatic else None
    if newer:
        promotion = replace(
            promotion, stages=tuple(end_stage(s, Trigger.NEWER_CAME, newer, now) for s in promotion.stages)
        )
    return lane.with_promotion(promotion)


def why_not_believed(lane: Lane, report: StepReported) -> str:
    """Why the report does not count, whatever it says; empty for one from the environment whose worker was asked."""
    promotion = lane.promotion(report.promotion)
    stage = promotion.stage(report.stage) if promotion is not None else None
    asked = stage.environment_of(report.step) if stage is not None else None
    if asked in (None, report.environment):
        return ""
    return f"{report.step} in {report.stage} is a step of {asked}, and the report came from {report.environment}"


def _report(lane: Lane, event: StepReported, now: datetime, notes: Notes) -> Lane:
    promotion = lane.promotion(event.promotion)
    stage = promotion.stage(event.stage) if promotion is not None else None
    step = _reported(stage, event) if stage is not None else None
    if promotion is None or stage is None or step is None:
        return lane
    step = replace(step, seconds=step.seconds + event.seconds)
    if isinstance(event.outcome, NotRun):
        stage = stage.left_unanswered(step)
    match event.outcome:
        case Succeeded():
            return _succeed(lane, promotion, stage, step, event.outcome, now, notes)
        case Failed():
            return _fail(lane, promotion, stage, step, event.outcome, now, notes)
        case Running() | Retry() | NotRun():
            if stage.has_called_off(step):
                return _stop(lane, promotion, stage, step, now, notes)
            return _poll_again(lane, promotion, stage, step, event.outcome, now, notes)


def _reported(stage: StageRun, event: StepReported) -> StepRun | None:
    """The step that the report is about, if anybody still waits for it."""
    for step in (*stage.steps, *stage.undoing):
        if (step.plan.name, stage.attempt, step.poll) != (event.step, event.attempt, event.poll):
            continue
        # An undo that was given up and succeeds after all is believed: who serves the stage depends on it.
        given_up = step.failure is not None and step.failure.kind is FailureKind.TIMEOUT
        if step is stage.current or (step in stage.undoing and given_up and isinstance(event.outcome, Succeeded)):
            return step if not step.plan.waits else None
    return None


def _pass_time(lane: Lane, now: datetime, notes: Notes) -> Lane:
    """Give up what is past its deadline; ask anew, with a new message id, where an answer is overdue."""
    after = lane
    for promotion in lane.under_way():
        for stage in promotion.stages:
            until = _waits_until(stage)
            if until is not None and now >= until:
                after = _give_up(after, after.promotion(promotion.id) or promotion, stage, now, notes)
            step = stage.current
            if step is None or step.next_poll is None or step.deadline is None or now < step.next_poll + GRACE:
                continue
            known = after.promotion(promotion.id) or promotion
            if stage.has_called_off(step):
                after = _stop(after, known, stage, step, now, notes)
            elif now >= step.deadline + GRACE:
                after = _fail(after, known, stage, step, _timeout(step), now, notes)
            else:
                asked = replace(step, poll=step.poll + 1, next_poll=now, says="asked again: no answer had come")
                after = after.with_promotion(known.with_stage(stage.with_step(asked)))
    return after


def _give_up(lane: Lane, promotion: Promotion, stage: StageRun, now: datetime, notes: Notes) -> Lane:
    step = stage.current
    if step is None:
        reason = f"its turn did not come within {in_words(LONGEST_QUEUE)}"
        notes.add(promotion, "stage-failed", reason, stage)
        ended = end_stage(stage, Trigger.WAITED_TOO_LONG, reason, now)
        return lane.with_promotion(promotion.with_stage(ended))
    given = len(step.evidence.get("given", ()))
    who = f"only {given} of {Approval.of(promotion, stage).least} approved" if given else "nobody decided"
    late = Failed(f"{who} within {in_words(step.plan.limit)}: start a new promotion", FailureKind.REJECTED)
    return _fail(lane, promotion, stage, step, late, now, notes)


# --- one step's answer ------------------------------------------------------------------------------------------------


def _succeed(
    lane: Lane, promotion: Promotion, stage: StageRun, step: StepRun, outcome: Succeeded, now: datetime, notes: Notes
) -> Lane:
    step = replace(
        step,
        status=StepStatus.SUCCEEDED,
        failure=None,
        evidence=outcome.evidence,
        ended=now,
        next_poll=None,
        says="",
    )
    stage = stage.with_step(step)
    promotion = promotion.with_stage(stage)
    notes.add(promotion, "step-succeeded", "done", stage, step)
    if step.plan.crowns and stage.status is StageStatus.RUNNING:
        champion = Champion(promotion.id, promotion.candidate, now, promotion.evidence_for(stage))
        lane = replace(lane, champions={**lane.champions, stage.name: champion})
        notes.add(promotion, "crowned", f"version {promotion.candidate.version} serves {stage.endpoint}", stage)
    if step.plan.uncrowns:
        lane = _uncrown(lane, promotion, stage, notes)
    return lane.with_promotion(promotion)


def _uncrown(lane: Lane, promotion: Promotion, stage: StageRun, notes: Notes) -> Lane:
    if not lane.serves(promotion, stage):
        return lane
    others = {name: kept for name, kept in lane.champions.items() if name != stage.name}
    if stage.predecessor is None:
        return replace(lane, champions=others)
    notes.add(promotion, "crowned", f"version {stage.predecessor.candidate.version} serves again", stage)
    return replace(lane, champions={**others, stage.name: stage.predecessor})


def _fail(
    lane: Lane, promotion: Promotion, stage: StageRun, step: StepRun, outcome: Failed, now: datetime, notes: Notes
) -> Lane:
    step = replace(
        step,
        status=StepStatus.FAILED,
        failure=outcome,
        evidence=outcome.evidence,
        ended=now,
        next_poll=None,
        says=outcome.reason,
    )
    stage = stage.with_step(step)
    notes.add(promotion, "step-failed", f"{outcome.kind}: {outcome.reason}", stage, step)
    if stage.status is StageStatus.RUNNING and not step.plan.tidies:
        stage = people.turn_back(stage, _ENDS_AS.get(outcome.kind, StageStatus.FAILED), outcome.reason)
    return lane.with_promotion(promotion.with_stage(stage))


def _stop(lane: Lane, promotion: Promotion, stage: StageRun, step: StepRun, now: datetime, notes: Notes) -> Lane:
    step = replace(step, status=StepStatus.STOPPED, ended=now, next_poll=None)
    notes.add(promotion, "step-stopped", step.says or "before it had answered", stage, step)
    return lane.with_promotion(promotion.with_stage(stage.with_step(step)))


def _poll_again(
    lane: Lane,
    promotion: Promotion,
    stage: StageRun,
    step: StepRun,
    outcome: Running | Retry | NotRun,
    now: datetime,
    notes: Notes,
) -> Lane:
    deadline = step.deadline or now
    says = outcome.says if isinstance(outcome, Running) else outcome.reason
    if now >= deadline:
        return _fail(lane, promotion, stage, step, _timeout(replace(step, says=says)), now, notes)
    if isinstance(outcome, Running):
        retries, pause = 0, outcome.poll_again_after
    else:
        retries = step.retries + 1
        asked_for = outcome.after if isinstance(outcome, Retry) else timedelta(0)
        pause = max(asked_for, min(FIRST_PAUSE * 2 ** min(step.retries, 10), LONGEST_PAUSE))
    if says != step.says:
        notes.add(promotion, "polled" if isinstance(outcome, Running) else "retrying", says, stage, step)
    step = replace(step, poll=step.poll + 1, retries=retries, next_poll=min(now + pause, deadline), says=says)
    return lane.with_promotion(promotion.with_stage(stage.with_step(step)))


def _timeout(step: StepRun) -> Failed:
    seen = f"; last seen: {step.says}" if step.says else ""
    limit = in_words(step.plan.limit)
    text = f"{step.plan.name} was not done within {limit}{seen}. Raise its time limit or look for the cause."
    return Failed(text, FailureKind.TIMEOUT)


#: What a stage ends as when a step fails of this.
_ENDS_AS = {FailureKind.REFUSED: StageStatus.REFUSED, FailureKind.REJECTED: StageStatus.REJECTED}


# --- commands ---------------------------------------------------------------------------------------------------------


def _command(promotion: Promotion, stage: StageRun, step: StepRun) -> RunStep:
    begun = step.started or promotion.created
    at = step.next_poll or begun
    return RunStep(
        lane=promotion.lane,
        promotion=promotion.id,
        stage=stage.name,
        step=step.plan.name,
        environment=step.plan.environment,
        attempt=stage.attempt,
        poll=step.poll,
        not_before=at,
        not_after=at + MAY_ACT_FOR,
        started=begun,
        deadline=step.deadline or begun,
        candidate=promotion.candidate,
        settings=stage.settings,
        evidence=promotion.evidence_for(stage),
        champion=stage.predecessor,
        requester=promotion.requester,
    )


def _title(candidate: Candidate) -> str:
    what = "the output of job" if candidate.kind is Kind.JOB else "version"
    return f"{candidate.name}, {what} {candidate.version} from {candidate.environment or candidate.workspace}"
