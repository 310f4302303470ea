"""Gives an endpoint's traffic to one deployment, and reads back that it has it."""

from shared.core.messages import Failed, FailureKind, Outcome, Succeeded
from shared.ports import Workspace
from shared.steps.looks import look_again
from shared.steps.target import BROKEN, READY, Target


def give_all(target: Target, workspace: Workspace, deployment: str | None, evidence: dict[str, object]) -> Outcome:
    """All traffic to `deployment`, or to none where it is None; `evidence` is that of the success."""
    command = target.command
    endpoint = workspace.endpoint(target.endpoint)
    if endpoint is None:
        if deployment is None:
            return Succeeded(evidence)
        return Failed(f"Endpoint {target.endpoint} is gone. Start a new promotion.", FailureKind.NOT_FOUND)
    if not target.owns(endpoint):
        return Failed(target.not_ours(), FailureKind.CONFLICT)
    wanted = {deployment: 100} if deployment else {}
    present = {name: share for name, share in endpoint.traffic.items() if share}
    if present == wanted and endpoint.state in (READY, *BROKEN):
        return Succeeded(evidence)
    if endpoint.state not in (READY, *BROKEN):
        return look_again(command, f"endpoint {endpoint.name}: {endpoint.state}")
    if deployment and deployment not in endpoint.traffic:
        return Failed(
            f"Deployment {deployment} of endpoint {endpoint.name} is not there to take the traffic, which was left to "
            f"{_names(present)}. Start a new promotion.",
            FailureKind.NOT_FOUND,
        )
    workspace.start_traffic(endpoint.name, wanted)
    return look_again(command, f"the traffic of endpoint {endpoint.name} goes to {deployment or 'no deployment'}")


def _names(traffic: dict[str, int]) -> str:
    return " and ".join(f"{name} ({share} %)" for name, share in sorted(traffic.items())) or "no deployment"
