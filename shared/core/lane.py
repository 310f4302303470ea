"""Decides what a lane does next. Pure: the same lane, event and time give the same decision.

- A report counts only if it comes from the environment whose worker was asked. Any other changes nothing and sends
  nothing.
- A stale event (of another poll, of a promotion that has ended, or seen before) changes nothing. What is due is sent
  again, and duplicate detection drops what was not lost. A late effect is undone (`late.py`).
- The commands in flight are a function of the lane (`due`), so a process may die after saving and before sending.
- One promotion of the lane at a time may be in a stage. Of those that queue for it, only the newest continues. A
  promotion in the stage is never superseded, unless it still waits for its job to end. A version that nobody has seen
  yet supersedes nothing (`superseding.py`). Jobs whose output is to be registered wait in order: none is dropped.
- A stage starts when the stages in its `after` have succeeded. It is skipped if one of them did not succeed, was
  rolled back while this stage queued, or had a breach while it was watched.
- A stage runs its plan. When a step fails, the steps that were begun are undone in reverse order. A failing undo is
  noted and undoing continues, so that no promotion can hang.
- Nothing is undone while the step that it undoes may still act. A stage that is turned back waits for the answer of the
  step under way, or until its command can no longer act (`GRACE`). That step is not polled again. Only a poll that is
  known to change nothing is not waited for.
- A step that moves a part of the traffic must not act any more when the next one begins: a late change of it would
  take back what the next one does.
- The step that crowns makes the candidate the stage's champion. Later steps only clean up: their failure is noted and
  undoes nothing.
- Every step and every wait has a deadline. Until then, a poll that could not be made is repeated after growing pauses.
  Waiting for somebody else's job has its own rules (`awaiting.py`).
- A lane remembers how long each step took, so that a worker can plan its polls (`pace.py`).
- A stage whose plan keeps the deployments that it replaced succeeds without removing them. They are removed later,
  while no promotion is in the stage (`keeping.py`).
- A step that watches what serves the stage rolls it back when it fails, if something served before, and holds it.
- A stage with a hold admits no promotion until a person releases it, or the hold ends (`held_back.py`). The requests of
  people are in `approving.py`, `going_back.py` and `trying_again.py`.
- A stage may ask that the stages before serve the candidate for a while first (`soaking.py`), and that its deployment
  begins only at certain hours (`in_window.py`). Nothing is undone because of that, and no undo waits for it.
- An older version never replaces a newer one automatically.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.core import alerting, approving, awaiting, going_back, keeping, pace, rerunning, superseding, trying_again
from shared.core.commands import asked, asked_at, command_for, due, newly_due
from shared.core.durations import in_words
from shared.core.events import (
    Abandoned,
    AlertChanged,
    Approved,
    AwaitedJobEnded,
    Cancelled,
    Discarded,
    KeepingEnded,
    LaneEvent,
    NotNowError,
    PromotionRequested,
    Rejected,
    Released,
    Replayed,
    Retried,
    RolledBack,
    RunAsked,
    TimePassed,
)
from shared.core.holds import NO_HOLDS, Holds
from shared.core.in_window import too_long, waits_for_window
from shared.core.journal import JournalEntry
from shared.core.late import late_steps
from shared.core.messages import (
    GRACE,
    Candidate,
    Champion,
    Failed,
    FailureKind,
    NotRun,
    Retry,
    Running,
    RunStep,
    StepReported,
    Succeeded,
)
from shared.core.plan import KINDS
from shared.core.precedence import is_known, newer_version
from shared.core.promotion import Lane, Promotion, PromotionStatus, StageRun, StageStatus, StepRun, StepStatus
from shared.core.replacing import replace
from shared.core.settling import end, settle
from shared.core.transitions import Trigger, end_stage
from shared.core.turn import Turn
from shared.core.wait_kinds import WAITS

#: Pause after the first poll that could not be made. It doubles each time, up to the longest.
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=5)
#: The process that made a change publishes it at once. If it did not, the timer does after this time.
TELL_AFTER = timedelta(minutes=1)
#: How long a stage waits for its turn: for another promotion to leave, or for a hold to be released.
LONGEST_QUEUE = timedelta(days=30)


@dataclass(frozen=True)
class Decision:
    """The lane to save, and what to send after that. `repeated`: the event itself changed nothing, such as when it is
    delivered again; only the time may have. `stale`: nothing changed at all, so there is nothing to save.
    `disbelieved`: why the event does not count at all; empty if it does.

    `NotNowError` or `NotAllowedError` is raised for a request that a person may not make; then nothing changed either.
    """

    lane: Lane
    commands: tuple[RunStep, ...]
    journal: tuple[JournalEntry, ...] = ()
    repeated: bool = False
    stale: bool = False
    disbelieved: str = ""


def decide(lane: Lane, event: LaneEvent, now: datetime, holds: Holds = NO_HOLDS) -> Decision:
    """Apply the event to the lane. `lane` holds all promotions under way, and the one that the event names. `holds`:
    those of operators."""
    if isinstance(event, StepReported) and (why := why_not_believed(lane, event)):
        return Decision(lane, (), repeated=True, stale=True, disbelieved=why)
    turn = Turn(lane, now, event.who, holds)
    _HANDLERS[type(event)](turn, event)
    repeated = turn.lane is lane and not turn.journal
    settle(turn)
    stale = turn.lane is lane and not turn.journal
    after = lane if stale else turn.stamped(lane)
    if repeated:  # whoever handled it before may have died: what time changes now must not keep that from being sent
        sent_again = (*due(after), *_late(after, event, now))
        return Decision(after, sent_again, tuple(turn.journal), repeated=True, stale=stale)
    return Decision(after, newly_due(lane, after), tuple(turn.journal))


def _late(lane: Lane, event: LaneEvent, now: datetime) -> tuple[RunStep, ...]:
    """The commands that undo the effect in a stale report."""
    if not isinstance(event, StepReported):
        return ()
    promotion = lane.promotion(event.promotion)
    stage = promotion.stage(event.stage) if promotion is not None else None
    if stage is not None and _reported(stage, event) is not None:
        return ()
    return tuple(command_for(lane, *step) for step in late_steps(lane, event, now))


def wake_at(lane: Lane) -> datetime | None:
    """When the reconciling timer should check the lane if nothing has arrived by then; None if it waits for nothing."""
    answers = [asked_at(promotion, step) + GRACE for promotion, _, step in asked(lane)]
    waits = [until for promotion in lane.under_way() for stage in promotion.stages if (until := _waits_until(stage))]
    unpublished = [lane.unpublished.since + TELL_AFTER] if lane.unpublished is not None else []
    held = [
        until for promotion in lane.under_way() for stage in promotion.stages if (until := _held_until(lane, stage))
    ]
    return min([*answers, *waits, *held, *keeping.ends(lane), *unpublished], default=None)


def _held_until(lane: Lane, stage: StageRun) -> datetime | None:
    """When a stage can continue, or should look again: one that waits for an unanswered command, the end of a hold, or
    a time."""
    if stage.held is not None and stage.status in (StageStatus.QUEUED, StageStatus.RUNNING):
        return stage.held.next_look
    if stage.status is StageStatus.QUEUED:
        return max(filter(None, (stage.unanswered_until, lane.closed_until.get(stage.name))), default=None)
    step = stage.current
    if step is not None and stage.status is StageStatus.RUNNING and step.not_before is not None:
        return step.not_before
    return stage.held_until(step) if step is not None and step.status is StepStatus.WAITING else None


def _waits_until(stage: StageRun) -> datetime | None:
    """When a stage stops waiting: for people, for a time, or for its turn."""
    if stage.status is StageStatus.QUEUED and stage.queued:
        return stage.queued + LONGEST_QUEUE
    step = stage.current
    return step.deadline if step is not None and (step.plan.waits or waits_for_window(stage)) else None


# --- events -----------------------------------------------------------------------------------------------------------


def _request(turn: Turn, event: PromotionRequested) -> None:
    promotion = event.promotion
    if turn.lane.promotion(promotion.id) is not None:
        return
    superseding.check_room(turn.lane, promotion)
    why = f": {event.reason}" if event.reason else ""
    turn.note(promotion, "requested", f"{_title(promotion.candidate)}, by {promotion.requested_by}{why}")
    if event.refusal:
        turn.put(end(turn, promotion, PromotionStatus.IGNORED, event.refusal))
        return
    newer = newer_version(turn.lane, promotion.candidate) if event.automatic else None
    if newer:
        stages = tuple(end_stage(stage, Trigger.NEWER_CAME, newer, turn.now) for stage in promotion.stages)
        promotion = replace(promotion, stages=stages)
    turn.put(promotion)


def why_not_believed(lane: Lane, report: StepReported) -> str:
    """Why the report does not count, whatever it says; empty if it comes from the environment whose worker was
    asked."""
    promotion = lane.promotion(report.promotion)
    stage = promotion.stage(report.stage) if promotion is not None else None
    asked = stage.environment_of(report.step) if stage is not None else None
    if asked in (None, report.environment):
        return ""
    return f"{report.step} in {report.stage} is a step of {asked}, but the report came from {report.environment}"


def _report(turn: Turn, event: StepReported) -> None:
    promotion = turn.lane.promotion(event.promotion)
    stage = promotion.stage(event.stage) if promotion is not None else None
    step = _reported(stage, event) if stage is not None else None
    if promotion is None or stage is None or step is None:
        return
    step = replace(step, seconds=step.seconds + event.seconds)
    if isinstance(event.outcome, NotRun):
        stage = stage.left_unanswered(step)
    match event.outcome:
        case Succeeded():
            _succeed(turn, promotion, stage, step, event.outcome)
        case Failed():
            _fail(turn, promotion, stage, step, event.outcome)
        case Running() | Retry() | NotRun():
            if stage.has_called_off(step):
                _stop(turn, promotion, stage, step)
            else:
                _poll_again(turn, promotion, stage, step, event.outcome)
    reported = turn.latest(promotion)
    if is_known(reported) and not is_known(promotion):
        superseding.take_over(turn, reported)


def _reported(stage: StageRun, event: StepReported) -> StepRun | None:
    """The step that the report is about, if its answer is still awaited."""
    for step in (*stage.steps, *stage.undoing):
        if (step.plan.name, stage.attempt, step.poll) != (event.step, event.attempt, event.poll):
            continue
        # If an undo that timed out succeeds after all, it counts: who serves the stage depends on it.
        given_up = step.failure is not None and step.failure.kind is FailureKind.TIMEOUT
        if step is stage.current or (step in stage.undoing and given_up and isinstance(event.outcome, Succeeded)):
            return step if not step.plan.waits else None
    return None


def _pass_time(turn: Turn, event: TimePassed) -> None:
    """Give up what is past its deadline. Where an answer is overdue, ask again with a new message id."""
    now = turn.now
    for promotion in list(turn.lane.at_work()):
        for stage in promotion.stages:
            until = _waits_until(stage)
            if until is not None and now >= until:
                _give_up(turn, turn.latest(promotion), stage)
            step = stage.current
            if step is None or step.next_poll is None or step.deadline is None or now < step.next_poll + GRACE:
                continue
            known = turn.latest(promotion)
            if stage.has_called_off(step):
                _stop(turn, known, stage, step)
            elif now >= step.deadline + GRACE:
                _fail(turn, known, stage, step, _timeout(step))
            else:
                asked = replace(step, poll=step.poll + 1, next_poll=now, says="sent again: no report had arrived")
                turn.put(known, stage.with_step(asked))


def _give_up(turn: Turn, promotion: Promotion, stage: StageRun) -> None:
    step = stage.current
    if step is None:
        reason = f"its turn did not come within {in_words(LONGEST_QUEUE)}"
        turn.note(promotion, "stage-failed", reason, stage)
        turn.put(promotion, end_stage(stage, Trigger.WAITED_TOO_LONG, reason, turn.now))
        return
    late = too_long(step) if waits_for_window(stage) else WAITS[step.plan.waits_for].give_up(promotion, stage, step)
    _fail(turn, promotion, stage, step, late)


def _of_promotion(handler: Callable[[Turn, Promotion, Any], None]) -> Callable[[Turn, Any], None]:
    """Wrap a handler of people's requests about one promotion."""

    def handle(turn: Turn, event: Any) -> None:
        promotion = turn.lane.promotion(event.promotion)
        if promotion is None:
            raise NotNowError(f"there is no promotion {event.promotion} on this lane")
        handler(turn, promotion, event)

    return handle


