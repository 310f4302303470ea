"""Makes sure that the champion's deployment is there to take the traffic back, deploying it again if it was retired.

Comes before `restore` on the way back from `shift`, and asks no gate: the champion has passed them.
"""

from dataclasses import replace
from pathlib import Path

from shared.core.messages import Outcome, RunStep, Succeeded
from shared.ports import Workspace
from shared.steps import deploy
from shared.steps.target import READY, Target
from shared.steps.traffic import predecessor


def run(command: RunStep, workspace: Workspace, folder: Path) -> Outcome:
    champion = command.champion
    if champion is None:
        return Succeeded({})
    theirs = replace(command, promotion=champion.promotion, candidate=champion.candidate, evidence=champion.evidence)
    target = Target.of(theirs, folder)
    found = workspace.deployment(target.endpoint, predecessor(target, workspace) or target.deployment)
    if found is not None and found.state == READY:
        return Succeeded({"deployment": found.name})
    return deploy.run(theirs, workspace, folder)
