"""The commands that must be in flight: one for each poll of a step that no worker has answered yet. Part of the rules
in `lane.py`."""

from collections.abc import Iterator
from datetime import datetime

from shared.core import pace
from shared.core.messages import MAY_ACT_FOR, RunStep
from shared.core.promotion import Lane, Promotion, StageRun, StepRun, StepStatus

#: A step under way, with its promotion and stage.
Asked = tuple[Promotion, StageRun, StepRun]


def due(lane: Lane) -> tuple[RunStep, ...]:
    """Every command that must be in flight."""
    return tuple(command_for(lane, *each) for each in asked(lane))


def newly_due(before: Lane, after: Lane) -> tuple[RunStep, ...]:
    """The commands that must be in flight after a change of the lane, and were not before."""
    already = {_poll(*each) for each in asked(before)}
    return tuple(command_for(after, *each) for each in asked(after) if _poll(*each) not in already)


def asked(lane: Lane) -> Iterator[Asked]:
    """The steps that a worker is to answer for."""
    for promotion in lane.at_work():
        for stage in promotion.stages:
            step = stage.current
            if step is not None and step.status is StepStatus.RUNNING and not step.plan.waits:
                yield promotion, stage, step


def asked_at(promotion: Promotion, step: StepRun) -> datetime:
    """When the worker may begin the step's current poll."""
    return step.next_poll or step.started or promotion.created


def command_for(lane: Lane, promotion: Promotion, stage: StageRun, step: StepRun) -> RunStep:
    """The command for the step's next poll, with all that the worker may know."""
    begun = step.started or promotion.created
    at = asked_at(promotion, step)
    return RunStep(
        lane=promotion.lane,
        promotion=promotion.id,
        stage=stage.name,
        step=step.plan.name,
        uses=step.plan.uses,
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
        options=step.plan.options,
        state=step.state,
        expects=pace.expectation(lane, stage, step),
        champion=stage.predecessor,
        requester=promotion.requester,
        bundle=promotion.bundle,
    )


def _poll(promotion: Promotion, stage: StageRun, step: StepRun) -> tuple[str, str, str, int, int]:
    """What distinguishes the command for this poll from all others, as its message id does."""
    return promotion.id, stage.name, step.plan.name, stage.attempt, step.poll