_HANDLERS: Mapping[type[LaneEvent], Callable[[Turn, Any], None]] = {
    PromotionRequested: _request,
    StepReported: _report,
    TimePassed: _pass_time,
    AwaitedJobEnded: awaiting.wake,
    RunAsked: rerunning.ask,
    AlertChanged: alerting.take,
    Approved: _of_promotion(approving.approve),
    Rejected: _of_promotion(approving.reject),
    Cancelled: _of_promotion(going_back.cancel),
    RolledBack: _of_promotion(going_back.roll_back),
    Abandoned: _of_promotion(going_back.abandon),
    KeepingEnded: _of_promotion(keeping.end_now),
    Retried: _of_promotion(trying_again.retry),
    Replayed: _of_promotion(trying_again.replay),
    Discarded: _of_promotion(trying_again.discard),
    Released: trying_again.release,
}


# --- one step's answer ------------------------------------------------------------------------------------------------


def _succeed(turn: Turn, promotion: Promotion, stage: StageRun, step: StepRun, outcome: Succeeded) -> None:
    turn.lane = pace.remembered(turn.lane, stage, step, turn.now)
    step = _answered(turn, step, StepStatus.SUCCEEDED, outcome)
    stage = stage.with_step(step)
    promotion = turn.put(promotion, stage)
    turn.note(promotion, "step-succeeded", outcome.says or "done", stage, step)
    if step.plan.makes_room or step.plan.crowns:
        keeping.replaced(turn, promotion, stage)
    if step.plan.crowns and stage.status is StageStatus.RUNNING:
        champion = Champion(
            promotion.id, promotion.candidate, turn.now, promotion.evidence_for(stage), promotion.bundle
        )
        turn.lane = replace(turn.lane, champions={**turn.lane.champions, stage.name: champion})
        turn.note(promotion, "crowned", f"version {promotion.candidate.version} serves {stage.endpoint}", stage)
    if step.plan.uncrowns:
        _uncrown(turn, promotion, stage)


