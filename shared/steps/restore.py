"""Gives the traffic back to the champion's deployment. Undoes `shift`."""

from pathlib import Path

from shared.core.messages import Outcome, RunStep, Succeeded
from shared.ports import Workspace
from shared.steps.target import BROKEN, READY, Target
from shared.steps.traffic import give_all, predecessor, present


def run(command: RunStep, workspace: Workspace, folder: Path) -> Outcome:
    """To no deployment where none served before. Traffic that does not go to this promotion's deployment is left."""
    target = Target.of(command, folder)
    endpoint = workspace.endpoint(target.endpoint)
    settled = endpoint is None or endpoint.state in (READY, *BROKEN)
    if endpoint is None or (settled and target.deployment not in present(endpoint)):
        return Succeeded({"traffic": present(endpoint) if endpoint else {}})
    deployment = predecessor(target, workspace)
    return give_all(target, workspace, endpoint, deployment, {"traffic": {deployment: 100} if deployment else {}})
