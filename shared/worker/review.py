"""Reviews everything that would be deployed, and judges gates and rules. Used by `validate`, and again by the later
steps that act on its result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.core.approval import Author
from shared.core.messages import Failed, FailureKind, as_evidence
from shared.core.replacing import replace
from shared.worker import (
    batch_endpoints,
    deployment_environments,
    endpoint_settings,
    evaluation_rules,
    gates,
    manifest,
    monitors,
    rules,
    smoke_file,
)
from shared.worker.analysis_job import analysis_file
from shared.worker.gates import Judged, Verdict
from shared.worker.manifest import Described, Manifest
from shared.worker.steps import share
from shared.worker.target import Target


@dataclass(frozen=True)
class Review:
    """A candidate that may be deployed here, apart from any approval that is still needed."""

    verdicts: Sequence[Verdict]
    manifest: Manifest
    authors: Sequence[Author]
    endpoint_changes: Mapping[str, str] = field(default_factory=dict)  #: by setting: `is → will be`


def review(target: Target) -> Review | Failed:
    """Judge the gates first, then read the files. Raises `RejectedError` for a wrong file."""
    command, shared = target.command, target.seen(share.STEP)
    verdicts = gates.judge(target.stage.gates, target.settings.require_tags, shared, command.champion)
    if refusal := gates.refusal(command.stage, verdicts):
        return refusal
    found = _obstacle_or_review(target, verdicts)
    return (
        found
        if isinstance(found, Review) or found.evidence
        else replace(found, evidence=as_evidence(Judged(tuple(verdicts))))
    )


def _obstacle_or_review(target: Target, verdicts: Sequence[Verdict]) -> Review | Failed:
    workspace = target.workspace
    described = batch_endpoints.with_cluster(target, workspace.deployment_file(target.deployment_file))
    if isinstance(described, Failed):
        return described
    asked = target.stage.evaluate
    job = workspace.job_file(target.folder / asked.job) if asked else None
    analysis = analysis_file(target)
    compares = workspace.job_file(analysis) if analysis else None
    if target.smoke_file and target.stage.smoke:
        smoke_file.read(target.smoke_file, target.stage.smoke.tolerance)
    file, endpoint = endpoint_settings.requested(target), workspace.endpoint(target.endpoint)
    if endpoint and not target.owns(endpoint):
        return Failed(target.not_ours(), FailureKind.CONFLICT)
    if endpoint and file and (obstacle := endpoint_settings.obstacle(target, file, endpoint)):
        return obstacle
    monitor = monitors.requested(target, described)
    copy = manifest.model_to_deploy(target)
    if isinstance(copy, Failed):
        return copy
    # Azure refuses a registry in a region to which it is not replicated.
    if target.uses_registry and (region := workspace.missing_region()):
        return Failed(
            f"The registry is not replicated to {region}, the region of the workspace of "
            f"{target.command.environment}, so nothing in it can be deployed there. Add the region to the registry, "
            "then retry.",
            FailureKind.NOT_FOUND,
        )
    shared = target.seen(share.STEP)
    environment = deployment_environments.pinned(target, described, shared.environments or {}, shared.not_here)
    if isinstance(environment, Failed):
        return environment
    made_by = rules.authors(target, copy)
    verdicts = [*verdicts, *rules.judge(target, described, made_by), *evaluation_rules.judge(target, job)]
    if refusal := gates.refusal(target.command.stage, verdicts):
        return refusal
    found = Described(described, job, compares, file, environment, monitor)
    seen = manifest.read(target, copy, found, verdicts, made_by)
    has = endpoint.settings if endpoint else None
    changes = endpoint_settings.differences(file.settings, has).changeable if file and has else {}
    return Review(verdicts, seen, made_by, changes)
