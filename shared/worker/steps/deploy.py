"""Creates the new deployment beside the one that serves, without traffic, and the endpoint if it is missing.

Before it creates anything, it reads everything that the deployment is made from again. It stops unless exactly that was
validated and, if the environment requires it, approved.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.core.messages import Failed, FailureKind, Outcome, Running, Succeeded, as_evidence
from shared.ports import Capability, Deployment, Endpoint
from shared.worker import container_log, deployment_failure, endpoint_settings
from shared.worker.evaluation import approved_digest
from shared.worker.order import Step
from shared.worker.polls import poll_again
from shared.worker.rules import unapproved
from shared.worker.steps import evaluate, share
from shared.worker.steps.validate import still_as_validated
from shared.worker.target import ATTEMPT, BROKEN, MODEL, PROMOTION, READY, ROUTE, STAGE, VERSION, Target

#: Azure's limit for the value of a tag.
_LONGEST_TAG = 256


@dataclass(frozen=True)
class Permitted:
    """The assets that may be deployed now, by their ids."""

    model: str
    environment: str = ""  #: of the registry; empty for what the deployment file names


#: Returns what may be deployed now, or why nothing may.
Permission = Callable[[Target], Permitted | Failed]


@dataclass(frozen=True)
class Deployed:
    """The deployment, and who had the endpoint's traffic when it was created."""

    endpoint: str
    deployment: str
    model: str | None
    scoring_uri: str | None
    traffic_before: Mapping[str, int] = field(default_factory=dict)  #: in per cent


@dataclass(frozen=True)
class UnderWay:
    """State for the next poll: the endpoint was ready and is ours, and only the deployment is still pending."""

    deployment: str = ""


@dataclass(frozen=True)
class Changing:
    """State for the next poll: the endpoint is being changed to what its file asks for."""

    settings: Mapping[str, str] = field(default_factory=dict)  #: what changes, by setting


def run(target: Target) -> Outcome:
    return deployed(target, _as_approved, changes_endpoint=True)


def deployed(target: Target, permission: Permission, changes_endpoint: bool = False) -> Outcome:
    """Poll once on the way to the deployment. Whatever this creates uses what `permission` returns.
    `changes_endpoint`: whether an endpoint that exists gets the settings of the stage's endpoint file."""
    command, workspace = target.command, target.workspace
    waiting = _still_under_way(target)
    if waiting is not None:
        return waiting
    endpoint = workspace.endpoint(target.endpoint)
    if endpoint is None:
        permitted = permission(target)
        if isinstance(permitted, Failed):
            return permitted
        workspace.start_endpoint(target.endpoint, target.endpoint_tags, target.endpoint_file)
        return poll_again(command, f"endpoint {target.endpoint} is being created")
    if not target.owns(endpoint):
        return Failed(target.not_ours(), FailureKind.CONFLICT)
    if endpoint.state in BROKEN:
        return _broken_endpoint(endpoint)
    found = workspace.deployment(target.endpoint, target.deployment)
    if endpoint.state != READY and (found is None or found.state == READY):
        return poll_again(command, f"endpoint {endpoint.name}: {endpoint.state}", target.state(Changing))
    if found is None:
        permitted = permission(target)
        if isinstance(permitted, Failed):
            return permitted
        return (_change(target, endpoint) if changes_endpoint else None) or _start(target, permitted)
    if not target.is_of_this_promotion(found):
        return Failed(
            f"Deployment {found.name} of endpoint {endpoint.name} is not from this promotion. Remove it, then retry.",
            FailureKind.CONFLICT,
        )
    return _progress(target, endpoint, found)


def _still_under_way(target: Target) -> Running | None:
    """Return the answer while nothing has changed, after a single call. After a change, check everything again."""
    waited = target.state(UnderWay)
    if waited is None or waited.deployment != target.deployment:
        return None
    found = target.workspace.deployment(target.endpoint, target.deployment)
    if found is None or found.state in (READY, *BROKEN) or not target.is_of_this_promotion(found):
        return None
    return _wait(target, f"deployment {found.name}: {found.state}")


