"""Creates the new deployment beside the one that serves, without traffic, and the endpoint where it is missing.

Before it makes anything, it reads again all that the deployment is made from, and stops unless that is what was
validated and, where the environment asks for it, approved.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared.core.messages import Failed, FailureKind, Outcome, RunStep, Succeeded
from shared.ports import Deployment, Endpoint, ForbiddenError, RejectedError, Workspace
from shared.worker import deployment_failure
from shared.worker.polls import poll_again
from shared.worker.review import still_as_validated
from shared.worker.rules import Rules, unapproved
from shared.worker.target import ATTEMPT, BROKEN, MODEL, PROMOTION, READY, ROUTE, STAGE, VERSION, Target

#: Longest value that a tag of an Azure resource may have.
_LONGEST_TAG = 256


#: Reads the id of the registry's asset that may be deployed now, or says why none may.
Permission = Callable[[Target, Workspace, Rules], str | Failed]


def run(command: RunStep, workspace: Workspace, folder: Path, rules: Rules) -> Outcome:
    return deployed(Target.of(command, folder), workspace, rules, _as_approved)


def deployed(target: Target, workspace: Workspace, rules: Rules, permission: Permission) -> Outcome:
    """One look at the way to the deployment being there; whatever is made is made with the permission's model."""
    command = target.command
    endpoint = workspace.endpoint(target.endpoint)
    if endpoint is None:
        model = permission(target, workspace, rules)
        if isinstance(model, Failed):
            return model
        workspace.start_endpoint(target.endpoint, target.endpoint_tags)
        return poll_again(command, f"endpoint {target.endpoint} is being created")
    if not target.owns(endpoint):
        return Failed(target.not_ours(), FailureKind.CONFLICT)
    if endpoint.state in BROKEN:
        return _broken_endpoint(endpoint)
    found = workspace.deployment(target.endpoint, target.deployment)
    if endpoint.state != READY and (found is None or found.state == READY):
        return poll_again(command, f"endpoint {endpoint.name}: {endpoint.state}")
    if found is None:
        model = permission(target, workspace, rules)
        return model if isinstance(model, Failed) else _start(target, workspace, model)
    if not target.is_of_this_promotion(found):
        return Failed(
            f"Deployment {found.name} of endpoint {endpoint.name} is not of this promotion. Remove it, and retry.",
            FailureKind.CONFLICT,
        )
    return _progress(target, workspace, endpoint, found)


def _as_approved(target: Target, workspace: Workspace, rules: Rules) -> str | Failed:
    found = still_as_validated(target, workspace, rules)
    if isinstance(found, Failed):
        return found
    refusal = unapproved(target.command, found.manifest.digest, found.authors, rules)
    return refusal or found.manifest.model


def _start(target: Target, workspace: Workspace, model: str) -> Outcome:
    workspace.start_deployment(target.deployment_file, target.endpoint, target.deployment, model, _tags(target))
    return poll_again(target.command, f"deployment {target.deployment} is being created")


def _progress(target: Target, workspace: Workspace, endpoint: Endpoint, found: Deployment) -> Outcome:
    command = target.command
    if found.state not in (READY, *BROKEN):
        return poll_again(command, f"deployment {found.name}: {found.state}")
    if found.tags.get(ATTEMPT) != str(command.attempt) and not endpoint.traffic.get(found.name):
        # What it was made from may have been mended since: made anew, under the same name.
        workspace.start_removal(endpoint.name, found.name)
        return poll_again(command, f"deployment {found.name} of an attempt before is being removed")
    if found.state in BROKEN:
        return deployment_failure.failed(found, _log(workspace, endpoint, found))
    return Succeeded(_evidence(endpoint, found))


def _log(workspace: Workspace, endpoint: Endpoint, found: Deployment) -> str:
    """The end of the container's log; where there is none to read, why: the failure is reported all the same."""
    try:
        return workspace.logs(endpoint.name, found.name, deployment_failure.LOG_LINES)
    except (ForbiddenError, RejectedError) as fault:
        return str(fault)


def _evidence(endpoint: Endpoint, found: Deployment) -> dict[str, Any]:
    return {
        "endpoint": endpoint.name,
        "deployment": found.name,
        "model": found.model,
        "scoring_uri": endpoint.scoring_uri,
        "traffic_before": {name: share for name, share in endpoint.traffic.items() if share},
    }


def _tags(target: Target) -> dict[str, str]:
    command = target.command
    job = (command.evidence.get("share", {}).get("job") or {}).get("name")
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
        tags["mlpromote.job"] = job
    return {name: value[:_LONGEST_TAG] for name, value in tags.items()}


def _broken_endpoint(endpoint: Endpoint) -> Failed:
    told = endpoint.error or endpoint.unread
    why = f": {told.rstrip('. ')}" if told else ""
    return Failed(
        f"Endpoint {endpoint.name} is in state {endpoint.state}{why}. Delete it if it serves nobody, then retry.",
        deployment_failure.kind_of(endpoint.error),
    )
