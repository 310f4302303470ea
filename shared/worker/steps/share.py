"""Copies the model from its workspace into the registry, and records its lineage while that can still be read.

Runs in the environment that the model comes from, or in the first stage's for a model of the registry. Copies nothing
if no stage needs a copy. Its evidence travels with the candidate: later stages judge it.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.core.approval import Author
from shared.core.job_statuses import ENDED
from shared.core.messages import Failed, FailureKind, Outcome, Running, RunStep, Succeeded, as_evidence
from shared.core.wire import Moment
from shared.ports import BusyError, Capability, ForbiddenError, Model, RejectedError, same_asset
from shared.worker import deployment_environments, origins
from shared.worker.deployment_environments import SharedEnvironment
from shared.worker.lineage import (
    LONGEST_TEXT,
    MOST_TAGS,
    Lineage,
    Measured,
    above,
    measured,
    of_this_app,
    short,
    traced,
    trimmed,
)
from shared.worker.metric_values import MetricValues
from shared.worker.missing import no_model
from shared.worker.order import Step
from shared.worker.polls import Waited, asks_again, poll_again, poll_when_ended
from shared.worker.target import Target

log = logging.getLogger("mlpromote")

#: Evidence travels in messages and documents, so keep it small.
MOST_METRICS = 100


@dataclass(frozen=True)
class Options:
    """The options of this step in the plan."""

    metrics: tuple[str, ...] = ()  #: metrics that a gate of any stage uses, which are kept first
    copies: bool = True  #: whether a stage needs the model in the registry
    #: Deployment files of the stages that take it from there: the environment assets that they name come along.
    deployments: tuple[str, ...] = ()
    batch_deployments: tuple[str, ...] = ()  #: the same of stages with a batch endpoint


@dataclass(frozen=True)
class Shared:
    """The registry's copy, and where the model came from."""

    registry_model: str | None  #: id of the copy; None where nothing was copied
    origin: str  #: id of the model that was copied, or would have been
    authors: tuple[Author, ...] = ()
    registered: Moment | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    job: Lineage | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    metrics_left_out: int = 0
    #: Metrics whose value JSON cannot express: `NaN`, `Infinity` or `-Infinity`, as MLflow writes them.
    not_numbers: Mapping[str, str] = field(default_factory=dict)
    #: Metric → the run that logged it, if that was not the job itself but a run below or beside it.
    measured_by: Mapping[str, str] = field(default_factory=dict)
    unclear: Mapping[str, str] = field(default_factory=dict)  #: metric → the values in words, if runs disagree
    looked_in: tuple[str, ...] = ()  #: where metrics were searched for, in words
    #: The job that a model of the registry names, if no workspace that this identity may read has it.
    job_not_found: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)  #: this app's own of the model, which never change
    #: By the reference in a deployment file: the registry's copy. None if no file names one of the workspace.
    environments: Mapping[str, SharedEnvironment] | None = None


@dataclass(frozen=True)
class _Made:
    """How the model was made, as far as that can be read."""

    by: tuple[Author, ...]
    job: Lineage | None
    measured: Measured


@dataclass(frozen=True)
class Copying:
    """State for the next poll: the model exists with its tags, and the registry was asked to copy it."""

    model: str = ""  #: its asset id


def run(target: Target) -> Outcome:
    if target.is_born_in_registry:
        return _from_registry(target)
    command, workspace = target.command, target.workspace
    name, version = command.candidate.name, command.candidate.version
    waiting = _still_under_way(target)
    if waiting is not None:
        return waiting
    model = workspace.model(name, version)
    if model is None:
        return no_model(command.candidate)
    if not target.options(Options).copies:
        return _untagged(target, model) or _traced(target, model, None)
    copy = workspace.registry_model(name, version)
    if copy is None:
        return _untagged(target, model) or _start(target, model)
    if not same_asset(copy.origin, model.asset_id):
        return Failed(
            f"The registry has another model {name}, version {version}, made from {copy.origin or 'something else'}. "
            "Register the model under a new version, or under another name.",
            FailureKind.CONFLICT,
        )
    asked = target.options(Options)
    environments = deployment_environments.share(target, asked.deployments, asked.batch_deployments)
    if isinstance(environments, Running | Failed):
        return environments
    traced = _traced(target, model, copy)
    if not isinstance(traced, Succeeded) or not environments:
        return traced
    return Succeeded({**traced.evidence, "environments": as_evidence(environments)})