def _uncrown(turn: Turn, promotion: Promotion, stage: StageRun) -> None:
    if not turn.lane.serves(promotion, stage):
        return
    champions = {name: kept for name, kept in turn.lane.champions.items() if name != stage.name}
    if stage.predecessor is not None:
        turn.note(promotion, "crowned", f"version {stage.predecessor.candidate.version} serves again", stage)
        champions[stage.name] = replace(stage.predecessor, since=turn.now)
    turn.lane = replace(turn.lane, champions=champions)


def _fail(turn: Turn, promotion: Promotion, stage: StageRun, step: StepRun, failure: Failed) -> None:
    step = _answered(turn, step, StepStatus.FAILED, failure)
    stage = stage.with_step(step)
    turn.note(promotion, "step-failed", f"{failure.kind}: {failure.reason}", stage, step)
    if stage.status is StageStatus.RUNNING and step.plan.holds:
        stage = going_back.turn_back_by_itself(turn, promotion, stage, failure)
    elif stage.status is StageStatus.RUNNING and not step.plan.tidies:
        stage = going_back.turn_back(stage, _ENDS_AS.get(failure.kind, StageStatus.FAILED), failure.reason)
    turn.put(promotion, stage)


def _stop(turn: Turn, promotion: Promotion, stage: StageRun, step: StepRun) -> None:
    turn.note(promotion, "step-stopped", step.says or "before it answered", stage, step)
    turn.put(promotion, stage.with_step(replace(step, status=StepStatus.STOPPED, ended=turn.now, next_poll=None)))


