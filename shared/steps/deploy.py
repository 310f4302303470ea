"""Creates the new deployment beside the one that serves, without traffic, and the endpoint where it is missing."""

from hashlib import sha256
from pathlib import Path
from typing import Any

from shared.core.messages import Failed, FailureKind, Outcome, RunStep, Succeeded
from shared.ports import Deployment, Endpoint, ForbiddenError, RejectedError, Workspace
from shared.steps import deployment_failure
from shared.steps.looks import look_again
from shared.steps.target import ATTEMPT, BROKEN, MODEL, PROMOTION, READY, ROUTE, STAGE, VERSION, Target
from shared.steps.validate import unusable_copy

#: Longest value that a tag of an Azure resource may have.
_LONGEST_TAG = 256


def run(command: RunStep, workspace: Workspace, folder: Path) -> Outcome:
    target = Target.of(command, folder)
    endpoint = workspace.endpoint(target.endpoint)
    if endpoint is None:
        workspace.start_endpoint(target.endpoint, target.endpoint_tags)
        return look_again(command, f"endpoint {target.endpoint} is being created")
    if not target.owns(endpoint):
        return Failed(target.not_ours(), FailureKind.CONFLICT)
    if endpoint.state in BROKEN:
        return _broken_endpoint(endpoint)
    found = workspace.deployment(target.endpoint, target.deployment)
    if endpoint.state != READY and (found is None or found.state == READY):
        return look_again(command, f"endpoint {endpoint.name}: {endpoint.state}")
    if found is None:
        return _start(target, workspace)
    if not target.is_of_this_promotion(found):
        return Failed(
            f"Deployment {found.name} of endpoint {endpoint.name} is not of this promotion. Remove it, and retry.",
            FailureKind.CONFLICT,
        )
    return _progress(target, workspace, endpoint, found)


def _start(target: Target, workspace: Workspace) -> Outcome:
    obstacle = unusable_copy(target.command, workspace)
    if obstacle:
        return obstacle
    model = target.command.evidence["share"]["registry_model"]
    workspace.start_deployment(target.deployment_file, target.endpoint, target.deployment, model, _tags(target))
    return look_again(target.command, f"deployment {target.deployment} is being created")


def _progress(target: Target, workspace: Workspace, endpoint: Endpoint, found: Deployment) -> Outcome:
    command = target.command
    if found.state not in (READY, *BROKEN):
        return look_again(command, f"deployment {found.name}: {found.state}")
    if found.tags.get(ATTEMPT) != str(command.attempt) and not endpoint.traffic.get(found.name):
        # What it was made from may have been mended since: made anew, under the same name.
        workspace.start_removal(endpoint.name, found.name)
        return look_again(command, f"deployment {found.name} of an attempt before is being removed")
    if found.state in BROKEN:
        return deployment_failure.failed(found, _log(workspace, endpoint, found))
    return Succeeded(_evidence(target, endpoint, found))


def _log(workspace: Workspace, endpoint: Endpoint, found: Deployment) -> str:
    """The end of the container's log; where there is none to read, why: the failure is reported all the same."""
    try:
        return workspace.logs(endpoint.name, found.name, deployment_failure.LOG_LINES)
    except (ForbiddenError, RejectedError) as fault:
        return str(fault)


def _evidence(target: Target, endpoint: Endpoint, found: Deployment) -> dict[str, Any]:
    return {
        "endpoint": endpoint.name,
        "deployment": found.name,
        "model": found.model,
        "scoring_uri": endpoint.scoring_uri,
        "deployment_file": target.settings.deployment,
        "deployment_file_sha256": _digest(target.deployment_file),
        "traffic_before": {name: share for name, share in endpoint.traffic.items() if share},
    }


def _digest(file: Path) -> str | None:
    """None where the file went away after the deployment was made from it."""
    return sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def _tags(target: Target) -> dict[str, str]:
    command = target.command
    job = (command.evidence["share"].get("job") or {}).get("name")
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
    why = f": {endpoint.error}" if endpoint.error else ""
    return Failed(
        f"Endpoint {endpoint.name} is in state {endpoint.state}{why}. Delete it if it serves nobody, then retry.",
        deployment_failure.kind_of(endpoint.error),
    )