def _wait(target: Target, says: str) -> Running:
    """For the deployment alone."""
    return poll_again(target.command, says, UnderWay(target.deployment))


def _as_approved(target: Target) -> Permitted | Failed:
    found = still_as_validated(target)
    if isinstance(found, Failed):
        return found
    evaluated = evaluate.passed(target)
    if isinstance(evaluated, Failed):
        return evaluated
    refusal = unapproved(target, approved_digest(found.manifest.digest, evaluated), found.authors)
    return refusal or Permitted(found.manifest.model, found.manifest.environment)


def _change(target: Target, endpoint: Endpoint) -> Outcome | None:
    """Give the endpoint the settings of its file; None if it has them."""
    file = endpoint_settings.requested(target)
    changes = endpoint_settings.differences(file.settings, endpoint.settings).changeable if file else {}
    if file is None or not changes:
        return None
    before = target.state(Changing)
    if before is not None and before.settings.keys() & changes.keys():
        told = "; ".join(f"{name}: {change}" for name, change in changes.items())
        return Failed(
            f"Azure accepted the settings of {file.file.name} for endpoint {endpoint.name}, but did not change them: "
            f"{told}. Correct the file, or change the endpoint by hand, then retry.",
            FailureKind.CONFLICT,
        )
    target.workspace.start_endpoint_change(endpoint.name, file.file)
    return poll_again(target.command, f"endpoint {endpoint.name} gets other settings", Changing(changes))


def _start(target: Target, permitted: Permitted) -> Outcome:
    name, tags = target.deployment, _tags(target)
    target.workspace.start_deployment(
        target.deployment_file, target.endpoint, name, permitted.model, tags, permitted.environment
    )
    return _wait(target, f"deployment {target.deployment} is being created")


def _progress(target: Target, endpoint: Endpoint, found: Deployment) -> Outcome:
    command, workspace = target.command, target.workspace
    if found.state not in (READY, *BROKEN):
        return _wait(target, f"deployment {found.name}: {found.state}")
    if found.tags.get(ATTEMPT) != str(command.attempt) and not endpoint.traffic.get(found.name):
        # Its files may have been fixed since, so recreate it under the same name.
        workspace.start_removal(endpoint.name, found.name)
        return _wait(target, f"deployment {found.name} from an earlier attempt is being removed")
    if found.state in BROKEN:
        return deployment_failure.failed(found, container_log.read(workspace, endpoint.name, found.name))
    return Succeeded(as_evidence(_evidence(endpoint, found)))


def _evidence(endpoint: Endpoint, found: Deployment) -> Deployed:
    before = {name: percent for name, percent in endpoint.traffic.items() if percent}
    return Deployed(endpoint.name, found.name, found.model, endpoint.scoring_uri, before)


def _tags(target: Target) -> dict[str, str]:
    command = target.command
    job = target.seen(share.STEP).job
    tags = {
        ROUTE: command.lane.route,
        PROMOTION: command.promotion,
        ATTEMPT: str(command.attempt),
        STAGE: command.stage,
        MODEL: command.candidate.name,
        VERSION: command.candidate.version,
        "mlpromote.source": command.candidate.environment,
    }
    if job:
        tags["mlpromote.job"] = job.name
    return {name: value[:_LONGEST_TAG] for name, value in tags.items()}


def _broken_endpoint(endpoint: Endpoint) -> Failed:
    told = endpoint.error or endpoint.unread
    why = f": {told.rstrip('. ')}" if told else ""
    return Failed(
        f"Endpoint {endpoint.name} is in state {endpoint.state}{why}. If nothing uses it, delete it and retry.",
        deployment_failure.kind_of(endpoint.error),
    )


STEP = Step("deploy", run, Deployed, Target, Capability.DEPLOY)
