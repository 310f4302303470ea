"""Gives all traffic to the new deployment. The old one stays, without traffic, until `retire`."""

from pathlib import Path

from shared.core.messages import Failed, FailureKind, Outcome, RunStep, Succeeded
from shared.ports import Workspace
from shared.worker.target import Target
from shared.worker.traffic import give_all, names, predecessor, present


def run(command: RunStep, workspace: Workspace, folder: Path) -> Outcome:
    """Only from where this promotion found the traffic: whoever has moved it meanwhile had a reason."""
    target = Target.of(command, folder)
    endpoint = workspace.endpoint(target.endpoint)
    if endpoint is None:
        return Failed(f"Endpoint {target.endpoint} is gone. Start a new promotion.", FailureKind.NOT_FOUND)
    strangers = {name: share for name, share in present(endpoint).items() if name != target.deployment}
    if strangers:
        strangers.pop(predecessor(target, workspace) or "", None)
    if strangers and target.owns(endpoint):
        return Failed(
            f"The traffic of endpoint {endpoint.name} goes to {names(strangers)}, which is not what served when this "
            "promotion began, so it was left there. Look who has changed it, and start a new promotion.",
            FailureKind.CONFLICT,
        )
    # As deploy saw it: once this step has begun, the endpoint no longer shows what was before.
    before = command.evidence.get("deploy", {}).get("traffic_before", {})
    moved = give_all(target, workspace, endpoint, target.deployment, {})
    if not isinstance(moved, Succeeded):
        return moved
    others = [each.name for each in workspace.deployments(target.endpoint) if each.name != target.deployment]
    return Succeeded({"traffic": {target.deployment: 100}, "traffic_before": before, "others": sorted(others)})
