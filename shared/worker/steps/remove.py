"""Removes the deployment that `deploy` created for this promotion. Undoes `deploy`."""

from dataclasses import dataclass

from shared.core.messages import Failed, FailureKind, Outcome, Succeeded, as_evidence
from shared.ports import Capability
from shared.worker import removals, traffic
from shared.worker.order import Step
from shared.worker.polls import poll_again
from shared.worker.target import DELETING, SETTLED, Target


@dataclass(frozen=True)
class Removed:
    """What happened to the deployment: exactly one of these holds its name."""

    deployment: str | None = None  #: it was removed
    not_there: str | None = None  #: it does not exist
    left_alone: str | None = None  #: it is not of this promotion, or a later attempt created it


def run(target: Target) -> Outcome:
    command, workspace = target.command, target.workspace
    found = workspace.deployment(target.endpoint, target.deployment)
    if found is None and command.poll <= 1:
        return Succeeded(as_evidence(Removed(not_there=target.deployment)))  # such as if only the endpoint was started
    if found is None:
        return Succeeded(as_evidence(Removed(target.deployment)))
    if not target.is_of_this_promotion(found):
        return Succeeded(as_evidence(Removed(left_alone=found.name)))  # `deploy` stopped because of it: it is not ours
    if target.is_of_later_attempt(found):
        return Succeeded(as_evidence(Removed(left_alone=found.name)))  # a retry has created it since
    if found.state == DELETING:
        return poll_again(command, f"deployment {found.name} is being removed")
    endpoint = workspace.endpoint(target.endpoint)
    if endpoint and endpoint.state not in SETTLED:
        return poll_again(command, f"endpoint {endpoint.name}: {endpoint.state}")
    if endpoint and found.name in traffic.split_of(endpoint).deployments:
        # `restore` ran before this, so nobody will move the traffic: waiting would never end.
        return Failed(
            f"Deployment {found.name} still gets requests of endpoint {endpoint.name}, so it was kept. "
            f"{traffic.goes_to(endpoint, traffic.split_of(endpoint))}. Change that to another deployment, then roll "
            "back again.",
            FailureKind.CONFLICT,
        )
    waiting = removals.until_answered(target, found) if target.stage.rollout is not None else None
    if waiting is not None:
        return waiting
    workspace.start_removal(target.endpoint, found.name)
    return poll_again(command, f"deployment {found.name} is being removed")


STEP = Step("remove", run, Removed, Target, Capability.DEPLOY)
