"""Decides when to poll Azure again."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.core.messages import AwaitedJob, Expectation, Running, RunStep, as_evidence
from shared.ports import Job
from shared.worker.order import Order

FIRST_PAUSE = 1.0  # seconds
GROWTH = 1.4
#: The first pause is made of two halves: what takes a moment is then known after half of it.
HALVES = 2
LONGEST_PAUSE = 30.0  # seconds; the pause that azure-ai-ml keeps itself for most operations


#: While somebody else's job runs. An event at its end wakes the step, so polls only make up for lost events.
LONGEST_PAUSE_FOR_JOB = 300.0  # seconds


#: For a step with a known usual duration: a few early polls to detect failures, then evenly spaced polls in a window
#: around the usual time, as wide as durations varied. After the window the pauses grow again.
FIRST_LOOK, LOOKS_GROW = 10.0, 6.0  # seconds; factor between one look's time and the next
WINDOW = 1.5  # times the spread, before and after the usual time
NARROWEST, WIDEST = 0.03, 0.15  # half the window, as a fraction of the usual time
POLLS_IN_HALF = 6
DENSEST = 0.006  # the shortest pause there, as a fraction of the usual time


@dataclass(frozen=True)
class Waited:
    """What a step that waits for a job keeps for its next poll."""

    polls: int = 0  #: polls that found the job still running
    job: str = ""  #: its name


def poll_when_ended(order: Order[Any], job: Job) -> Running:
    """Poll when an event reports the job's end, or after a pause that grows while the job runs."""
    waited = order.state(Waited) or Waited()
    pause = min(LONGEST_PAUSE_FOR_JOB, FIRST_PAUSE * GROWTH ** min(waited.polls, 50))
    # The text leaves out the job's status: each new text would add a line to the journal.
    says = f"waits for {'run' if job.is_run else 'job'} {job.name}, which made the model, to end"
    awaits = AwaitedJob(order.command.candidate.workspace, job.name)
    return Running(timedelta(seconds=round(pause, 1)), says, as_evidence(Waited(waited.polls + 1, job.name)), awaits)


def poll_again(command: RunStep, says: str, state: Any = None) -> Running:
    """Poll after `pause`. The step gets `state`, a dataclass, at its next poll from `Order.state`."""
    return Running(pause(command), says, as_evidence(state) if state is not None else {})


def asks_again(command: RunStep) -> bool:
    """Whether a step asks Azure again for what is not there yet: at polls 1, 2, 4, 8, ….

    What went wrong at the first request leaves no trace, and another one does no harm.
    """
    return max(command.poll, 1).bit_count() == 1


def pause(command: RunStep) -> timedelta:
    """Return the time until the next poll. If the lane knows the usual duration, that determines the pause. Otherwise
    pauses are short at first and then grow, since most operations take seconds and a deployment up to 20 minutes."""
    if command.expects is not None:
        return timedelta(seconds=round(_as_expected(command, command.expects), 1))
    if command.poll <= HALVES:
        return timedelta(seconds=FIRST_PAUSE / HALVES)
    # The exponent is bounded, because a float is.
    seconds = min(LONGEST_PAUSE, FIRST_PAUSE * GROWTH ** min(command.poll - HALVES, 50))
    return timedelta(seconds=round(seconds, 1))


def _as_expected(command: RunStep, expects: Expectation) -> float:
    elapsed = max(0.0, (command.not_before - command.started).total_seconds())
    usual = expects.usual.total_seconds()
    half = min(max(WINDOW * expects.spread.total_seconds(), NARROWEST * usual), WIDEST * usual)
    opens, closes = usual - half, usual + half
    if elapsed < opens:
        look, ahead = max(FIRST_LOOK, elapsed * LOOKS_GROW), opens - half
        # One poll ahead of the window, for steps that end early, and none shortly before that poll.
        planned = look if look < 0.6 * ahead else ahead if elapsed < ahead - FIRST_PAUSE else opens
        return max(FIRST_PAUSE, planned - elapsed)
    dense = max(FIRST_PAUSE, half / POLLS_IN_HALF, DENSEST * usual)
    late = max(0.0, elapsed - closes)
    return min(LONGEST_PAUSE, dense + 0.3 * late)
