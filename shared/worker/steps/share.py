"""Copies the model from its workspace into the registry, and records its lineage while that can still be read.

Runs in the environment that the model comes from. Its evidence travels with the candidate: later stages judge it.
"""

import logging
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.core.approval import Author
from shared.core.messages import Failed, FailureKind, Outcome, Running, RunStep, Succeeded, as_evidence
from shared.ports import BusyError, Capability, ForbiddenError, Job, Model, RejectedError, Workspace, same_asset
from shared.worker.order import Step
from shared.worker.polls import Waited, poll_again, poll_when_ended
from shared.worker.target import Target

log = logging.getLogger("mlpromote")

# Evidence travels in messages and documents, so keep it small.
MOST_METRICS = 100
MOST_TAGS = 50
MOST_INPUTS = 20
LONGEST_TEXT = 256

#: Properties that azure-ai-ml sets on a job that was submitted from a git repository.
_GIT = {
    "repository": "azureml.git.repository_uri",
    "branch": "mlflow.source.git.branch",
    "commit": "mlflow.source.git.commit",
    "dirty": "azureml.git.dirty",
}


#: Azure ML's status of a job that succeeded.
COMPLETED = "Completed"
#: Its statuses of jobs that have ended.
ENDED = (COMPLETED, "Failed", "Canceled")


@dataclass(frozen=True)
class Lineage:
    """What Azure ML still knows of the job, or the run outside of any job, that made the model."""

    name: str
    status: str = ""  #: empty if the job was deleted
    experiment: str = ""
    parent: str | None = None
    code: str | None = None
    environment: str | None = None  #: the environment asset
    inputs: Mapping[str, str] = field(default_factory=dict)  #: name → path or value
    git: Mapping[str, str] = field(default_factory=dict)  #: repository, branch, commit, dirty
    tracked_by: str | None = None  #: `MLflow` if it is a run outside of any job


@dataclass(frozen=True)
class Options:
    """The options of this step in the plan."""

    metrics: tuple[str, ...] = ()  #: metrics that a gate of any stage uses, which are kept first


@dataclass(frozen=True)
class Shared:
    """The registry's copy, and where the model came from."""

    registry_model: str  #: id of the copy
    origin: str  #: id of the model that was copied
    authors: tuple[Author, ...] = ()
    registered: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    job: Lineage | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    metrics_left_out: int = 0
    #: Metrics whose value JSON cannot express: `NaN`, `Infinity` or `-Infinity`, as MLflow writes them.
    not_numbers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Copying:
    """What the next poll is to know: the model was there, with its tags, and the registry was asked to copy it."""

    model: str = ""  #: its asset id


def run(target: Target) -> Outcome:
    command, workspace = target.command, target.workspace
    name, version = command.candidate.name, command.candidate.version
    waiting = _still_under_way(target)
    if waiting is not None:
        return waiting
    model = workspace.model(name, version)
    if model is None:
        return Failed(
            f"There is no model {name}, version {version}, in {command.environment}: it was deleted or never existed. "
            "Register it and promote that version.",
            FailureKind.NOT_FOUND,
        )
    copy = workspace.registry_model(name, version)
    if copy is None:
        return _untagged(target, model) or _start(target, model)
    if not same_asset(copy.origin, model.asset_id):
        return Failed(
            f"The registry has another model {name}, version {version}, made from {copy.origin or 'something else'}. "
            "Register the model under a new version, or under another name.",
            FailureKind.CONFLICT,
        )
    job = workspace.job(model.job) if model.job else None
    if job is not None and job.status not in ENDED:
        # The model was registered while its job still runs. The job's last metrics and its final status count too.
        return poll_when_ended(target, job)
    return Succeeded(as_evidence(_shared(target, model, copy, job)))


def _still_under_way(target: Target) -> Running | None:
    """One look is enough while nothing has changed; whatever has, everything is read and checked again."""
    command, workspace = target.command, target.workspace
    waited, copying = target.state(Waited), target.state(Copying)
    if waited is not None and waited.job:
        job = workspace.job(waited.job)
        return poll_when_ended(target, job) if job is not None and job.status not in ENDED else None
    if copying is None or not copying.model or _asks_again(command):
        return None
    if workspace.registry_model(command.candidate.name, command.candidate.version) is not None:
        return None
    return poll_again(command, _copies(command), copying)


