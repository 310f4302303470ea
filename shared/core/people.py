"""What people ask of a lane: approve, reject, cancel, roll back, abandon, try again, replay, release a hold.

- Everything but approving and rejecting takes the role of an operator; a stage says itself which roles may approve it.
- An approval counts once per person, for the candidate and the evidence that it was given on, and only before expiry.
- A promotion is cancelled where it stands: what it has deployed is removed. A stage in which it has begun to move
  traffic is rolled back instead, and held.
- A rollback gives the traffic back to what served before, without gates, and holds the stage.
- A failed promotion is tried again from the step that failed, or from the first step that was undone, but from the step
  that reviews what is to be deployed at the latest. Approvals count again if that comes to the same evidence. Something
  that was superseded is not tried again. One that is under way is polled again at once, instead of after its pause.
- Whatever waits can be ended by a person: a way back is abandoned where it stands, and what it left is said. A stage
  whose way back did not reach its end can be rolled back again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.core.approval import APPROVE, Approval
from shared.core.journal import Notes
from shared.core.messages import Failed, FailureKind, LaneKey
from shared.core.plan import undo_of
from shared.core.precedence import newer_version
from shared.core.promotion import (
    STAGE_OCCUPIED,
    Hold,
    Lane,
    Promotion,
    PromotionStatus,
    StageRun,
    StageStatus,
    StepRun,
    StepStatus,
)
from shared.core.transitions import Trigger, move

OPERATOR = "Promotion.Operator"


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in."""

    id: str  #: of the Entra ID principal
    name: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class _AboutPromotion:
    """What a person asks of one promotion."""

    lane: LaneKey
    promotion: str
    by: Person
    reason: str


@dataclass(frozen=True)
class Approved(_AboutPromotion):
    """A person lets a waiting stage go on. `evidence`: digest of what was looked at, if the person's tool gives it."""

    stage: str | None = None
    evidence: str | None = None


@dataclass(frozen=True)
class Rejected(_AboutPromotion):
    """A person ends a waiting stage."""

    stage: str | None = None


@dataclass(frozen=True)
class Cancelled(_AboutPromotion):
    """A person calls the promotion off."""


@dataclass(frozen=True)
class RolledBack(_AboutPromotion):
    """A person gives a stage's traffic back. `stage`: the one under way or the last that it serves, if left out."""

    stage: str | None = None


@dataclass(frozen=True)
class Abandoned(_AboutPromotion):
    """A person ends the way back of a promotion where it stands: what is not undone yet stays as it is."""

    stage: str | None = None


@dataclass(frozen=True)
class Retried(_AboutPromotion):
    """A person has a failed promotion tried again, or one that is under way polled now."""

    from_step: str | None = None
    only_failed: bool = False  #: one that is under way is refused


@dataclass(frozen=True)
class Replayed(_AboutPromotion):
    """A person has dead-lettered messages of a promotion delivered again: noted, and what they bring follows."""

    what: str  #: in words


@dataclass(frozen=True)
class Discarded(_AboutPromotion):
    """A person has put dead-lettered messages of a promotion aside for good: noted, and nothing follows."""

    what: str  #: in words


@dataclass(frozen=True)
class Released:
    """A person lets new promotions into a held stage again."""

    lane: LaneKey
    stage: str
    by: Person
    reason: str


PersonEvent = Approved | Rejected | Cancelled | RolledBack | Abandoned | Retried | Released | Replayed | Discarded


class NotNowError(Exception):
    """The request does not apply to the lane as it is; the text says why."""


class TakenElsewhereError(NotNowError):
    """The stage's environment takes its approvals in an app of its own."""

    def __init__(self, says: str, stage: str, environment: str) -> None:
        super().__init__(says)
        self.stage = stage
        self.environment = environment


class NotAllowedError(Exception):
    """The person may not ask for this; the text says what is missing."""


