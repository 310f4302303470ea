"""Cancels the job of the step that it undoes, whichever attempt started it."""

from dataclasses import dataclass

from shared.core.job_statuses import CANCELED, CANCELLING, ENDED
from shared.core.messages import Outcome, Succeeded, as_evidence
from shared.ports import Capability
from shared.worker import jobs
from shared.worker.order import AnyOrder, Step
from shared.worker.polls import poll_again


@dataclass(frozen=True)
class Options:
    """The options of this step in the plan."""

    undoes: str  #: name of the step whose job is cancelled


@dataclass(frozen=True)
class CancelledJob:
    """What happened to the step's jobs."""

    cancelled: tuple[str, ...] = ()  #: names of jobs that were under way and have been cancelled
    ended: tuple[str, ...] = ()  #: names of jobs that had already ended


def run(order: AnyOrder) -> Outcome:
    """Poll once. Azure takes minutes to cancel a job, but needs no further call once it has accepted."""
    command, workspace = order.command, order.workspace
    step = order.options(Options).undoes
    cancelled: list[str] = []
    ended: list[str] = []
    for found in jobs.submitted_by(order, step):
        if found.status in ENDED:
            (cancelled if found.status == CANCELED else ended).append(found.name)
        elif found.status == CANCELLING:
            cancelled.append(found.name)
        else:
            workspace.start_cancellation(found.name)
            return poll_again(command, f"job {found.name} is being cancelled")
    return Succeeded(as_evidence(CancelledJob(tuple(cancelled), tuple(ended))))


STEP = Step("cancel_job", run, CancelledJob, AnyOrder, Capability.RUN)
