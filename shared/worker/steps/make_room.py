"""Removes the deployments that an earlier promotion of the lane replaced and keeps, before a new one is made.

They take up quota, and an endpoint has a limited number of deployments. What serves now stays, and is what this
promotion would return the traffic to.
"""

from dataclasses import dataclass

from shared.core.messages import Outcome, Succeeded, as_evidence
from shared.ports import Capability
from shared.worker import kept, removals
from shared.worker.order import Step
from shared.worker.polls import poll_again
from shared.worker.target import SETTLED, Target


@dataclass(frozen=True)
class Removed:
    """The names of the deployments that were removed."""

    deployments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Removing:
    """State for the next poll: what there was to remove."""

    deployments: tuple[str, ...] = ()


def run(target: Target) -> Outcome:
    endpoint = target.workspace.endpoint(target.endpoint)
    if endpoint is None or not target.owns(endpoint):  # `deploy` deals with both
        return Succeeded(as_evidence(Removed()))
    begun = target.state(Removing) or Removing()
    if endpoint.state not in SETTLED:
        return poll_again(target.command, f"endpoint {endpoint.name}: {endpoint.state}", begun)
    left = kept.by_others(target, endpoint)
    if not left:
        return Succeeded(as_evidence(Removed(begun.deployments)))
    removals.start_one(target, left)
    names = tuple(each.name for each in left)
    return poll_again(target.command, removals.says(names), begun if begun.deployments else Removing(names))


STEP = Step("make_room", run, Removed, Target, Capability.DEPLOY)
