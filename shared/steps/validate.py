"""Decides whether the candidate may be deployed in this stage, and finds out before anything is spent if it can be."""

from dataclasses import replace
from pathlib import Path

from shared.core.messages import Failed, FailureKind, Outcome, RunStep, Succeeded
from shared.ports import Workspace
from shared.steps import gates, smoke_file
from shared.steps.share import same_asset
from shared.steps.target import Target


def run(command: RunStep, workspace: Workspace, folder: Path) -> Outcome:
    target = Target.of(command, folder)
    shared = command.evidence.get("share", {})
    verdicts = gates.judge(target.settings.gates, target.require_tags, shared, command.champion)
    evidence = {"gates": [verdict.as_evidence() for verdict in verdicts]}
    refused = [verdict for verdict in verdicts if not verdict.holds]
    if refused:
        reasons = "; ".join(f"{each.gate}: asked for {each.asked}, seen {each.seen}" for each in refused)
        return Failed(f"Refused for {command.stage}: {reasons}.", FailureKind.REFUSED, gates.table(verdicts), evidence)
    obstacle = _obstacle(target, workspace)
    return replace(obstacle, evidence=evidence) if obstacle else Succeeded(evidence)


def _obstacle(target: Target, workspace: Workspace) -> Failed | None:
    """What a deployment would fail of, as far as it can be seen now. Raises `RejectedError` for a wrong file."""
    workspace.check_deployment_file(target.deployment_file)
    if target.smoke_file and target.settings.smoke:
        smoke_file.read(target.smoke_file, target.settings.smoke.tolerance)
    endpoint = workspace.endpoint(target.endpoint)
    if endpoint and not target.owns(endpoint):
        return Failed(target.not_ours(), FailureKind.CONFLICT)
    return unusable_copy(target.command, workspace) or _out_of_reach(target.command, workspace)


def _out_of_reach(command: RunStep, workspace: Workspace) -> Failed | None:
    """Azure refuses to use a registry in a region that it is not replicated to."""
    region = workspace.missing_region()
    if region is None:
        return None
    return Failed(
        f"The registry is not replicated to {region}, where the workspace of {command.environment} is, so nothing in "
        "it can be deployed there. Add the region to the registry, then retry.",
        FailureKind.NOT_FOUND,
    )


def unusable_copy(command: RunStep, workspace: Workspace) -> Failed | None:
    """Why the registry's copy of the model cannot be deployed here, if it cannot."""
    name, version = command.candidate.name, command.candidate.version
    copy = workspace.registry_model(name, version)
    if copy is None:
        return Failed(
            f"{command.environment} sees no model {name}, version {version}, in the registry. Give its identity a role "
            "to read there; if the model was deleted, promote it anew.",
            FailureKind.NOT_FOUND,
        )
    origin = command.evidence.get("share", {}).get("origin")
    if not same_asset(copy.origin, origin):
        return Failed(
            f"Model {name}, version {version}, in the registry is not the one that was shared: it was made from "
            f"{copy.origin}, not from {origin}. Promote a new version.",
            FailureKind.CONFLICT,
        )
    return None
