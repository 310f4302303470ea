"""Every change of a stage's status: `lane.py` moves stages by this table alone, and the docs draw it."""

from dataclasses import replace
from enum import StrEnum

from shared.core.promotion import StageRun, StageStatus


class Trigger(StrEnum):
    """What moves a stage, in words for the diagram."""

    BEFORE_DONE = "the stages before it succeeded"
    BEFORE_ENDED = "a stage before it did not succeed"
    ENTERED = "no other promotion is in the stage"
    NEWER_CAME = "a newer candidate is waiting for the stage"
    PLAN_DONE = "the last step succeeded"
    STEP_FAILED = "a step failed"
    UNDONE = "everything done was undone, after a failure"
    UNDONE_REFUSAL = "everything done was undone, after a gate's no"


TRANSITIONS: dict[tuple[StageStatus, Trigger], StageStatus] = {
    (StageStatus.WAITING, Trigger.BEFORE_DONE): StageStatus.QUEUED,
    (StageStatus.WAITING, Trigger.BEFORE_ENDED): StageStatus.SKIPPED,
    (StageStatus.WAITING, Trigger.NEWER_CAME): StageStatus.SUPERSEDED,
    (StageStatus.QUEUED, Trigger.ENTERED): StageStatus.RUNNING,
    (StageStatus.QUEUED, Trigger.NEWER_CAME): StageStatus.SUPERSEDED,
    (StageStatus.RUNNING, Trigger.PLAN_DONE): StageStatus.SUCCEEDED,
    (StageStatus.RUNNING, Trigger.STEP_FAILED): StageStatus.UNDOING,
    (StageStatus.UNDOING, Trigger.UNDONE): StageStatus.FAILED,
    (StageStatus.UNDOING, Trigger.UNDONE_REFUSAL): StageStatus.REFUSED,
}


def move(stage: StageRun, trigger: Trigger) -> StageRun:
    """The stage with its next status. A pair that is not in the table is a bug: KeyError."""
    return replace(stage, status=TRANSITIONS[stage.status, trigger])
