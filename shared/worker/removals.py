"""Removes several deployments of an endpoint, one after the other: Azure ML runs one operation on an endpoint at a
time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.core.messages import Running, as_evidence
from shared.core.wire import Moment
from shared.ports import Deployment
from shared.worker.target import DELETING, READY, Target

#: Beyond a request's own timeout. It counts from when the deployment gets the request, which the endpoint may have
#: assigned to it a moment before the traffic moved.
LATE_REQUESTS = timedelta(seconds=1)


@dataclass(frozen=True)
class Answering:
    """State for the next poll: since when a deployment gets no more requests, as far as is known."""

    since: Moment


def until_answered(target: Target, deployment: Deployment) -> Running | None:
    """The answer while a deployment that had a part of the traffic may still be answering requests, which its removal
    would cut off; None once all must have ended."""
    begun, now = target.state(Answering), target.command.not_before
    since = begun.since if begun is not None else now
    until = since + deployment.request_timeout + LATE_REQUESTS
    if deployment.state != READY or now >= until:
        return None
    says = f"deployment {deployment.name} gets no more requests, and may still answer some"
    return Running(until - now, says, as_evidence(Answering(since)))


def start_one(target: Target, deployments: Sequence[Deployment]) -> None:
    """Start to remove one of the deployments, unless one of them is being removed already."""
    waiting = [each for each in deployments if each.state != DELETING]
    if len(waiting) == len(deployments):
        target.workspace.start_removal(target.endpoint, waiting[0].name)


def says(names: Sequence[str]) -> str:
    """What is happening, in words."""
    return f"being removed: {', '.join(names)}"
