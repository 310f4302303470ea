"""When to poll again what Azure is doing."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.core.messages import AwaitedJob, Running, RunStep, as_evidence
from shared.ports import Job
from shared.worker.order import Order

FIRST_PAUSE = 2.0  # seconds
GROWTH = 1.4
LONGEST_PAUSE = 30.0  # seconds; the pause that azure-ai-ml keeps itself for most operations


#: While somebody else's job runs, of whose end news comes: a poll is only there for news that is lost.
LONGEST_PAUSE_FOR_JOB = 300.0  # seconds


@dataclass(frozen=True)
class Waited:
    """What a step that waits for a job wants to know at its next poll."""

    polls: int = 0  #: that found the job under way


def poll_when_ended(order: Order[Any], job: Job) -> Running:
    """At the latest after a pause that grows while the job runs; at once when news of its end comes."""
    waited = order.state(Waited) or Waited()
    pause = min(LONGEST_PAUSE_FOR_JOB, FIRST_PAUSE * GROWTH ** min(waited.polls, 50))
    # Without the job's status, which changes: each new text is a line in the journal.
    says = f"waits for {'run' if job.is_run else 'job'} {job.name}, which made the model, to end"
    awaits = AwaitedJob(order.command.candidate.workspace, job.name)
    return Running(timedelta(seconds=round(pause, 1)), says, as_evidence(Waited(waited.polls + 1)), awaits)


def poll_again(command: RunStep, says: str, state: Any = None) -> Running:
    """Soon at first and then less often: most operations take seconds, a deployment up to twenty minutes.

    `state` is a dataclass that the step gets again at its next poll, from `Order.state`.
    """
    # The exponent is bounded, because a float is.
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * GROWTH ** min(max(command.poll - 1, 0), 50))
    return Running(timedelta(seconds=round(pause, 1)), says, as_evidence(state) if state is not None else {})