def apply(lane: Lane, event: PersonEvent, now: datetime, notes: Notes) -> Lane:
    """The lane after the request, before what follows by itself; the same lane if it was fulfilled before."""
    if isinstance(event, Released):
        return _release(lane, event, notes)
    promotion = lane.promotion(event.promotion)
    if promotion is None:
        raise NotNowError(f"there is no promotion {event.promotion} on this lane")
    match event:
        case Approved():
            return _approve(lane, promotion, event, now, notes)
        case Rejected():
            return _reject(lane, promotion, event, now, notes)
        case Cancelled():
            return _cancel(lane, promotion, event, now, notes)
        case RolledBack():
            return _roll_back(lane, promotion, event, now, notes)
        case Abandoned():
            return _abandon(lane, promotion, event, notes)
        case Retried():
            return _retry(lane, promotion, event, now, notes)
        case Replayed():
            return _note(lane, promotion, "replayed", event, notes)
        case Discarded():
            return _note(lane, promotion, "discarded", event, notes)


# --- approval ---------------------------------------------------------------------------------------------------------


def _approve(lane: Lane, promotion: Promotion, event: Approved, now: datetime, notes: Notes) -> Lane:
    if not _all_waiting(promotion, event.stage) and _has_approved(promotion, event):
        return lane
    stage, step, approval = _waiting(promotion, event.stage)
    _check_may_approve(event.by, promotion, approval)
    # The timer that ends it comes later, by a minute or by as long as the app was away.
    if step.deadline is not None and now >= step.deadline:
        raise NotNowError(f"the time to approve {stage.name} ended at {step.deadline:%Y-%m-%d %H:%M:%S} UTC")
    if event.evidence not in (None, step.evidence.get("on")):
        raise NotNowError("the evidence has changed since: look at it again")
    given = list(step.evidence.get("given", ()))
    if any(one["id"] == event.by.id for one in given):
        return lane
    given.append({"id": event.by.id, "name": event.by.name, "at": now.isoformat(), "reason": event.reason})
    enough = len(given) >= approval.least
    notes.add(promotion, "approved", f"{_asked(event)} ({len(given)} of {approval.least})", stage, step)
    step = replace(step, evidence={**step.evidence, "given": given}, says=approval.says(len(given)))
    if enough:
        step = replace(step, status=StepStatus.SUCCEEDED, ended=now, says="")
    return lane.with_promotion(promotion.with_stage(stage.with_step(step)))


def _reject(lane: Lane, promotion: Promotion, event: Rejected, now: datetime, notes: Notes) -> Lane:
    stage, step, approval = _waiting(promotion, event.stage)
    _check_may_approve(event.by, promotion, approval, rejecting=True)
    reason = f"rejected by {_asked(event)}"
    notes.add(promotion, "rejected", _asked(event), stage, step)
    failure = Failed(reason, FailureKind.REJECTED)
    step = replace(step, status=StepStatus.FAILED, failure=failure, ended=now, says=reason)
    return lane.with_promotion(promotion.with_stage(turn_back(stage.with_step(step), StageStatus.REJECTED, reason)))


def _has_approved(promotion: Promotion, event: Approved) -> bool:
    """Whether the person's approval is among those that let a stage go on."""
    return any(
        one["id"] == event.by.id
        for stage in promotion.stages
        if event.stage in (None, stage.name) and stage.status is StageStatus.RUNNING
        for step in stage.steps
        if step.plan.waits and step.status is StepStatus.SUCCEEDED
        for one in step.evidence["given"]
    )


def _all_waiting(promotion: Promotion, name: str | None) -> Sequence[tuple[StageRun, StepRun]]:
    return [
        (stage, step)
        for stage in promotion.stages
        if name in (None, stage.name) and (step := stage.current) is not None and step.plan.waits
    ]


def _waiting(promotion: Promotion, name: str | None) -> tuple[StageRun, StepRun, Approval]:
    _check_stage(promotion, name)
    found = _all_waiting(promotion, name)
    if not found:
        _check_taken_here(promotion, name)
        raise NotNowError(f"nothing waits for approval{f' in {name}' if name else ''}; it {promotion.status.told}")
    if len(found) > 1:
        raise NotNowError(f"several stages wait for approval, name one: {', '.join(stage.name for stage, _ in found)}")
    stage, step = found[0]
    return stage, step, Approval.of(promotion, stage)


def _check_taken_here(promotion: Promotion, name: str | None) -> None:
    for stage in promotion.stages:
        step = stage.current
        if name in (None, stage.name) and step is not None and step.plan.name == APPROVE:
            text = f"{stage.environment} takes its approvals in its own app: decide there. It says: {step.says}"
            raise TakenElsewhereError(text, stage.name, stage.environment)


