"""Steps that begin only while a window of their stage is open. Part of the rules in `lane.py`.

- Such a step waits for the next opening. What was begun in the window is finished outside of it, and no undo waits.
- While nothing of the deployment has begun, a hold on the stage keeps the step waiting beyond the opening.
- The wait has a deadline, for windows that a hold outlasts.
"""

from datetime import timedelta

from shared.core.durations import in_words
from shared.core.held_back import held_back, let_go
from shared.core.messages import Failed, FailureKind
from shared.core.promotion import Promotion, StageRun, StageStatus, StepRun, StepStatus
from shared.core.replacing import replace
from shared.core.turn import Turn
from shared.core.window import in_zone, opens

#: How long a step waits. A window opens at least every two weeks.
LONGEST_CLOSED = timedelta(days=30)


def waits_for_window(stage: StageRun) -> StepRun | None:
    """The step of the stage that waits for a window; None if none does."""
    step = stage.current
    waits = step is not None and step.status is StepStatus.WAITING and step.not_before is not None
    return step if waits and stage.status is StageStatus.RUNNING else None


def has_begun(stage: StageRun) -> bool:
    """Whether a step has begun that has to be in a window: from then on, the stage is being changed."""
    return any(step.plan.in_window and step.status is not StepStatus.WAITING for step in stage.steps)


def kept_outside(turn: Turn, promotion: Promotion, stage: StageRun, step: StepRun) -> StageRun | None:
    """The stage whose next step waits for a window; None if the step may begin."""
    if not (step.plan.in_window and stage.windows) or stage.status is not StageStatus.RUNNING:
        return None
    moment = opens(stage.windows, turn.now)
    if moment <= turn.now:
        return held_back(turn, promotion, stage) if step.not_before is not None and not has_begun(stage) else None
    if step.not_before == moment:
        return let_go(stage)
    says = f"its window opens {in_zone(moment, stage.windows)}"
    turn.note(promotion, "waits", says, stage, step)
    deadline = step.deadline or turn.now + LONGEST_CLOSED
    return let_go(stage).with_step(replace(step, not_before=moment, deadline=deadline, says=says))


def too_long(step: StepRun) -> Failed:
    return Failed(
        f"{step.plan.name} could not begin within {in_words(LONGEST_CLOSED)}: a hold lasted longer than that; start a "
        "new promotion",
        FailureKind.TIMEOUT,
    )
