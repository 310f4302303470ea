"""The graph of a promoted pipeline: registered components, with inputs instead of the source's data. Pure.

Outputs that feed inputs and outputs of the whole stay; where files were, on what computes, and under which names its
outputs were registered belongs to the source's workspace, and is left out.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.core.messages import Failed, FailureKind, as_evidence
from shared.ports import Bound, Component, Node, PipelineJob
from shared.worker.pipeline_content import digest_of

# Evidence is part of messages and documents, so it is kept small.
MOST_NODES = 20
MOST_BYTES = 10_000

_COMMAND = "command"
#: How a node's input names what it gets from its pipeline.
_PARENT_INPUT = "${{{{parent.inputs.{0}}}}}"


@dataclass(frozen=True)
class PipelineInput:
    """An input of the whole pipeline."""

    data: str = ""  #: type of its data (`uri_folder`, …); empty for a value
    default: str | None = None  #: the value that it had in the source's job
    mode: str = ""  #: how data gets to the steps


@dataclass(frozen=True)
class Graph:
    """What a pipeline does, with the ids of registered components."""

    nodes: Mapping[str, Node] = field(default_factory=dict)
    inputs: Mapping[str, PipelineInput] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)  #: type by name


def cannot_be_rebuilt(job: PipelineJob, components: Mapping[str, Component]) -> Failed | None:
    """Return why a pipeline cannot be rebuilt in the registry; None if it can. `components`: those known, by id."""
    if not job.nodes and job.made_from:
        return _refused(
            f"Job {job.name} was created from pipeline component {job.made_from}, whose graph Azure ML does not "
            "return. Name the pipeline's YAML in the route: `pipelines: {…, definition: FILE}`."
        )
    if not job.nodes:
        return _refused(f"Job {job.name} has no steps.")
    if len(job.nodes) > MOST_NODES:
        return _refused(f"Job {job.name} has {len(job.nodes)} steps; at most {MOST_NODES} can be promoted.")
    for name, node in sorted(job.nodes.items()):
        known = components.get(node.component)
        kind = (node.kind or (known.kind if known else "") or _COMMAND).lower()
        if kind == _COMMAND and known is not None:
            kind = known.kind.lower()
        if kind != _COMMAND:
            return _refused(
                f"Step {name} of job {job.name} is of type {kind}, but only steps of type {_COMMAND} can be promoted. "
                "Rewrite it as a command."
            )
    return None


def _refused(reason: str) -> Failed:
    return Failed(reason, FailureKind.REFUSED)


def promoted(job: PipelineJob, components: Mapping[str, str], kinds: Mapping[str, Mapping[str, str]]) -> Graph | Failed:
    """The graph with a registered component, by its id, for each node; `kinds`: types of the inputs of each node."""
    inputs = {name: _input(bound) for name, bound in job.inputs.items() if bound.data or bound.value}
    nodes: dict[str, Node] = {}
    for name, node in job.nodes.items():
        bindings: dict[str, Bound] = {}
        for key, bound in node.inputs.items():
            if bound.data:  # the source's data, without an input of the pipeline for it
                own = _new_name(f"{name}_{key}", inputs)
                inputs[own] = _input(replace(bound, kind=bound.kind or kinds.get(name, {}).get(key, "")))
                bound = Bound(_PARENT_INPUT.format(own))
            bindings[key] = replace(bound, kind="")
        settings = {key: each for key, each in node.settings.items() if key != "environment"}
        nodes[name] = Node(_COMMAND, components[name], bindings, node.outputs, _without_machines(settings))
    graph = Graph(nodes, inputs, dict(job.outputs))
    size = len(json.dumps(as_evidence(graph)))
    if size > MOST_BYTES:
        return _refused(
            f"The graph of job {job.name} has {size} bytes; the limit is {MOST_BYTES}. Use fewer steps "
            "or shorter values."
        )
    return graph


def _input(bound: Bound) -> PipelineInput:
    if not bound.data:
        return PipelineInput(default=bound.value)
    return PipelineInput(data=bound.kind or "uri_folder", mode=bound.mode)


def _new_name(wanted: str, taken: Mapping[str, PipelineInput]) -> str:
    name = re.sub(r"[^A-Za-z0-9_]", "_", wanted)
    while name in taken:
        name += "_"
    return name


def _without_machines(settings: Mapping[str, object]) -> dict[str, object]:
    """Keep the number of machines, which belongs to the step, but not their size, which differs by environment."""
    resources = settings.get("resources")
    if not isinstance(resources, Mapping):
        return dict(settings)
    kept = {key: each for key, each in resources.items() if key in ("instance_count", "shm_size", "docker_args")}
    return {
        **{key: each for key, each in settings.items() if key != "resources"},
        **({"resources": kept} if kept else {}),
    }


def graph_digest(graph: Graph, components: Mapping[str, str]) -> str:
    """Return the graph's digest. `components`: the digests of its nodes' components, used instead of ids."""
    content = as_evidence(graph)
    nodes = {name: {**node, "component": components[name]} for name, node in content["nodes"].items()}
    return digest_of({**content, "nodes": nodes})