def _check_may_approve(by: Person, promotion: Promotion, approval: Approval, rejecting: bool = False) -> None:
    if not set(by.roles) & set(approval.roles):
        raise NotAllowedError(f"{by.name} needs the role {' or '.join(approval.roles)}")
    if approval.not_requester and not rejecting and by.id == promotion.requester:
        raise NotAllowedError(f"{by.name} asked for this promotion and may not approve it")
    if approval.not_author and not rejecting and by.id in approval.authors:
        raise NotAllowedError(f"{by.name} made this model and may not approve it")


# --- cancel and roll back ---------------------------------------------------------------------------------------------


def _cancel(lane: Lane, promotion: Promotion, event: Cancelled, now: datetime, notes: Notes) -> Lane:
    _check_operator(event.by)
    if not promotion.under_way:
        raise NotNowError(f"it has ended as {promotion.status.words}")
    running = [stage for stage in promotion.stages if stage.status is StageStatus.RUNNING]
    moved = [stage for stage in running if _has_moved_traffic(stage)]
    for stage in moved:
        _check_can_go_back(lane, promotion, stage)
    pending = [stage for stage in promotion.stages if stage.status in (StageStatus.WAITING, StageStatus.QUEUED)]
    if not running and not pending:
        raise NotNowError("it is being taken back already; abandon the way back to end it where it stands")
    says = f"; traffic had begun to move, so this is a rollback of {_names(moved)}" if moved else ""
    notes.add(promotion, "cancelled", _asked(event) + says)
    for stage in pending:
        ended = replace(move(stage, Trigger.CANCELLED), ended=now, reason=f"cancelled by {_asked(event)}")
        promotion = promotion.with_stage(ended)
    for stage in running:
        ends_as = StageStatus.ROLLED_BACK if stage in moved else StageStatus.CANCELLED
        promotion = promotion.with_stage(turn_back(stage, ends_as, f"{ends_as.words} by {_asked(event)}"))
    return _with_holds(lane, promotion, moved, event, now).with_promotion(promotion)


def _roll_back(lane: Lane, promotion: Promotion, event: RolledBack, now: datetime, notes: Notes) -> Lane:
    _check_operator(event.by)
    _check_stage(promotion, event.stage)
    stage = _stage_to_roll_back(lane, promotion, event.stage)
    _check_can_go_back(lane, promotion, stage)
    reason = f"rolled back by {_asked(event)}"
    notes.add(promotion, "rolled-back", _asked(event), stage)
    trigger = Trigger.TURNED_BACK if stage.status is StageStatus.RUNNING else Trigger.ROLLED_BACK
    stage = turn_back(stage, StageStatus.ROLLED_BACK, reason, trigger)
    promotion = replace(promotion.with_stage(stage), status=PromotionStatus.RUNNING, reason="")
    return _with_holds(lane, promotion, [stage], event, now).with_promotion(promotion)


def _stage_to_roll_back(lane: Lane, promotion: Promotion, name: str | None) -> StageRun:
    wanted = [stage for stage in promotion.stages if name in (None, stage.name)]
    running = [stage for stage in wanted if stage.status is StageStatus.RUNNING]
    serving = [stage for stage in wanted if lane.serves(promotion, stage) and stage.status not in STAGE_OCCUPIED]
    half_undone = [stage for stage in wanted if stage.status is StageStatus.FAILED and _is_half_undone(stage)]
    if running or serving or half_undone:
        return (running or serving or half_undone)[-1]
    others = {
        stage.name: lane.champions[stage.name].candidate.version for stage in wanted if stage.name in lane.champions
    }
    now = ", ".join(f"{stage} is served by version {version}" for stage, version in others.items())
    raise NotNowError(
        f"it serves nothing that could be rolled back; it {promotion.status.told}{f'; {now}' if now else ''}"
    )


def _is_half_undone(stage: StageRun) -> bool:
    return any(step.status is not StepStatus.SUCCEEDED for step in stage.undoing)