def _answered(turn: Turn, step: StepRun, status: StepStatus, answer: Succeeded | Failed) -> StepRun:
    """The step after its final answer."""
    failure = answer if isinstance(answer, Failed) else None
    ended = replace(step, status=status, ended=turn.now, next_poll=None, state={}, awaits=None, heard=None)
    return replace(ended, evidence=answer.evidence, failure=failure, says=failure.reason if failure else "")


def _poll_again(
    turn: Turn, promotion: Promotion, stage: StageRun, step: StepRun, outcome: Running | Retry | NotRun
) -> None:
    if isinstance(outcome, Running):
        first = step.first_running or turn.now
        step = replace(awaiting.awaits(step, outcome.awaits, turn.now), first_running=first, seen_running=turn.now)
    deadline = step.deadline or turn.now
    says = outcome.says if isinstance(outcome, Running) else outcome.reason
    if turn.now >= deadline:
        _fail(turn, promotion, stage, step, _timeout(replace(step, says=says)))
        return
    if isinstance(outcome, Running):
        retries, pause, state = 0, outcome.poll_again_after, outcome.state
        if awaiting.has_ended(step, outcome.awaits):
            pause = timedelta(0)
    else:
        retries, state = step.retries + 1, step.state
        asked_for = outcome.after if isinstance(outcome, Retry) else timedelta(0)
        pause = max(asked_for, min(FIRST_PAUSE * 2 ** min(step.retries, 10), LONGEST_PAUSE))
    if says != step.says:
        turn.note(promotion, "polled" if isinstance(outcome, Running) else "retrying", says, stage, step)
    next_poll = min(turn.now + pause, deadline)
    if isinstance(outcome, Running):
        step = replace(step, only_reads=outcome.only_reads)
    step = replace(step, poll=step.poll + 1, retries=retries, next_poll=next_poll, says=says, state=state, heard=None)
    turn.put(promotion, stage.with_step(step))


def _timeout(step: StepRun) -> Failed:
    if step.awaits is not None and awaiting.waits_for_others(step):
        return awaiting.not_ended(step, step.awaits)
    seen = f"; last seen: {step.says}" if step.says else ""
    limit = in_words(step.plan.limit)
    text = f"{step.plan.name} did not finish within {limit}{seen}. Raise its time limit or look for the cause."
    return Failed(text, FailureKind.TIMEOUT)


#: The status that a stage ends with when a step fails with this kind.
_ENDS_AS = {FailureKind.REFUSED: StageStatus.REFUSED, FailureKind.REJECTED: StageStatus.REJECTED}


def _title(candidate: Candidate) -> str:
    what = KINDS[candidate.kind].version_is
    return f"{candidate.name}, {what} {candidate.version} from {candidate.environment or candidate.workspace}"
