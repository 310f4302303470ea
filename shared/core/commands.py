"""Makes the command that asks a worker for one poll of a step. Part of the rules in `lane.py`."""

from shared.core import pace
from shared.core.messages import MAY_ACT_FOR, RunStep
from shared.core.promotion import Lane, Promotion, StageRun, StepRun


def command_for(lane: Lane, promotion: Promotion, stage: StageRun, step: StepRun) -> RunStep:
    """The command for the step's next poll, with all that the worker may know."""
    begun = step.started or promotion.created
    at = step.next_poll or begun
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