def _copies(command: RunStep) -> str:
    return f"the registry is copying model {command.candidate.name}, version {command.candidate.version}"


def _asks_again(command: RunStep) -> bool:
    """At polls 2, 4, 8, …: an import that went wrong leaves no trace, and a second one does no harm."""
    return math.log2(max(command.poll, 1)).is_integer()


def _untagged(target: Target, model: Model) -> Failed | None:
    """Why the model must not leave its workspace; None if it may. An event may claim tags that the model lacks."""
    asked = target.settings.require_tags
    missing = [f"{name}={value}" for name, value in asked.items() if model.tags.get(name) != value]
    if not missing:
        return None
    return Failed(
        f"Model {model.name}, version {model.version}, does not have the tag {', '.join(missing)}, which route "
        f"{target.command.lane.route} requires, so it was not shared. Tag it, then retry.",
        FailureKind.REFUSED,
    )


def _start(target: Target, model: Model) -> Outcome:
    command, workspace = target.command, target.workspace
    says = _copies(command)
    if _asks_again(command):
        if not workspace.has_files(model):
            return Failed(
                f"The files of model {model.name}, version {model.version}, are gone from {model.path}. Register the "
                "model again and promote that version.",
                FailureKind.NOT_FOUND,
            )
        try:
            workspace.start_share(model.name, model.version)
        except BusyError as fault:
            return poll_again(command, f"{says}: {fault}")
    return poll_again(command, says, Copying(model.asset_id))


def _shared(target: Target, model: Model, copy: Model, job: Job | None) -> Shared:
    workspace = target.workspace
    metrics = workspace.metrics(job.name) if job else {}
    kept = _kept(target, metrics)
    return Shared(
        registry_model=copy.asset_id,
        origin=model.asset_id,
        authors=_authors(workspace, model),
        registered=model.created,
        tags=_short(model.tags, MOST_TAGS, target.settings.require_tags),
        job=_lineage(job) if job else Lineage(model.job) if model.job else None,
        metrics={name: value for name, value in kept.items() if math.isfinite(value)},
        metrics_left_out=len(metrics) - len(kept),
        not_numbers={name: _in_words(value) for name, value in kept.items() if not math.isfinite(value)},
    )


def _authors(workspace: Workspace, model: Model) -> tuple[Author, ...]:
    """The authors that can be read. Each environment's policy decides whether an unknown author matters."""
    try:
        found = workspace.authors(model)
    except (ForbiddenError, RejectedError) as fault:
        log.warning("who made %s/%s cannot be read: %s", model.name, model.version, fault)
        return ()
    return tuple(Author(each.id[:LONGEST_TEXT], each.name[:LONGEST_TEXT], each.is_person) for each in found)


def _kept(target: Target, metrics: Mapping[str, float]) -> dict[str, float]:
    """All metrics if they are few, else all that gates use, and others by name up to the limit."""
    asked = {*target.options(Options).metrics, *(gate.metric for gate in target.stage.gates)}
    wanted = sorted(name for name in metrics if name in asked)
    others = sorted(name for name in metrics if name not in asked and len(name) <= LONGEST_TEXT)
    return {name: metrics[name] for name in [*wanted, *others[: max(0, MOST_METRICS - len(wanted))]]}


def _in_words(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _lineage(job: Job) -> Lineage:
    return Lineage(
        name=job.name,
        status=job.status,
        experiment=job.experiment[:LONGEST_TEXT],
        parent=job.parent,
        code=job.code,
        environment=job.environment_asset,
        inputs=_short(job.inputs, MOST_INPUTS),
        tracked_by="MLflow" if job.is_run else None,
        git=git_of(job.properties),
    )


def git_of(properties: Mapping[str, str]) -> dict[str, str]:
    """The git repository, branch and commit that a job's properties name."""
    return {what: properties[key][:LONGEST_TEXT] for what, key in _GIT.items() if key in properties}


def _short(texts: Mapping[str, str], most: int, first: Collection[str] = ()) -> dict[str, str]:
    """All texts if they are few, else those in `first` before the others."""
    names = sorted(texts, key=lambda name: (name not in first, name))[:most]
    return {name[:LONGEST_TEXT]: texts[name][:LONGEST_TEXT] for name in names}


STEP = Step("share", run, Shared, Target, Capability.SHARE)
