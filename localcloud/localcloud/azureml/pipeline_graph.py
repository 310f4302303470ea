"""The graph of a pipeline: its nodes, what each reads and writes, and where a pipeline's graph comes from.

A pipeline job has nodes of its own, or it names a pipeline component, whose nodes run with the job's inputs and
outputs.
"""

import copy
import re
from collections.abc import Callable

from localcloud.azureml.store import Resource
from localcloud.azureml.wire import Json

#: `${{parent.inputs.x}}`, `${{parent.outputs.y}}` or `${{parent.jobs.NODE.outputs.z}}`
_BINDING = re.compile(
    r"\$\{\{\s*parent\.(?P<place>inputs|outputs|jobs\.(?P<node>[^.}]+)\.outputs)\.(?P<name>[^}\s]+)\s*\}\}"
)
#: Key of the name and version that a node gives an output to which its pipeline gives a name too.
OF_NODE = "ofNode"
#: Gives the component of an id, or None.
Find = Callable[[str], Resource | None]


def specification_of(component: Resource) -> Json:
    """What the component was made from: only this has the graph of a pipeline component, which no answer shows."""
    specification: Json = component.private.get("specification") or component.properties["componentSpec"]
    return specification


def nodes_of(job: Json, find: Find) -> dict[str, Json]:
    """The nodes of a pipeline job: its own or those of its component. ValueError when there is no such component."""
    own: dict[str, Json] = job.get("jobs") or {}
    reference = str(job.get("componentId") or "")
    if own or not reference:
        return own
    component = find(reference)
    if not component:
        raise ValueError(f"Could not find asset with ID: {reference}")
    nodes: dict[str, Json] = specification_of(component).get("jobs") or {}
    return nodes


def sources(node: Json) -> set[str]:
    """The nodes that a node reads from."""
    return {
        found["node"] for given in (node.get("inputs") or {}).values() if (found := _binding(given)) and found["node"]
    }


def defaults(specification: Json) -> Json:
    """The inputs that have a default value."""
    return {
        name: {"jobInputType": "literal", "value": declared["default"]}
        for name, declared in (specification.get("inputs") or {}).items()
        if (declared or {}).get("default") is not None
    }


def declared_outputs(specification: Json) -> Json:
    """The component's outputs in the form of a job's, which have no type `path`."""
    types = {name: (declared or {}).get("type") for name, declared in (specification.get("outputs") or {}).items()}
    return {name: {"jobOutputType": "uri_folder" if kind in (None, "path") else kind} for name, kind in types.items()}


def bound_inputs(pipeline: Resource, specification: Json, node: Json, children: dict[str, Resource]) -> Json:
    """The component's own defaults, overridden by what the node gives, with references to the pipeline resolved.

    `children` are the runs of the nodes before this one.
    """
    inputs = defaults(specification)
    for name, given in (node.get("inputs") or {}).items():
        bound = _binding(given)
        if not bound:
            inputs[name] = given
        elif bound["place"] == "inputs":
            source = pipeline.properties["inputs"].get(bound["name"])
            if source:
                inputs[name] = source
        else:
            child = children.get(bound["node"])
            output = child.properties["outputs"].get(bound["name"]) if child else None
            if not output:
                raise ValueError(f"The node {bound['node']} has no output {bound['name']}")
            inputs[name] = {"jobInputType": output["jobOutputType"], "uri": output["uri"]}
    return inputs


def bound_outputs(pipeline: Resource, specification: Json, node: Json) -> Json:
    outputs = declared_outputs(specification)
    for name, given in (node.get("outputs") or {}).items():
        bound = _binding(given or {})
        if bound and bound["place"] == "outputs":
            # The pipeline's output is this one: the same place. The pipeline registers it, if it has a name.
            outputs[name] = {**outputs.get(name, {}), **_place_of(pipeline, bound["name"])}
        if given and given.get("name"):
            # The node's own: `Output(name=…)` of a step.
            own = {"assetName": given["name"], "assetVersion": given.get("version")}
            declared = outputs.setdefault(name, {})
            declared.update({OF_NODE: own} if declared.get("assetName") else own)
    return outputs


def outputs_of_pipeline(node: Json) -> dict[str, str]:
    """The names of the pipeline's outputs that are outputs of this node, by their names in the node."""
    bound = {name: _binding(given or {}) for name, given in (node.get("outputs") or {}).items()}
    return {name: found["name"] for name, found in bound.items() if found and found["place"] == "outputs"}


def component_from_job(job: Resource, find: Find) -> Json:
    """The specification of a pipeline component made from a job, as `PipelineComponent(source_job_id=…)` asks for.

    Data inputs become the component's inputs; numbers and words stay what they were in the job. As recorded, the types
    of inputs and outputs are `path`.
    """
    properties = job.properties
    nodes = copy.deepcopy(nodes_of(properties, find))
    literal = {name: given for name, given in properties["inputs"].items() if given and "value" in given}
    for node in nodes.values():
        for name, given in (node.get("inputs") or {}).items():
            bound = _binding(given)
            if bound and bound["place"] == "inputs" and bound["name"] in literal:
                node["inputs"][name] = {"job_input_type": "literal", "value": literal[bound["name"]]["value"]}
    return {
        "type": "pipeline",
        "inputs": {name: {"type": "path"} for name in properties["inputs"] if name not in literal},
        "outputs": {name: {"type": "path"} for name in properties["outputs"]},
        "jobs": nodes,
    }


def _binding(given: Json) -> re.Match[str] | None:
    return _BINDING.fullmatch(str(given.get("value") or given.get("uri") or ""))


def _place_of(pipeline: Resource, output: str) -> Json:
    declared = pipeline.properties["outputs"].get(output)
    if not declared:
        raise ValueError(f"The pipeline has no output {output}")
    return {key: value for key, value in declared.items() if key in ("uri", "assetName", "assetVersion")}