def _traced(target: Target, model: Model, copy: Model | None) -> Outcome:
    """Record where the model came from. If its job is still running, wait for it to end, because later metrics and the
    final status count. For a step, wait for the whole pipeline, because another step may measure the model."""
    workspace = target.workspace
    job = workspace.job(model.job) if model.job else None
    pipeline = above(workspace, job) if job else None
    for each in (pipeline, job):
        if each is not None and each.status not in ENDED:
            return poll_when_ended(target, each)
    lineage = traced(job, pipeline) if job else Lineage(model.job) if model.job else None
    found = measured(workspace, job, _asked(target)) if job else Measured()
    made = _Made(_authors(workspace.authors, model), lineage, found)
    return Succeeded(as_evidence(_shared(target, model, copy, made)))


def _from_registry(target: Target) -> Outcome:
    """Record where a model of the registry came from, without copying it. Its job is searched for in workspaces that
    this environment may read."""
    command, rules = target.command, target.rules
    name, version = command.candidate.name, command.candidate.version
    model = target.workspace.registry_model(name, version)
    if model is None:
        return no_model(command.candidate)
    if refusal := _untagged(target, model):
        return refusal
    places = [target.workspace, *([rules.source] if rules.source else [])]
    origin = origins.find(places, model)
    pipeline = above(origin.workspace, origin.job) if origin else None
    for each in (pipeline, origin.job if origin else None):
        if each is not None and each.status not in ENDED:
            return poll_again(command, f"waits for job {each.name}, which made the model, to end")
    lineage = traced(origin.job, pipeline) if origin else None
    found = measured(origin.workspace, origin.job, _asked(target)) if origin else Measured()
    authors = _authors(lambda of: origins.registry_authors(places, of), model)
    shared = _shared(target, model, model, _Made(authors, lineage, found))
    named = None if origin else origins.job_named(model)
    return Succeeded(as_evidence(replace(shared, origin=model.origin or model.asset_id, job_not_found=named)))


def _still_under_way(target: Target) -> Running | None:
    """Return the answer while nothing has changed, after a single call. After a change, check everything again."""
    command, workspace = target.command, target.workspace
    waited, copying = target.state(Waited), target.state(Copying)
    if waited is not None and waited.job:
        job = workspace.job(waited.job)
        return poll_when_ended(target, job) if job is not None and job.status not in ENDED else None
    if copying is None or not copying.model or asks_again(command):
        return None
    if workspace.registry_model(command.candidate.name, command.candidate.version) is not None:
        return None
    return poll_again(command, _copies(command), copying)


def _copies(command: RunStep) -> str:
    return f"the registry is copying model {command.candidate.name}, version {command.candidate.version}"


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
    if asks_again(command):
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


def _asked(target: Target) -> Collection[str]:
    """The metrics that a gate of any stage looks at."""
    return {*target.options(Options).metrics, *(gate.metric for gate in target.stage.gates)}


def _shared(target: Target, model: Model, copy: Model | None, made: _Made) -> Shared:
    asked, found = _asked(target), made.measured
    kept = _kept(found.metrics, asked)
    values = MetricValues.of(kept)
    return Shared(
        registry_model=copy.asset_id if copy else None,
        origin=model.asset_id,
        authors=made.by,
        registered=model.created,
        tags=short(model.tags, MOST_TAGS, target.settings.require_tags),
        properties=of_this_app(model.properties),
        job=made.job,
        metrics=values.numbers,
        metrics_left_out=len(found.metrics) - len(kept),
        not_numbers=values.not_numbers,
        measured_by=dict(trimmed(found.steps, kept)),
        unclear=dict(trimmed(found.unclear, asked)),
        looked_in=tuple(where[:LONGEST_TEXT] for where in found.looked_in),
    )


def _authors(read: Callable[[Model], Sequence[Author]], model: Model) -> tuple[Author, ...]:
    """The authors that can be read. Each environment's policy decides whether an unknown author matters."""
    try:
        found = read(model)
    except (ForbiddenError, RejectedError) as fault:
        log.warning("who made %s/%s cannot be read: %s", model.name, model.version, fault)
        return ()
    return tuple(Author(each.id[:LONGEST_TEXT], each.name[:LONGEST_TEXT], each.is_person) for each in found)


def _kept(metrics: Mapping[str, float], asked: Collection[str]) -> dict[str, float]:
    """All metrics if they are few, else all that gates use, and others by name up to the limit."""
    wanted = sorted(name for name in metrics if name in asked)
    others = sorted(name for name in metrics if name not in asked and len(name) <= LONGEST_TEXT)
    return {name: metrics[name] for name in [*wanted, *others[: max(0, MOST_METRICS - len(wanted))]]}


STEP = Step("share", run, Shared, Target, Capability.SHARE)
