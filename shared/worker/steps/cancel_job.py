"""Cancels the job of the step that it undoes, in whichever attempt it was started."""

from dataclasses import dataclass

from shared.config.fields import Frozen
from shared.core.messages import Outcome, Succeeded, as_evidence
from shared.ports import Capability
from shared.worker import jobs
from shared.worker.order import Order, Step
from shared.worker.polls import poll_again
from shared.worker.target import PROMOTION


class AnyStage(Frozen):
    """The settings of a stage of any kind: none of them matters here."""

    @classmethod
    def parse(cls, _: object) -> "AnyStage":
        return cls()


class CancelOrder(Order[AnyStage]):
    """What is to be undone."""

    parses = AnyStage


@dataclass(frozen=True)
class Options:
    """What the plan says."""

    undoes: str  #: name of the step whose job is cancelled


@dataclass(frozen=True)
class CancelledJob:
    """What became of the step's jobs."""

    cancelled: tuple[str, ...] = ()  #: names of those that were under way, and are not any more
    ended: tuple[str, ...] = ()  #: names of those that had ended by themselves


def run(order: CancelOrder) -> Outcome:
    """Azure takes minutes to cancel a job, and does it alone once it has said that it will."""
    command, workspace = order.command, order.workspace
    step = order.options(Options).undoes
    cancelled: list[str] = []
    ended: list[str] = []
    # A second way back has an attempt of its own, and the job is of the one before.
    for attempt in range(command.attempt, 0, -1):
        found = workspace.submitted_job(jobs.name_of(command, step, attempt))
        if found is None or found.tags.get(PROMOTION) != command.promotion:
            continue
        if found.status in jobs.ENDED:
            (cancelled if found.status == "Canceled" else ended).append(found.name)
        elif found.status == jobs.CANCELLING:
            cancelled.append(found.name)
        else:
            workspace.start_cancellation(found.name)
            return poll_again(command, f"job {found.name} is being cancelled")
    return Succeeded(as_evidence(CancelledJob(tuple(cancelled), tuple(ended))))


STEP = Step("cancel_job", run, CancelledJob, CancelOrder, Capability.RUN)
