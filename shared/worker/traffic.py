"""Gives all of an endpoint's traffic to one deployment, and reads it back to confirm."""

from shared.core.messages import Failed, FailureKind, Outcome, Succeeded
from shared.core.precedence import is_newer
from shared.ports import Endpoint, Workspace
from shared.worker.order import champion_saw
from shared.worker.polls import poll_again
from shared.worker.steps import deploy
from shared.worker.target import READY, SETTLED, VERSION, Target


def predecessor(target: Target) -> str | None:
    """The deployment that served when the promotion entered the stage; None if nothing served."""
    champion = target.command.champion
    if champion is None:
        return _adopted(target)
    theirs = champion_saw(champion, deploy.STEP)
    return theirs.deployment if theirs is not None else None


def _adopted(target: Target) -> str | None:
    """If the lane knows no champion, such as after its store was lost: the one deployment that `deploy` saw serving.
    Its tags must say that this app created it for this stage and model, and its version must not be newer."""
    deployed = target.if_seen(deploy.STEP)
    before = deployed.traffic_before if deployed is not None else {}
    if len(before) != 1 or target.deployment in before:
        return None
    found = target.workspace.deployment(target.endpoint, next(iter(before)))
    if found is None or not target.is_of_this_lane(found):
        return None
    return None if is_newer(found.tags.get(VERSION, ""), target.command.candidate.version) else found.name


def present(endpoint: Endpoint) -> dict[str, int]:
    """The deployments that take traffic now, in per cent."""
    return {name: share for name, share in endpoint.traffic.items() if share}


def give_all(target: Target, endpoint: Endpoint, deployment: str | None) -> Outcome:
    """Give all traffic to `deployment`, or to no deployment if it is None.

    A deployment that is not ready gets no traffic and never counts as serving: it may be being removed.
    """
    command, workspace = target.command, target.workspace
    if not target.owns(endpoint):
        return Failed(target.not_ours(), FailureKind.CONFLICT)
    wanted = {deployment: 100} if deployment else {}
    if endpoint.state not in SETTLED:
        return poll_again(command, f"endpoint {endpoint.name}: {endpoint.state}")
    # Read this after the endpoint, so that the deployment was ready after its traffic was read.
    missing = _not_ready(workspace, endpoint, deployment) if deployment else None
    if missing:
        return missing
    if present(endpoint) == wanted:
        return Succeeded()
    workspace.start_traffic(endpoint.name, wanted)
    return poll_again(command, f"the traffic of endpoint {endpoint.name} is moving to {deployment or 'no deployment'}")


def _not_ready(workspace: Workspace, endpoint: Endpoint, deployment: str) -> Failed | None:
    found = workspace.deployment(endpoint.name, deployment)
    if found is not None and found.state == READY:
        return None
    state = f"is in state {found.state}, not ready" if found is not None else "does not exist"
    return Failed(
        f"Deployment {deployment} of endpoint {endpoint.name} {state} and cannot take the traffic, which stays with "
        f"{names(present(endpoint))}. Start a new promotion.",
        FailureKind.NOT_FOUND,
    )


def names(traffic: dict[str, int]) -> str:
    """The deployments and their shares, in words."""
    return " and ".join(f"{name} ({share} %)" for name, share in sorted(traffic.items())) or "no deployment"
