"""Makes sure that the champion's deployment is there to take the traffic back, deploying it again if it was retired.

Comes before `restore` on the way back from `shift`, and asks no gate: the champion has passed them. What was approved
then counts: nothing else is brought back.
"""

from dataclasses import replace
from pathlib import Path

from shared.core.messages import Failed, FailureKind, Outcome, RunStep, Succeeded
from shared.ports import Workspace
from shared.worker.manifest import registry_copy
from shared.worker.rules import Rules, approved_then, authors, unapproved
from shared.worker.steps import deploy
from shared.worker.target import READY, Target
from shared.worker.traffic import predecessor


def run(command: RunStep, workspace: Workspace, folder: Path, rules: Rules) -> Outcome:
    champion = command.champion
    if champion is None:
        return Succeeded({})
    theirs = replace(command, promotion=champion.promotion, candidate=champion.candidate, evidence=champion.evidence)
    target = Target.of(theirs, folder)
    found = workspace.deployment(target.endpoint, predecessor(target, workspace) or target.deployment)
    if found is not None and found.state == READY:
        return Succeeded({"deployment": found.name})
    return deploy.deployed(target, workspace, rules, _as_it_served)


def _as_it_served(target: Target, workspace: Workspace, rules: Rules) -> str | Failed:
    """The same asset of the registry on the same endpoint, approved then. Files may have been mended since: who may
    deploy this app may mend them, and a way back that they close would be worse."""
    command = target.command
    copy = registry_copy(command, workspace)
    if isinstance(copy, Failed):
        return copy
    then = approved_then(command, rules)
    if then is None or (then.model, then.origin, then.endpoint) != (copy.asset_id, copy.origin, target.endpoint):
        return Failed(
            f"{command.candidate.name}, version {command.candidate.version}, is not what was validated when it came to "
            f"serve {command.stage}. Promote it anew.",
            FailureKind.CHANGED,
        )
    return unapproved(command, then.digest, authors(command, copy, rules), rules) or copy.asset_id
