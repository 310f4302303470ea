"""Copies the model from its workspace into the registry, and gathers where it came from while that can be seen.

Runs in the environment that the model comes from. Its evidence travels: later stages judge by it.
"""

import logging
import math
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from shared.core.messages import Failed, FailureKind, Outcome, RunStep, Succeeded
from shared.ports import BusyError, ForbiddenError, Job, Model, RejectedError, Workspace, same_asset
from shared.worker.polls import poll_again

log = logging.getLogger("mlpromote")

# Evidence is part of messages and documents, so it is kept small.
MOST_METRICS = 100
MOST_TAGS = 50
MOST_INPUTS = 20
LONGEST_TEXT = 256

#: Properties of a job that azure-ai-ml sets where it was submitted from a git repository.
_GIT = {
    "repository": "azureml.git.repository_uri",
    "branch": "mlflow.source.git.branch",
    "commit": "mlflow.source.git.commit",
    "dirty": "azureml.git.dirty",
}


def run(command: RunStep, workspace: Workspace, folder: Path) -> Outcome:
    name, version = command.candidate.name, command.candidate.version
    model = workspace.model(name, version)
    if model is None:
        return Failed(
            f"There is no model {name}, version {version}, in {command.environment}: it was deleted, or never there. "
            "Register it and promote that version.",
            FailureKind.NOT_FOUND,
        )
    copy = workspace.registry_model(name, version)
    if copy is None:
        return _start(command, workspace, model)
    if not same_asset(copy.origin, model.asset_id):
        return Failed(
            f"The registry has another model {name}, version {version}, made from {copy.origin or 'something else'}. "
            "Register the model under a new version, or under another name.",
            FailureKind.CONFLICT,
        )
    return Succeeded(_evidence(command, workspace, model, copy))


def _start(command: RunStep, workspace: Workspace, model: Model) -> Outcome:
    says = f"the registry is copying model {model.name}, version {model.version}"
    # Asked for again at polls 2, 4, 8, …: an import that went wrong leaves no trace, and a second one does no harm.
    if math.log2(max(command.poll, 1)).is_integer():
        if not workspace.has_files(model):
            return Failed(
                f"The files of model {model.name}, version {model.version}, are gone from {model.path}. Register the "
                "model anew and promote that version.",
                FailureKind.NOT_FOUND,
            )
        try:
            workspace.start_share(model.name, model.version)
        except BusyError as fault:
            return poll_again(command, f"{says}: {fault}")
    return poll_again(command, says)


def _evidence(command: RunStep, workspace: Workspace, model: Model, copy: Model) -> dict[str, Any]:
    job = workspace.job(model.job) if model.job else None
    metrics = workspace.metrics(job.name) if job else {}
    kept = _kept_metrics(command, metrics)
    return {
        "registry_model": copy.asset_id,
        "authors": _authors(workspace, model),
        "origin": model.asset_id,
        "registered": _written(model.created),
        "tags": _short(model.tags, MOST_TAGS, command.settings.get("require_tags") or ()),
        "job": _lineage(job) if job else {"name": model.job} if model.job else None,
        "metrics": kept,
        "metrics_left_out": len(metrics) - len(kept),
    }


def _authors(workspace: Workspace, model: Model) -> list[dict[str, Any]]:
    """Those that can be read: whether an unknown author matters, the environments say whose policy it is."""
    try:
        found = workspace.authors(model)
    except (ForbiddenError, RejectedError) as fault:
        log.warning("who made %s/%s cannot be read: %s", model.name, model.version, fault)
        return []
    return [
        {"id": each.id[:LONGEST_TEXT], "name": each.name[:LONGEST_TEXT], "is_person": each.is_person} for each in found
    ]


def _kept_metrics(command: RunStep, metrics: Mapping[str, float]) -> dict[str, float]:
    """All if they are few; else first those that this stage's gates ask for, then by name."""
    asked = {gate.get("metric") for gate in command.settings.get("validate", ())}
    names = sorted(metrics, key=lambda name: (name not in asked, name))[:MOST_METRICS]
    return {name: metrics[name] for name in names if len(name) <= LONGEST_TEXT and math.isfinite(metrics[name])}


def _lineage(job: Job) -> dict[str, Any]:
    return {
        "name": job.name,
        "status": job.status,
        "experiment": job.experiment[:LONGEST_TEXT],
        "parent": job.parent,
        "code": job.code,
        "environment": job.environment_asset,
        "inputs": _short(job.inputs, MOST_INPUTS),
        "git": {what: job.properties[key][:LONGEST_TEXT] for what, key in _GIT.items() if key in job.properties},
    }


def _short(texts: Mapping[str, str], most: int, first: Collection[str] = ()) -> dict[str, str]:
    """All if they are few; else those that are asked for before the others."""
    names = sorted(texts, key=lambda name: (name not in first, name))[:most]
    return {name[:LONGEST_TEXT]: texts[name][:LONGEST_TEXT] for name in names}


def _written(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
