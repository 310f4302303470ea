"""What a stage that has not begun would take of its environment's quota, as its own worker would find out now."""

from collections.abc import Callable
from datetime import datetime, timedelta

from shared.core.commands import command_for
from shared.core.messages import Evidence, Failed, NotRun, Outcome, Retry, RunStep, Succeeded
from shared.core.promotion import Lane, Promotion, StageRun
from shared.core.replacing import replace

#: A later poll of the step takes what cannot be read as unknown, and does not ask to come again.
_POLL = 4
_TIME = timedelta(minutes=1)

#: Runs one poll of the step. None: the environment's worker runs in another app.
Look = Callable[[RunStep], Outcome | None]


def capacity_ahead(lane: Lane, planned: Promotion, stage: StageRun, look: Look, now: datetime) -> Evidence | None:
    """Return the evidence that the step would have, with `unknown` for what cannot be known; None for a stage without
    the step."""
    # The step that finds out only reads, so it can be run at any time.
    step = next((each for each in stage.steps if each.plan.informs and not each.plan.waits), None)
    if step is None:
        return None
    begun = replace(step, started=now, next_poll=now, poll=_POLL, deadline=now + _TIME)
    found = look(command_for(lane, planned, stage, begun))
    match found:
        case None:
            return {"unknown": f"The app of {stage.environment} reads it when the promotion gets there."}
        case Succeeded():
            return found.evidence
        case Failed() if found.evidence:
            return {**found.evidence, "refused": found.reason}
        case Failed() | Retry() | NotRun():
            return {"unknown": found.reason}
        case _:
            return {"unknown": "It cannot be read now."}
