"""Keeping the deployments that a stage replaced, so that rolling back takes seconds. Part of the rules in `lane.py`.

- The stage has succeeded, and other promotions may enter it. The step that removes the deployments waits for its delay.
- It begins only while no promotion is in the stage, and none enters while it runs: two writers of one endpoint would
  get in each other's way.
- Keeping ends by time, by a person, by a rollback, or by the next promotion: when that needs the room, or at the latest
  when it serves the stage. Its own plan then removes what is older than what it replaced.
"""

from collections.abc import Iterator
from datetime import datetime

from shared.core.events import KeepingEnded, NotNowError
from shared.core.promotion import Lane, Promotion, StageRun, StepRun, StepStatus
from shared.core.replacing import replace
from shared.core.turn import Turn


def removal(stage: StageRun) -> StepRun | None:
    """The step that removes what the stage keeps; None if its plan keeps nothing."""
    return next((step for step in stage.steps if step.plan.delay), None)


def begun(turn: Turn, promotion: Promotion, stage: StageRun) -> StageRun:
    """The stage, which is about to succeed, with the end of its keeping."""
    step = removal(stage)
    if step is None or step.status is not StepStatus.WAITING or not turn.lane.serves(promotion, stage):
        return stage
    if stage.predecessor is None:  # nothing to return to
        return replace(stage, kept_until=turn.now)
    until = turn.now + step.plan.delay
    what = f"version {stage.predecessor.candidate.version} stays without traffic until {until:%Y-%m-%d %H:%M} UTC"
    turn.note(promotion, "keeping", what, stage)
    return replace(stage, kept_until=until)


def ends_at(lane: Lane, promotion: Promotion, stage: StageRun) -> datetime | None:
    """When what the stage keeps can be removed; None if it keeps nothing, or another promotion is in the stage."""
    step = removal(stage)
    if stage.kept_until is None or step is None or step.status is not StepStatus.WAITING:
        return None
    if lane.occupant(promotion.candidate.kind, stage.name) is not None:
        return None
    return max(filter(None, (stage.kept_until, lane.closed_until.get(stage.name))))


def ends(lane: Lane) -> Iterator[datetime]:
    """When what stages keep can be removed."""
    for promotion in lane.at_work():
        for stage in promotion.stages:
            if (until := ends_at(lane, promotion, stage)) is not None:
                yield until


def replaced(turn: Turn, promotion: Promotion, stage: StageRun) -> None:
    """End what others keep in the stage: this promotion removes it."""
    for other in list(turn.lane.at_work()):
        theirs = other.stage(stage.name)
        if other.id == promotion.id or theirs is None or theirs.kept_until is None:
            continue
        turn.note(other, "kept-no-longer", f"version {promotion.candidate.version} takes its place", theirs)
        turn.put(other, replace(theirs, kept_until=None))


def end_now(turn: Turn, promotion: Promotion, event: KeepingEnded) -> None:
    """End the keeping because a person asks for it."""
    kept = [stage for stage in promotion.stages if event.stage in (None, stage.name) and stage.kept_until is not None]
    if not kept:
        raise NotNowError("the promotion keeps no replaced deployment, so there is nothing to remove")
    for stage in kept:
        turn.note(promotion, "kept-no-longer", event.asked(), stage)
        promotion = promotion.with_stage(replace(stage, kept_until=turn.now))
    turn.put(promotion)
