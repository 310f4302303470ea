"""Takes away the deployment that `deploy` made for this promotion. Undoes `deploy`."""

from pathlib import Path

from shared.core.messages import Outcome, RunStep, Succeeded
from shared.ports import Workspace
from shared.steps.looks import look_again
from shared.steps.target import Target


def run(command: RunStep, workspace: Workspace, folder: Path) -> Outcome:
    target = Target.of(command, folder)
    found = workspace.deployment(target.endpoint, target.deployment)
    if found is None and command.look <= 1:
        return Succeeded({"not_there": target.deployment})  # as where only the endpoint had been begun
    if found is None:
        return Succeeded({"deployment": target.deployment})
    if not target.is_of_this_promotion(found):
        return Succeeded({"left_alone": found.name})  # deploy stopped at it: it is not ours to remove
    if found.state == "Deleting":
        return look_again(command, f"deployment {found.name} is being removed")
    endpoint = workspace.endpoint(target.endpoint)
    if endpoint and endpoint.traffic.get(found.name):
        share = endpoint.traffic[found.name]
        return look_again(command, f"waits until {found.name} takes no traffic; it still takes {share} %")
    workspace.start_removal(target.endpoint, found.name)
    return look_again(command, f"deployment {found.name} is being removed")
