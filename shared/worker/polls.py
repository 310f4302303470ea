"""Decides when to poll Azure again."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.core.messages import AwaitedJob, Running, RunStep, as_evidence
from shared.ports import Job
from shared.worker.order import Order

FIRST_PAUSE = 2.0  # seconds
GROWTH = 1.4
LONGEST_PAUSE = 30.0  # seconds; the pause that azure-ai-ml keeps itself for most operations


#: While somebody else's job runs. News of its end wakes the step, so polls only cover for lost news.
LONGEST_PAUSE_FOR_JOB = 300.0  # seconds


@dataclass(frozen=True)
class Waited:
    """What a step that waits for a job keeps for its next poll."""

    polls: int = 0  #: polls that found the job still running


def poll_when_ended(order: Order[Any], job: Job) -> Running:
    """Poll when news of the job's end comes, or after a pause that grows while the job runs."""
    waited = order.state(Waited) or Waited()
    pause = min(LONGEST_PAUSE_FOR_JOB, FIRST_PAUSE * GROWTH ** min(waited.polls, 50))
    # The text leaves out the job's status: each new text would add a line to the journal.
    says = f"waits for {'run' if job.is_run else 'job'} {job.name}, which made the model, to end"
    awaits = AwaitedJob(order.command.candidate.workspace, job.name)
    return Running(timedelta(seconds=round(pause, 1)), says, as_evidence(Waited(waited.polls + 1)), awaits)


def poll_again(command: RunStep, says: str, state: Any = None) -> Running:
    """Poll soon at first, then less often: most operations take seconds, a deployment up to twenty minutes.

    `state` is a dataclass that the step gets back at its next poll from `Order.state`.
    """
    # Bound the exponent: a float would overflow.
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * GROWTH ** min(max(command.poll - 1, 0), 50))
    return Running(timedelta(seconds=round(pause, 1)), says, as_evidence(state) if state is not None else {})
