"""Removes the deployments that the new one has replaced, once it has the traffic: those that `shift` saw beside it."""

from pathlib import Path

from shared.core.messages import Outcome, RunStep, Succeeded
from shared.ports import Deployment, Workspace
from shared.steps.looks import look_again
from shared.steps.target import Target


def run(command: RunStep, workspace: Workspace, folder: Path) -> Outcome:
    """A deployment that came after the shift is never touched: a message of this promotion may be late."""
    target = Target.of(command, folder)
    endpoint = workspace.endpoint(target.endpoint)
    if endpoint is None or not endpoint.traffic.get(target.deployment):
        return look_again(command, f"waits until {target.deployment} takes the traffic of {target.endpoint}")
    seen = command.evidence.get("shift", {}).get("others", [])
    others = [each for each in workspace.deployments(target.endpoint) if each.name in seen]
    replaced = [each for each in others if target.owns(each) and not endpoint.traffic.get(each.name)]
    if replaced:
        _remove(target, workspace, replaced)
        names = ", ".join(each.name for each in replaced)
        return look_again(command, f"being removed: {names}")
    left = {each.name: _why_left(target, each) for each in others}
    return Succeeded({"left_alone": left})


def _remove(target: Target, workspace: Workspace, replaced: list[Deployment]) -> None:
    """Begins with one that is not on its way out; Azure ML does one operation on an endpoint at a time."""
    waiting = [each for each in replaced if each.state != "Deleting"]
    if len(waiting) == len(replaced):
        workspace.start_removal(target.endpoint, waiting[0].name)


def _why_left(target: Target, deployment: Deployment) -> str:
    return "takes traffic" if target.owns(deployment) else "not made by this route"
