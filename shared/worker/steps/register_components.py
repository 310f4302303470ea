"""Rebuilds in the registry what a finished pipeline job ran, or what a file in git defines, and records its lineage.

Runs in the environment where the pipeline is developed. Its evidence travels with the candidate, and every stage runs
exactly what it names.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.core.approval import DIGEST_LENGTH, Author
from shared.core.job_statuses import COMPLETED
from shared.core.messages import Failed, FailureKind, Outcome, Running, Succeeded, as_evidence
from shared.ports import Capability, Component, ForbiddenError, PipelineJob, RejectedError
from shared.worker import pipeline_graph, pipeline_metrics
from shared.worker.lineage import LONGEST_TEXT, MOST_INPUTS, Lineage, git_of
from shared.worker.missing import no_job
from shared.worker.order import Step
from shared.worker.pipeline_components import PromotedComponent, Rebuilding, with_few_files
from shared.worker.pipeline_graph import Graph
from shared.worker.pipeline_metrics import Figures
from shared.worker.pipeline_order import PipelineOrder
from shared.worker.pipeline_source import Source, source_of
from shared.worker.polls import poll_again

log = logging.getLogger("mlpromote")


@dataclass(frozen=True)
class Options:
    """The options of this step in the plan."""

    metrics: tuple[str, ...] = ()  #: metrics that a gate of any stage uses, which are kept first


@dataclass(frozen=True)
class RegisteredComponents:
    """A pipeline that any environment can run, and where it came from."""

    pipeline: str  #: digest of the graph and of everything in its steps: what is promoted
    graph: Graph
    components: Mapping[str, PromotedComponent]  #: by the name of the step
    job: Lineage  #: the source's job, with the source's data as inputs
    definition: str = ""  #: the file that the graph was read from; empty if it was the job
    figures: Figures = field(default_factory=Figures)  #: what the source's job logged
    authors: tuple[Author, ...] = ()


def run(order: PipelineOrder) -> Outcome:
    command, workspace = order.command, order.workspace
    job = workspace.pipeline_job(command.candidate.version)
    if job is None:
        return no_job(command.candidate)
    refusal = _refusal(order, job)
    if refusal:
        return refusal
    source = source_of(order, job)
    components = _components(source)
    refusal = pipeline_graph.cannot_be_rebuilt(source.graph, components)
    if refusal:
        return refusal
    rebuilding = Rebuilding(order, source)
    registered = rebuilding.components()
    if isinstance(registered, Failed):
        return registered
    if rebuilding.pending:
        return _pending(order, rebuilding)
    return _registered(order, job, source, components, registered)


def _refusal(order: PipelineOrder, job: PipelineJob) -> Failed | None:
    """Return why the route does not take this job; None if it does. An event names an experiment, but its sender could
    name any."""
    asked = order.settings
    missing = [f"{name}={value}" for name, value in asked.job_tags.items() if job.tags.get(name) != value]
    if not job.is_pipeline:
        why = "is not a pipeline job"
    elif job.experiment != asked.experiment:
        why = f"belongs to experiment {job.experiment}, but the route takes jobs of {asked.experiment}"
    elif missing:
        why = f"lacks the tag {', '.join(missing)}, which the route requires"
    elif job.status != COMPLETED:
        why = f"is {job.status}, and only completed jobs are promoted"
    else:
        return None
    return Failed(f"Job {job.name} {why}: nothing was registered.", FailureKind.REFUSED)


def _components(source: Source) -> Mapping[str, Component]:
    """Return the steps' components that can be read, by id. Steps of other types may have none."""
    keys = {node.component for node in source.graph.nodes.values() if node.component}
    found = {key: source.component(key) for key in sorted(keys)}
    return {key: component for key, component in found.items() if component is not None}


def _pending(order: PipelineOrder, rebuilding: Rebuilding) -> Running:
    says = "; ".join(dict.fromkeys(rebuilding.pending))
    return poll_again(order.command, says, rebuilding.known)


def _registered(
    order: PipelineOrder,
    job: PipelineJob,
    source: Source,
    components: Mapping[str, Component],
    registered: Mapping[str, PromotedComponent],
) -> Outcome:
    ids = {name: each.component for name, each in registered.items()}
    kinds = {name: _input_types(components.get(node.component)) for name, node in source.graph.nodes.items()}
    graph = pipeline_graph.promoted(source.graph, ids, kinds)
    if isinstance(graph, Failed):
        return graph
    digests = {name: each.digest for name, each in registered.items()}
    asked = order.options(Options).metrics
    seen = RegisteredComponents(
        pipeline=pipeline_graph.graph_digest(graph, digests)[:DIGEST_LENGTH],
        graph=graph,
        components=with_few_files(registered),
        job=_lineage(job),
        definition=order.settings.definition or "",
        figures=pipeline_metrics.read(order.workspace, job.name, asked),
        authors=_authors(order, job.name),
    )
    return Succeeded(as_evidence(seen))


def _input_types(component: Component | None) -> Mapping[str, str]:
    declared = component.specification.get("inputs") if component else None
    if not isinstance(declared, Mapping):
        return {}
    return {name: str(each.get("type") or "") for name, each in declared.items() if isinstance(each, Mapping)}


def _lineage(job: PipelineJob) -> Lineage:
    data = {name: bound.data for name, bound in sorted(job.inputs.items()) if bound.data}
    return Lineage(
        name=job.name,
        status=job.status,
        experiment=job.experiment[:LONGEST_TEXT],
        inputs={name[:LONGEST_TEXT]: data[name][:LONGEST_TEXT] for name in list(data)[:MOST_INPUTS]},
        git=git_of(job.properties),
    )


def _authors(order: PipelineOrder, job: str) -> tuple[Author, ...]:
    """Return the authors that can be read. Each environment's policy decides whether an unknown author matters."""
    try:
        found = order.workspace.job_authors(job)
    except (ForbiddenError, RejectedError) as fault:
        log.warning("who ran job %s cannot be read: %s", job, fault)
        return ()
    return tuple(Author(each.id[:LONGEST_TEXT], each.name[:LONGEST_TEXT], each.is_person) for each in found)


STEP = Step("register_components", run, RegisteredComponents, PipelineOrder, Capability.SHARE)