def _check_can_go_back(lane: Lane, promotion: Promotion, stage: StageRun) -> None:
    if lane.serves(promotion, stage) and stage.predecessor is None:
        raise NotNowError(f"nothing served {stage.name} before it, so there is nothing to go back to")
    for other in lane.under_way():
        theirs = other.stage(stage.name)
        if other.id != promotion.id and theirs is not None and theirs.status in STAGE_OCCUPIED:
            raise NotNowError(f"promotion {other.id} is in {stage.name}: cancel it first")


def _has_moved_traffic(stage: StageRun) -> bool:
    return any(step.plan.crowns and step.status is not StepStatus.WAITING for step in stage.steps)


def _with_holds(
    lane: Lane, promotion: Promotion, stages: Sequence[StageRun], event: Cancelled | RolledBack, now: datetime
) -> Lane:
    hold = Hold(promotion.id, event.by.name, event.reason, now)
    return replace(lane, holds={**lane.holds, **{stage.name: hold for stage in stages}})


def turn_back(stage: StageRun, ends_as: StageStatus, reason: str, trigger: Trigger = Trigger.TURNED_BACK) -> StageRun:
    """The stage at the start of its way back: the undo of every step that was begun, last first."""
    begun = [step.plan for step in stage.steps if step.status is not StepStatus.WAITING]
    way = tuple(StepRun(undo) for plan in reversed(begun) for undo in undo_of(plan))
    # Message ids of a second way back must differ from those of the first.
    attempt = stage.attempt + 1 if stage.undoing else stage.attempt
    return replace(
        move(stage, trigger),
        ends_as=ends_as,
        reason=reason,
        steps=tuple(map(_no_longer_waiting, stage.steps)),
        undoing=way,
        attempt=attempt,
        abandoned="",
        ended=None,
    )


def _no_longer_waiting(step: StepRun) -> StepRun:
    """A step that waits for people has nothing to answer; one that a worker runs has."""
    waited = step.plan.waits and step.status is StepStatus.RUNNING
    return replace(step, status=StepStatus.STOPPED) if waited else step


def _abandon(lane: Lane, promotion: Promotion, event: Abandoned, notes: Notes) -> Lane:
    _check_operator(event.by)
    _check_stage(promotion, event.stage)
    undoing = [
        stage
        for stage in promotion.stages
        if event.stage in (None, stage.name) and stage.status is StageStatus.UNDOING and not stage.abandoned
    ]
    if not undoing:
        raise NotNowError(f"nothing of it is being undone; it {promotion.status.told}")
    for stage in undoing:
        notes.add(promotion, "abandoned", _asked(event), stage)
        left = tuple(
            replace(step, status=StepStatus.STOPPED) if step.status is StepStatus.WAITING else step
            for step in stage.undoing
        )
        promotion = promotion.with_stage(replace(stage, undoing=left, abandoned=_asked(event)))
    return lane.with_promotion(promotion)


# --- try again, replay, release ---------------------------------------------------------------------------------------


def _retry(lane: Lane, promotion: Promotion, event: Retried, now: datetime, notes: Notes) -> Lane:
    _check_operator(event.by)
    if promotion.under_way and event.from_step is None and not event.only_failed:
        return _hurry(lane, promotion, event, now, notes)
    why_not = why_not_retried(lane, promotion)
    if why_not:
        raise NotNowError(why_not)
    failed = [stage for stage in promotion.stages if stage.status is StageStatus.FAILED]
    notes.add(promotion, "retried", f"{_asked(event)}; from {_names(failed)}")
    for stage in promotion.stages:
        if stage in failed:
            promotion = promotion.with_stage(_again(stage, event.from_step, now))
        elif stage.status is StageStatus.SKIPPED:
            promotion = promotion.with_stage(replace(move(stage, Trigger.RETRIED), ended=None, reason=""))
    return lane.with_promotion(replace(promotion, status=PromotionStatus.QUEUED, reason=""))


