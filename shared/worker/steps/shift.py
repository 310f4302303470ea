"""Gives all traffic to the new deployment. The old one stays, without traffic, until `retire`."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.core.messages import Failed, FailureKind, Outcome, Succeeded, as_evidence
from shared.ports import Capability, Endpoint
from shared.worker.order import Step
from shared.worker.rollout_splits import left_after, shared_with, steps_of
from shared.worker.target import Target
from shared.worker.traffic import Split, give, give_all, goes_to, predecessor, present


@dataclass(frozen=True)
class Shifted:
    """The deployments that take the traffic now, in per cent, and those that stay without any."""

    traffic: Mapping[str, int]
    others: tuple[str, ...] = ()  #: names of the other deployments


def run(target: Target) -> Outcome:
    """Move the traffic only if it is where this promotion found it: whoever moved it since had a reason."""
    workspace = target.workspace
    endpoint = workspace.endpoint(target.endpoint)
    if endpoint is None:
        return Failed(f"Endpoint {target.endpoint} no longer exists. Start a new promotion.", FailureKind.NOT_FOUND)
    strangers = {name: share for name, share in present(endpoint).items() if name != target.deployment}
    if strangers:
        strangers.pop(predecessor(target) or "", None)
    if strangers and target.owns(endpoint):
        return Failed(
            f"{goes_to(endpoint, Split(strangers))}, which is not what served when this promotion began, so it was "
            "left alone. Find out who changed it, and start a new promotion.",
            FailureKind.CONFLICT,
        )
    moved = _give(target, endpoint)
    if not isinstance(moved, Succeeded):
        return moved
    others = [each.name for each in workspace.deployments(target.endpoint) if each.name != target.deployment]
    return Succeeded(as_evidence(Shifted({target.deployment: 100}, tuple(sorted(others)))))


def _give(target: Target, endpoint: Endpoint) -> Outcome:
    """Give the new deployment everything: after a rollout only if the traffic is as its last step left it."""
    steps, champion = steps_of(target), shared_with(target)
    if not steps or champion is None:
        return give_all(target, endpoint, target.deployment)
    return give(target, endpoint, Split({target.deployment: 100}), [left_after(target, champion, len(steps))])


STEP = Step("shift", run, Shifted, Target, Capability.DEPLOY)
