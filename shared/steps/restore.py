"""Gives the traffic back to the champion's deployment. Undoes `shift`."""

from pathlib import Path

from shared.core.messages import Outcome, RunStep
from shared.ports import Workspace
from shared.steps.target import Target
from shared.steps.traffic import give_all


def run(command: RunStep, workspace: Workspace, folder: Path) -> Outcome:
    """To no deployment where there was no champion: the endpoint then answers as before the first promotion."""
    target = Target.of(command, folder)
    champion = command.champion
    deployment = champion.evidence.get("deploy", {}).get("deployment") if champion else None
    return give_all(target, workspace, deployment, {"traffic": {deployment: 100} if deployment else {}})
