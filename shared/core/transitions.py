"""Every change of a stage's status. `lane.py` moves stages only by this table, and the docs draw it."""

from datetime import datetime
from enum import StrEnum

from shared.core.promotion import StageRun, StageStatus
from shared.core.replacing import replace


class Trigger(StrEnum):
    """The cause of a transition, in words for the diagram."""

    BEFORE_DONE = "the stages before it succeeded"
    BEFORE_ENDED = "a stage before it did not succeed"
    ENTERED = "no other promotion is in the stage, and no hold is on it"
    NEWER_CAME = "a newer candidate, known to exist, takes its place"
    WAITED_TOO_LONG = "it waited too long for its turn"
    PLAN_DONE = "the last step succeeded"
    TURNED_BACK = "a step failed, a person turned it back, or it no longer had what it waited for"
    ROLLED_BACK = "a person rolled it back"
    CANCELLED = "a person cancelled the promotion"
    RETRIED = "a person retried it"
    UNDONE = "undone, after a failure"
    UNDONE_REFUSAL = "undone, after a gate's no"
    UNDONE_REJECTION = "undone, after a person's no"
    UNDONE_CANCEL = "undone after the promotion was cancelled"
    UNDONE_ROLL_BACK = "undone after a rollback"
    UNDONE_SUPERSEDED = "undone after a newer candidate took its place while it waited"
    UNDONE_SKIPPED = "undone after a stage before it was rolled back while it waited"
    UNDONE_TO_QUEUE = "undone while it waited: what serves was rolled back, or a newer candidate goes first"


TRANSITIONS: dict[tuple[StageStatus, Trigger], StageStatus] = {
    (StageStatus.WAITING, Trigger.BEFORE_DONE): StageStatus.QUEUED,
    (StageStatus.WAITING, Trigger.BEFORE_ENDED): StageStatus.SKIPPED,
    (StageStatus.WAITING, Trigger.NEWER_CAME): StageStatus.SUPERSEDED,
    (StageStatus.WAITING, Trigger.CANCELLED): StageStatus.CANCELLED,
    (StageStatus.QUEUED, Trigger.ENTERED): StageStatus.RUNNING,
    (StageStatus.QUEUED, Trigger.BEFORE_ENDED): StageStatus.SKIPPED,
    (StageStatus.QUEUED, Trigger.NEWER_CAME): StageStatus.SUPERSEDED,
    (StageStatus.QUEUED, Trigger.WAITED_TOO_LONG): StageStatus.FAILED,
    (StageStatus.QUEUED, Trigger.CANCELLED): StageStatus.CANCELLED,
    (StageStatus.RUNNING, Trigger.PLAN_DONE): StageStatus.SUCCEEDED,
    (StageStatus.RUNNING, Trigger.TURNED_BACK): StageStatus.UNDOING,
    (StageStatus.UNDOING, Trigger.UNDONE): StageStatus.FAILED,
    (StageStatus.UNDOING, Trigger.UNDONE_REFUSAL): StageStatus.REFUSED,
    (StageStatus.UNDOING, Trigger.UNDONE_REJECTION): StageStatus.REJECTED,
    (StageStatus.UNDOING, Trigger.UNDONE_CANCEL): StageStatus.CANCELLED,
    (StageStatus.UNDOING, Trigger.UNDONE_ROLL_BACK): StageStatus.ROLLED_BACK,
    (StageStatus.UNDOING, Trigger.UNDONE_SUPERSEDED): StageStatus.SUPERSEDED,
    (StageStatus.UNDOING, Trigger.UNDONE_SKIPPED): StageStatus.SKIPPED,
    (StageStatus.UNDOING, Trigger.UNDONE_TO_QUEUE): StageStatus.QUEUED,
    (StageStatus.SUCCEEDED, Trigger.ROLLED_BACK): StageStatus.UNDOING,
    (StageStatus.FAILED, Trigger.ROLLED_BACK): StageStatus.UNDOING,
    (StageStatus.FAILED, Trigger.RETRIED): StageStatus.QUEUED,
    (StageStatus.REFUSED, Trigger.RETRIED): StageStatus.QUEUED,
    (StageStatus.SKIPPED, Trigger.RETRIED): StageStatus.WAITING,
}

#: The trigger that ends a stage's undo, by the status that it should end with.
UNDONE_AS = {
    StageStatus.FAILED: Trigger.UNDONE,
    StageStatus.REFUSED: Trigger.UNDONE_REFUSAL,
    StageStatus.REJECTED: Trigger.UNDONE_REJECTION,
    StageStatus.CANCELLED: Trigger.UNDONE_CANCEL,
    StageStatus.ROLLED_BACK: Trigger.UNDONE_ROLL_BACK,
    StageStatus.SUPERSEDED: Trigger.UNDONE_SUPERSEDED,
    StageStatus.SKIPPED: Trigger.UNDONE_SKIPPED,
    StageStatus.QUEUED: Trigger.UNDONE_TO_QUEUE,
}


def move(stage: StageRun, trigger: Trigger) -> StageRun:
    """The stage with its next status. Raises KeyError, a bug, for a pair that is not in the table."""
    return replace(stage, status=TRANSITIONS[stage.status, trigger])


def end_stage(stage: StageRun, trigger: Trigger, reason: str, now: datetime) -> StageRun:
    return replace(move(stage, trigger), ended=now, reason=reason)
