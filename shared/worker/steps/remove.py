"""Takes away the deployment that `deploy` made for this promotion. Undoes `deploy`."""

from pathlib import Path

from shared.core.messages import Failed, FailureKind, Outcome, RunStep, Succeeded
from shared.ports import Workspace
from shared.worker.polls import poll_again
from shared.worker.target import DELETING, SETTLED, Target


def run(command: RunStep, workspace: Workspace, folder: Path) -> Outcome:
    target = Target.of(command, folder)
    found = workspace.deployment(target.endpoint, target.deployment)
    if found is None and command.poll <= 1:
        return Succeeded({"not_there": target.deployment})  # as where only the endpoint had been begun
    if found is None:
        return Succeeded({"deployment": target.deployment})
    if not target.is_of_this_promotion(found):
        return Succeeded({"left_alone": found.name})  # deploy stopped at it: it is not ours to remove
    if target.is_of_later_attempt(found):
        return Succeeded({"left_alone": found.name})  # a retry has made it since
    if found.state == DELETING:
        return poll_again(command, f"deployment {found.name} is being removed")
    endpoint = workspace.endpoint(target.endpoint)
    if endpoint and endpoint.state not in SETTLED:
        return poll_again(command, f"endpoint {endpoint.name}: {endpoint.state}")
    if endpoint and endpoint.traffic.get(found.name):
        # `restore` comes before this, so nobody will move it: to wait would be to wait for ever.
        return Failed(
            f"Deployment {found.name} still takes {endpoint.traffic[found.name]} % of the traffic of endpoint "
            f"{endpoint.name}, so it was left there. Give the traffic to another deployment, then roll back again.",
            FailureKind.CONFLICT,
        )
    workspace.start_removal(target.endpoint, found.name)
    return poll_again(command, f"deployment {found.name} is being removed")
