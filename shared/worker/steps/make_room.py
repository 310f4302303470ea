"""Removes the deployments that an earlier promotion of the lane replaced and keeps, before a new one is made.

They take up quota, and an endpoint has a limited number of deployments. What serves now stays, and is what this
promotion would return the traffic to.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.core.messages import Outcome, Succeeded, as_evidence
from shared.ports import Capability, Deployment, Endpoint
from shared.worker import removals
from shared.worker.order import Step
from shared.worker.polls import poll_again
from shared.worker.target import SETTLED, Target
from shared.worker.traffic import predecessor, split_of


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
    kept = _kept(target, endpoint)
    if not kept:
        return Succeeded(as_evidence(Removed(begun.deployments)))
    removals.start_one(target, kept)
    names = tuple(each.name for each in kept)
    return poll_again(target.command, removals.says(names), begun if begun.deployments else Removing(names))


def _kept(target: Target, endpoint: Endpoint) -> Sequence[Deployment]:
    """The lane's deployments that get no requests and that nobody would return the traffic to."""
    serving = predecessor(target)
    if serving is None:
        return ()
    needed = {serving, target.deployment, *split_of(endpoint).deployments}
    found = target.workspace.deployments(target.endpoint)
    return [each for each in found if target.is_of_this_lane(each) and each.name not in needed]


STEP = Step("make_room", run, Removed, Target, Capability.DEPLOY)
