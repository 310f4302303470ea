"""What a promotion waits for, since when, and until when. Everything that is under way waits for something."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from shared.core.approval import Approval, ApprovalEvidence
from shared.core.lane import LONGEST_QUEUE
from shared.core.messages import GRACE
from shared.core.plan import KINDS
from shared.core.precedence import is_known
from shared.core.promotion import Held, Lane, Promotion, StageRun, StageStatus, StepRun, StepStatus


@dataclass(frozen=True)
class Wait:
    """One thing that a stage waits for."""

    stage: str
    what: str  #: in words
    since: datetime
    until: datetime  #: when the wait ends in failure
    ends: datetime | None = None  #: when it ends by itself, as far as that is known
    is_for_time: bool = False  #: nothing is being done meanwhile, and nobody is asked: a hold, a soak, a window


def waits(lane: Lane, promotion: Promotion) -> Iterator[Wait]:
    """One wait per stage that is queued or under way, without the stages after those. None once the promotion has
    ended."""
    if not promotion.under_way:
        return
    for stage in promotion.stages:
        if stage.status is StageStatus.QUEUED:
            since = stage.queued or promotion.created
            ends = stage.held.until if stage.held is not None else None
            yield Wait(
                stage.name, _turn(lane, promotion, stage), since, since + LONGEST_QUEUE, ends, stage.held is not None
            )
        step = stage.current
        if step is not None:
            since = step.started or stage.ended or promotion.updated
            words, until, ends = _step(promotion, stage, step), _until(stage, step, since), _ends(stage, step)
            yield Wait(stage.name, words, since, until, ends, ends is not None or stage.held is not None)


def _until(stage: StageRun, step: StepRun, since: datetime) -> datetime:
    if stage.has_called_off(step) and step.next_poll is not None:
        return step.next_poll + GRACE
    if step.status is StepStatus.WAITING and (until := stage.held_until(step)) is not None:
        return until
    return step.deadline or since + step.plan.limit


def _ends(stage: StageRun, step: StepRun) -> datetime | None:
    if stage.status is not StageStatus.RUNNING:
        return None
    return stage.held.until if stage.held is not None else step.not_before


def _turn(lane: Lane, promotion: Promotion, stage: StageRun) -> str:
    if stage.name in lane.closed_until:
        return f"an unanswered command of an earlier promotion to expire before it enters {stage.name}"
    hold = lane.holds.get(stage.name)
    if hold is not None and KINDS[promotion.candidate.kind].is_held:
        return f"the hold on {stage.name} to be released, set by {hold.by}: {hold.reason}"
    if stage.held is not None:
        return _hold(stage.held)
    occupant = lane.occupant(promotion.candidate.kind, stage.name)
    behind = f", behind promotion {occupant}" if occupant not in (None, promotion.id) else ""
    doubt = (
        "" if is_known(promotion) else f"; nobody has looked yet whether version {promotion.candidate.version} exists"
    )
    return f"its turn in {stage.name}{behind}{doubt}"


def _hold(held: Held) -> str:
    until = f"end at {held.until:%Y-%m-%d %H:%M} UTC" if held.until else "be released"
    return f"the hold on {held.scope} to {until}, set by {held.by}: {held.reason}"


def _step(promotion: Promotion, stage: StageRun, step: StepRun) -> str:
    if stage.held is not None and stage.status is StageStatus.RUNNING:
        return _hold(stage.held)
    if step.not_before is not None and stage.status is StageStatus.RUNNING:
        return f"{step.plan.name}: {step.says}"
    if step.plan.waits:
        asked = Approval.of(promotion, stage)
        given = len(ApprovalEvidence.of(step).given)
        doubt = "; the requester had not signed in and may be an approver" if asked.requester_is_unknown else ""
        if asked.author_is_unknown:
            doubt += "; the model's author is not a known person and may be an approver"
        return f"approval: {given} of {asked.least} given, by people with the role {' or '.join(asked.roles)}{doubt}"
    if stage.has_called_off(step):
        return f"the answer of {step.plan.name} before undoing starts"
    if step.status is StepStatus.WAITING:
        then = "undoing" if stage.undoing else step.plan.name
        return f"an unanswered command to expire before {then} starts"
    if step.awaits is not None and step.next_poll is not None:
        return f"job {step.awaits.job} to end, which wakes it; next poll at {step.next_poll:%H:%M:%S} UTC"
    name = f"{step.plan.name}, to undo the stage" if stage.status is StageStatus.UNDOING else step.plan.name
    if step.poll <= 1 or step.next_poll is None:
        return name
    return f"{name}: {step.says or 'under way'}; next poll at {step.next_poll:%H:%M:%S} UTC"
