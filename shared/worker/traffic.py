"""Moves an endpoint's traffic: every change is read, compared with what this promotion last left, written, and read
back. Steps change traffic only through this file.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from shared.core.messages import Failed, FailureKind, Outcome, Succeeded
from shared.core.precedence import is_newer
from shared.ports import Endpoint, EndpointKind, Workspace
from shared.worker.order import champion_saw
from shared.worker.polls import poll_again
from shared.worker.steps import deploy
from shared.worker.target import READY, SETTLED, VERSION, Target


@dataclass(frozen=True)
class Split:
    """How an endpoint's requests are divided, in per cent by deployment, without those that get nothing."""

    traffic: Mapping[str, int]
    mirror: Mapping[str, int] = field(default_factory=dict)  #: of the requests, copies

    def without_mirror_to(self, deployments: Collection[str]) -> "Split":
        return Split(self.traffic, {name: share for name, share in self.mirror.items() if name not in deployments})

    @property
    def deployments(self) -> frozenset[str]:
        """The names of all that get anything."""
        return frozenset((*self.traffic, *self.mirror))

    @property
    def words(self) -> str:
        """The deployments and their shares."""
        copies = f", copies to {names(self.mirror)}" if self.mirror else ""
        return names(self.traffic) + copies


def predecessor(target: Target) -> str | None:
    """The deployment that served when the promotion entered the stage; None if nothing served."""
    champion = target.command.champion
    if champion is None:
        return _adopted(target)
    theirs = champion_saw(champion, deploy.STEP)
    return theirs.deployment if theirs is not None else None


def _adopted(target: Target) -> str | None:
    """If the lane knows no champion, such as after its store was lost: the one deployment that `deploy` saw serving.
    Its tags must say that this app created it for this stage and model, and its version must not be newer."""
    deployed = target.if_seen(deploy.STEP)
    before = deployed.traffic_before if deployed is not None else {}
    if len(before) != 1 or target.deployment in before:
        return None
    found = target.workspace.deployment(target.endpoint, next(iter(before)))
    if found is None or not target.is_of_this_lane(found):
        return None
    return None if is_newer(found.tags.get(VERSION, ""), target.command.candidate.version) else found.name


def present(endpoint: Endpoint) -> dict[str, int]:
    """The deployments that take traffic now, in per cent."""
    return {name: share for name, share in endpoint.traffic.items() if share}


def split_of(endpoint: Endpoint) -> Split:
    """How the endpoint divides its requests now."""
    return Split(present(endpoint), {name: share for name, share in endpoint.mirror.items() if share})


def give_all(target: Target, endpoint: Endpoint, deployment: str | None) -> Outcome:
    """Give all traffic to `deployment`, or to no deployment if it is None. Copies that go to others stay."""
    kept = split_of(endpoint).without_mirror_to({target.deployment, deployment or ""}).mirror
    return give(target, endpoint, Split({deployment: 100} if deployment else {}, kept))


def give(target: Target, endpoint: Endpoint, wanted: Split, left: Collection[Split] | None = None) -> Outcome:
    """Divide the endpoint's requests as `wanted`; succeed once that is read back.

    `left`: what this promotion may have left. If anything else is found, somebody has moved the traffic, and it stays
    where it is. None: whatever is found is replaced. A deployment that is not ready gets no traffic and never counts as
    serving: it may be being removed.
    """
    command, workspace = target.command, target.workspace
    if not target.owns(endpoint):
        return Failed(target.not_ours(), FailureKind.CONFLICT)
    if endpoint.state not in SETTLED:
        return poll_again(command, f"endpoint {endpoint.name}: {endpoint.state}")
    found = split_of(endpoint)
    if left is not None and found not in (*left, wanted):
        return moved_by_somebody(endpoint, found)
    # Read this after the endpoint, so that the deployment was ready after its traffic was read.
    for deployment in sorted(wanted.deployments):
        missing = _not_ready(workspace, endpoint, deployment)
        if missing:
            return missing
    if found == wanted:
        return Succeeded()
    workspace.start_traffic(endpoint.name, wanted.traffic, wanted.mirror)
    return poll_again(command, _moving(endpoint, wanted))


def moved_by_somebody(endpoint: Endpoint, found: Split) -> Failed:
    """The failure of a step that finds the traffic where nobody of this app has put it."""
    return Failed(
        f"{goes_to(endpoint, found)}, which is not what this promotion left, so it was left alone. Find out who "
        "changed it, correct it, and start a new promotion.",
        FailureKind.CONFLICT,
    )


def goes_to(endpoint: Endpoint, found: Split) -> str:
    """Where the requests of an endpoint go, as the beginning of a sentence."""
    if endpoint.kind is EndpointKind.BATCH:
        return f"The default of batch endpoint {endpoint.name} is {_default(found)}"
    return f"The traffic of endpoint {endpoint.name} goes to {found.words}"


def _moving(endpoint: Endpoint, wanted: Split) -> str:
    if endpoint.kind is EndpointKind.BATCH:
        return f"the default of batch endpoint {endpoint.name} is changing to {_default(wanted)}"
    return f"the traffic of endpoint {endpoint.name} is moving to {wanted.words}"


def _default(split: Split) -> str:
    return " and ".join(sorted(split.traffic)) or "no deployment"


def _not_ready(workspace: Workspace, endpoint: Endpoint, deployment: str) -> Failed | None:
    found = workspace.deployment(endpoint.name, deployment)
    if found is not None and found.state == READY:
        return None
    state = f"is in state {found.state}, not ready" if found is not None else "does not exist"
    return Failed(
        f"Deployment {deployment} of endpoint {endpoint.name} {state}, so nothing was changed. "
        f"{goes_to(endpoint, split_of(endpoint))}. Start a new promotion.",
        FailureKind.NOT_FOUND,
    )


def names(traffic: Mapping[str, int]) -> str:
    """The deployments and their shares, in words."""
    return " and ".join(f"{name} ({share} %)" for name, share in sorted(traffic.items())) or "no deployment"
