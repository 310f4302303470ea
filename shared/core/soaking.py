"""Waiting until the stages before have served the candidate for long enough. Part of the rules in `lane.py`.

- The time counts from when the last of them gave the candidate its traffic.
- If one of them is rolled back meanwhile, the stage is skipped. If another candidate takes its place there, the stage
  is superseded.
- A hold on the stage keeps the wait from ending.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.core.durations import in_words
from shared.core.going_back import turn_back
from shared.core.held_back import held_back, let_go
from shared.core.messages import Failed, FailureKind, as_evidence
from shared.core.promotion import STAGE_ENDED, Promotion, StageRun, StageStatus, StepRun, StepStatus
from shared.core.replacing import replace
from shared.core.turn import Turn
from shared.core.wire import Moment

#: The step that waits for it.
SOAK = "soak"
#: How much longer than the soak the wait may take, for holds.
MOST_HELD = timedelta(days=30)


@dataclass(frozen=True)
class Soaked:
    """The evidence of the wait."""

    stages: tuple[str, ...]  #: that have served the candidate
    since: Moment  #: when the last of them gave it its traffic
    asked: str  #: how long they had to serve it, in words


def soak(turn: Turn, promotion: Promotion, stage: StageRun, step: StepRun) -> StageRun:
    """The stage after a look at those before it."""
    before = [other for name in stage.after if (other := promotion.stage(name)) is not None]
    undone = [other.name for other in before if other.status in STAGE_ENDED - {StageStatus.SUCCEEDED}]
    if undone:
        return _without(turn, promotion, stage, step, StageStatus.SKIPPED, f"{undone[0]} did not succeed")
    if any(other.status is not StageStatus.SUCCEEDED for other in before):
        return stage  # one is being rolled back, or tried again
    replaced = _replaced(turn, promotion, before, stage.soak)
    if replaced:
        return _without(turn, promotion, stage, step, StageStatus.SUPERSEDED, replaced)
    since = max((_served_since(other) for other in before), default=turn.now)
    until = since + stage.soak if before else turn.now
    if turn.now < until:
        names = ", ".join(other.name for other in before)
        says = f"{names} must serve it for {in_words(stage.soak)}, until {until:%Y-%m-%d %H:%M:%S} UTC"
        return stage.with_step(replace(step, not_before=until, says=says))
    held = held_back(turn, promotion, stage)
    if held is not None:
        return held
    evidence = as_evidence(Soaked(tuple(other.name for other in before), since, in_words(stage.soak)))
    done = replace(step, status=StepStatus.SUCCEEDED, ended=turn.now, not_before=None, says="", evidence=evidence)
    turn.note(promotion, "step-succeeded", f"served for {in_words(stage.soak)}" if before else "done", stage, done)
    return let_go(stage).with_step(done)


def too_long(step: StepRun) -> Failed:
    return Failed(
        f"{step.says or 'its wait'}; it was still held after {in_words(step.plan.limit)}: start a new promotion",
        FailureKind.TIMEOUT,
    )


def _served_since(stage: StageRun) -> datetime:
    crowned = [step.ended for step in stage.steps if step.plan.crowns and step.ended is not None]
    return max([*crowned, *([stage.ended] if stage.ended and not crowned else [])])


def _replaced(turn: Turn, promotion: Promotion, before: Sequence[StageRun], asked: timedelta) -> str:
    """Why one of the stages no longer serves the candidate; empty if all do. A pipeline that has run again is still
    the same."""
    for other in before:
        champion = turn.lane.champions.get(other.name)
        if champion is None or champion.candidate != promotion.candidate:
            now = f"version {champion.candidate.version} replaced it in" if champion else "nothing serves"
            return f"{now} {other.name} before it had served there for {in_words(asked)}"
    return ""


def _without(
    turn: Turn, promotion: Promotion, stage: StageRun, step: StepRun, ends_as: StageStatus, reason: str
) -> StageRun:
    turn.note(promotion, "gave-way", reason, stage, step)
    return turn_back(stage, ends_as, reason)
