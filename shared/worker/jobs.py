"""Jobs that a step starts without waiting: submitted under a name that the step chooses, polled, and read at their end.

A step calls `followed` at each poll. While the job is under way, that is one call to Azure ML.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from shared.core.awaiting import PROMOTION
from shared.core.job_statuses import CANCELED, COMPLETED, ENDED
from shared.core.messages import AwaitedJob, Failed, FailureKind, Running, RunStep
from shared.core.redaction import clean
from shared.core.replacing import replace
from shared.ports import RejectedError, SubmittedJob, Workspace
from shared.worker import container_log
from shared.worker.error_kinds import kind_of
from shared.worker.order import Order
from shared.worker.polls import poll_again

#: Tag of the jobs that this app submits: a digest of the job's content.
DIGEST = "mlpromote.digest"

#: Azure ML takes 255 characters.
_LONGEST_NAME = 200
_DIGEST_LENGTH = 12
_LONGEST_ERROR = 1000
_TRACEBACK = "Traceback (most recent call last):"
#: Nobody retries more often.
_MOST_ATTEMPTS = 100

#: The order matters: the error of a script often mentions things that were not found.
_KINDS = (
    (FailureKind.QUOTA, r"quota|OutOfCapacity|not enough capacity"),
    (FailureKind.JOB_FAILED, r"user process|user ?script|exit(ed)? (with )?(status )?code|traceback"),
    (FailureKind.PERMISSION, r"authoriz|forbidden|permission|access ?denied|\b403\b"),
    (FailureKind.NOT_FOUND, r"not ?found|could not find|does not exist"),
    (FailureKind.TIMEOUT, r"time[d-]? ?out|longer than its limit"),
    (FailureKind.BAD_CONFIG, r"image ?build|invalid"),
)
_ADVICE = {
    FailureKind.QUOTA: "Request more quota, choose a smaller instance_type, or free unused resources",
    FailureKind.JOB_FAILED: "Fix the job's code",
    FailureKind.PERMISSION: "Give the missing rights to the identity that the job runs as",
    FailureKind.NOT_FOUND: "Correct the names that the job refers to",
    FailureKind.TIMEOUT: "Make the job faster, or raise its limit",
    FailureKind.BAD_CONFIG: "Correct the job file",
    FailureKind.UNKNOWN: "Look up the cause in Azure ML studio",
}


@dataclass(frozen=True)
class Begun:
    """What a step that follows a job keeps for its next poll."""

    job: str  #: name of the job, which was checked to be the step's own


def name_of(command: RunStep, step: str = "", attempt: int = 0) -> str:
    """Return the name of a step's job, for this attempt unless another is given. Deterministic and valid on Azure."""
    asked = f"{command.promotion}-{command.stage}-{step or command.step}-{attempt or command.attempt}"
    name = re.sub(r"[^A-Za-z0-9_-]", "-", asked)
    if name == asked and len(name) <= _LONGEST_NAME and name[0].isalnum():
        return name
    digest = sha256(asked.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{name[: _LONGEST_NAME - _DIGEST_LENGTH - 1].strip('-_') or 'job'}-{digest}"


def submitted_by(order: Order[Any], step: str) -> Iterator[SubmittedJob]:
    """Each job that a step of this promotion submitted, the latest attempt's first.

    A second rollback counts as an attempt, but the job is from the attempt before.
    """
    command = order.command
    for attempt in range(command.attempt, 0, -1):
        for each in (step, of_champion(step)):
            found = order.workspace.submitted_job(name_of(command, each, attempt))
            if found is not None and _is_of_this_promotion(order, found):
                yield found


def of_champion(step: str) -> str:
    """What the name of a step's second job is made from, which runs the champion."""
    return f"{step}-champion"


def _is_of_this_promotion(order: Order[Any], job: SubmittedJob) -> bool:
    """Invocations of batch endpoints cannot be given tags: these are known by their name and by who submitted them."""
    tagged = job.tags.get(PROMOTION)
    if tagged is not None:
        return tagged == order.command.promotion
    return order.workspace.job_creator(job.name) == order.workspace.own_id()


def is_name_of(job: str, command: RunStep, step: str) -> bool:
    """Return whether a job has the name of this step's job in any attempt."""
    return any(job == name_of(command, step, attempt) for attempt in range(1, _MOST_ATTEMPTS + 1))


def followed(
    order: Order[Any],
    start: Callable[[str], SubmittedJob | Failed],
    not_ours: Callable[[SubmittedJob], str],
) -> SubmittedJob | Running | Failed:
    """Return the step's job once it has completed; until then, or if it failed, return the step's answer.

    `start` submits the job under a name, or says why it cannot. `not_ours` says why an existing job with that name is
    not the one that `start` would submit, or is empty. It is called only once, so check again before using the job.
    """
    begun = order.state(Begun)
    found = polled(order, name_of(order.command), begun is not None, start, not_ours)
    if isinstance(found, Failed):
        return found
    if found.status not in ENDED:
        return _under_way(order, found)
    return found if found.status == COMPLETED else failed(order.workspace, found)


def polled(
    order: Order[Any],
    name: str,
    begun: bool,
    start: Callable[[str], SubmittedJob | Failed],
    not_ours: Callable[[SubmittedJob], str],
) -> SubmittedJob | Failed:
    """Return a job of the step as it is now. It is started unless it is there, or was `begun` by an earlier poll.
    The rest is as in `followed`."""
    found = order.workspace.submitted_job(name)
    if found is None and begun:  # the core relies on this poll starting nothing
        return Failed(f"Job {name} is gone from the workspace. Retry to run it again.", FailureKind.NOT_FOUND)
    if found is None:
        made = _started(order, start, name)
        if isinstance(made, Failed):
            return made
        found = made
    why = not_ours(found) if not begun else ""
    return _conflict(found, why) if why else found


def _started(order: Order[Any], start: Callable[[str], SubmittedJob | Failed], name: str) -> SubmittedJob | Failed:
    try:
        return start(name)
    except RejectedError:
        # Somebody else may have taken the name just now. Then that job explains more than this error.
        there = order.workspace.submitted_job(name)
        if there is None:
            raise
        return there


def _under_way(order: Order[Any], job: SubmittedJob) -> Running:
    polled = poll_again(order.command, f"job {job.name}: {job.status}", Begun(job.name))
    return replace(polled, awaits=AwaitedJob(job.workspace, job.name, is_ours=True))


def _conflict(job: SubmittedJob, why: str) -> Failed:
    return Failed(
        f"The workspace has another job named {job.name}: {why}. Find out who submitted it, and start a new promotion.",
        FailureKind.CONFLICT,
    )


def failed(workspace: Workspace, job: SubmittedJob) -> Failed:
    """Return the failure of a job that failed or was cancelled, with the cause and the end of its log."""
    end = workspace.job_end(job.name)
    # Redact before dropping lines, since a dropped line may be what identifies a secret.
    error, log = clean(end.error), clean(end.log)
    if job.status == CANCELED and not error:
        return Failed(
            f"Job {job.name} was cancelled in Azure ML, not by this app. Retry to run it again.",
            FailureKind.UNKNOWN,
            "\n".join(container_log.chosen(log)),
        )
    raised = container_log.cause_and_place(log)
    kind = kind_of(error, _KINDS, FailureKind.UNKNOWN)
    if raised and kind in (FailureKind.UNKNOWN, FailureKind.NOT_FOUND, FailureKind.BAD_CONFIG):
        kind = FailureKind.JOB_FAILED
    told = _without_traceback(error) or f"Azure ML reports only status {job.status}"
    cause = raised if raised and kind is FailureKind.JOB_FAILED else told
    return Failed(
        f"Job {job.name} failed. {_ADVICE[kind]}, then retry. The cause: {_brief(cause)}.",
        kind,
        diagnosis="\n".join([_brief(told), "", *_shown(error, log)]),
    )


def _shown(error: str, log: str) -> list[str]:
    """Return the log's last lines, after the error's traceback if the log has none."""
    has_only = _TRACEBACK in error and container_log.cause(log) is None
    return [*(container_log.chosen(error[error.index(_TRACEBACK) :]) if has_only else ()), *container_log.chosen(log)]


def _without_traceback(error: str) -> str:
    """Return Azure ML's text with the exception instead of its traceback, which the log shows."""
    before, found, _ = error.partition(_TRACEBACK)
    raised = container_log.cause_and_place(error) if found else None
    return f"{before}{raised}" if raised else error


def _brief(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_ERROR].rstrip(". ")
