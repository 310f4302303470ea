"""Gives all traffic to the new deployment. The old one stays, without traffic, until `retire`."""

from pathlib import Path

from shared.core.messages import Outcome, RunStep
from shared.ports import Workspace
from shared.steps.target import Target
from shared.steps.traffic import give_all


def run(command: RunStep, workspace: Workspace, folder: Path) -> Outcome:
    target = Target.of(command, folder)
    # As deploy saw it: once this step has begun, the endpoint no longer shows what was before.
    before = command.evidence.get("deploy", {}).get("traffic_before", {})
    evidence = {"traffic": {target.deployment: 100}, "traffic_before": before}
    return give_all(target, workspace, target.deployment, evidence)