def _hurry(lane: Lane, promotion: Promotion, event: Retried, now: datetime, notes: Notes) -> Lane:
    """What waits for its next poll is polled now, under a new message id."""
    pausing = [
        (stage, step)
        for stage in promotion.stages
        if (step := stage.current) is not None and step.next_poll is not None and not stage.has_called_off(step)
    ]
    if not pausing:
        raise NotNowError(f"no step of it pauses that could be tried again now; it {promotion.status.told}")
    for stage, step in pausing:
        notes.add(promotion, "retried", f"{_asked(event)}; {step.plan.name} is polled now", stage, step)
        asked = replace(step, poll=step.poll + 1, retries=0, next_poll=now)
        promotion = promotion.with_stage(stage.left_unanswered(step).with_step(asked))
    return lane.with_promotion(promotion)


def why_not_retried(lane: Lane, promotion: Promotion) -> str | None:
    """Why a promotion cannot be tried again; None if it can."""
    if promotion.status is not PromotionStatus.FAILED:
        fresh = "" if promotion.under_way else "; start a new promotion instead"
        return f"only what failed is tried again, and it {promotion.status.told}{fresh}"
    newer = newer_version(lane, promotion.candidate)
    if newer:
        return f"it is superseded: {newer}"
    for stage in promotion.stages:
        if stage.status is not StageStatus.FAILED:
            continue
        if lane.serves(promotion, stage):
            return f"it serves {stage.name}; roll it back again, or leave it"
        before, champion = stage.predecessor, lane.champions.get(stage.name)
        if stage.started and champion and champion.promotion != (before.promotion if before else None):
            return f"it is superseded: version {champion.candidate.version} has come to serve {stage.name} since"
    return None


def _again(stage: StageRun, from_step: str | None, now: datetime) -> StageRun:
    """The stage with everything waiting again from the first step that failed, was undone or reviews, or earlier."""
    names = [step.plan.name for step in stage.steps]
    undone = [
        index for index, step in enumerate(stage.steps) if step.plan.undo and step.status is not StepStatus.WAITING
    ]
    failed = [index for index, step in enumerate(stage.steps) if step.status in (StepStatus.FAILED, StepStatus.STOPPED)]
    reviews = [index for index, step in enumerate(stage.steps) if step.plan.reviews]
    start = min([*undone, *failed, *reviews], default=0)
    if from_step is not None:
        if from_step not in names[: start + 1]:
            raise NotNowError(f"{stage.name} can go on from {', '.join(names[: start + 1])}, not from {from_step}")
        start = names.index(from_step)
    steps = tuple(step if index < start else _fresh(step) for index, step in enumerate(stage.steps))
    return replace(
        move(stage, Trigger.RETRIED),
        steps=steps,
        undoing=(),
        attempt=stage.attempt + 1,
        ends_as=StageStatus.FAILED,
        predecessor=None,
        abandoned="",
        queued=now,
        started=None,
        ended=None,
        reason="",
    )


def _fresh(step: StepRun) -> StepRun:
    """The step as it is before its first poll. Approvals stay with it: they count again for the same evidence."""
    return StepRun(step.plan, evidence=step.evidence if step.plan.waits else {})


def _note(lane: Lane, promotion: Promotion, word: str, event: Replayed | Discarded, notes: Notes) -> Lane:
    _check_operator(event.by)
    notes.add(promotion, word, f"{_asked(event)}; {event.what}")
    return replace(lane)  # another lane than before, so that the line is kept


def _release(lane: Lane, event: Released, notes: Notes) -> Lane:
    _check_operator(event.by)
    hold = lane.holds.get(event.stage)
    if hold is None:
        raise NotNowError(f"there is no hold on {event.stage}")
    promotion = lane.promotion(hold.promotion)
    if promotion is not None:
        notes.add(promotion, "released", _asked(event), promotion.stage(event.stage))
    return replace(lane, holds={stage: kept for stage, kept in lane.holds.items() if stage != event.stage})


def _check_stage(promotion: Promotion, name: str | None) -> None:
    if name is not None and promotion.stage(name) is None:
        raise NotNowError(f"it has no stage {name[:100]}, only {_names(promotion.stages)}")


def _check_operator(by: Person) -> None:
    if OPERATOR not in by.roles:
        raise NotAllowedError(f"{by.name} needs the role {OPERATOR}")


def _asked(event: PersonEvent) -> str:
    return f"{event.by.name}: {event.reason}" if event.reason else event.by.name


def _names(stages: Sequence[StageRun]) -> str:
    return ", ".join(stage.name for stage in stages)
