"""Removes the deployments that the new one replaced, those that `shift` saw beside it, once it has the traffic.

A stage may keep them for some time: then this step runs after the stage's end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.core.messages import Failed, FailureKind, Outcome, Running, Succeeded, as_evidence
from shared.ports import Capability, Deployment, Endpoint
from shared.worker import removals, traffic
from shared.worker.order import Step
from shared.worker.polls import poll_again
from shared.worker.steps import shift
from shared.worker.target import DELETING, READY, SETTLED, Target


@dataclass(frozen=True)
class Retired:
    """The deployments that were kept, by name, and why."""

    left_alone: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Removing:
    """State for the next poll: the deployments that are being removed."""

    deployments: tuple[str, ...] = ()


def run(target: Target) -> Outcome:
    """Never touch a deployment created after the shift: this promotion's message may be late."""
    command, workspace = target.command, target.workspace
    waiting = _still_under_way(target)
    if waiting is not None:
        return waiting
    endpoint = workspace.endpoint(target.endpoint)
    serving = workspace.deployment(target.endpoint, target.deployment)
    if endpoint is not None and endpoint.state not in SETTLED:
        return poll_again(command, f"endpoint {endpoint.name}: {endpoint.state}")
    if endpoint is None or serving is None or serving.state != READY or not endpoint.traffic.get(serving.name):
        # `shift` read the traffic back, so somebody has changed it since, for a reason.
        return Failed(
            f"Nothing was removed from endpoint {target.endpoint}: deployment {target.deployment} no longer serves. "
            f"{traffic.goes_to(endpoint, traffic.split_of(endpoint)) if endpoint else 'The endpoint is gone'}.",
            FailureKind.CONFLICT,
        )
    seen = target.seen(shift.STEP).others
    others = [each for each in workspace.deployments(target.endpoint) if each.name in seen]
    needed = traffic.split_of(endpoint).deployments
    replaced = [each for each in others if target.owns(each) and each.name not in needed]
    waiting = _until_answered(target, replaced) if replaced else None
    if waiting is not None:
        return waiting
    if replaced:
        removals.start_one(target, replaced)
        names = tuple(each.name for each in replaced)
        return poll_again(command, removals.says(names), Removing(names))
    left = {each.name: _why_left(target, endpoint, each) for each in others}
    return Succeeded(as_evidence(Retired(left)))


def _still_under_way(target: Target) -> Running | None:
    """Return the answer while nothing has changed, after a single call. After a change, check everything again."""
    removing = target.state(Removing)
    if removing is None or not removing.deployments:
        return None
    there = {each.name: each.state for each in target.workspace.deployments(target.endpoint)}
    # All of them still, and one on its way out: Azure ML does one operation on an endpoint at a time.
    if DELETING in [there.get(name) for name in removing.deployments] and there.keys() >= {*removing.deployments}:
        return poll_again(target.command, removals.says(removing.deployments), removing)
    return None


def _until_answered(target: Target, replaced: Sequence[Deployment]) -> Running | None:
    """The answer while what served until now may still be answering requests. What was kept has long had none. Without
    a rollout, nobody has asked for more than the traffic moving at once."""
    rollout, removing = target.stage.rollout, target.state(Removing)
    if rollout is None or rollout.keep is not None or (removing is not None and removing.deployments):
        return None
    return removals.until_answered(target, replaced[0])


def _why_left(target: Target, endpoint: Endpoint, deployment: Deployment) -> str:
    if not target.owns(deployment):
        return "not made by this route"
    return "takes traffic" if endpoint.traffic.get(deployment.name) else "gets copies of requests"


STEP = Step("retire", run, Retired, Target, Capability.DEPLOY)
