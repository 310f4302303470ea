"""The graph of a pipeline job: parses the REST API's answers and builds its requests.

A job's own inputs have keys in one style (`jobInputType`), those of its nodes in the other (`job_input_type`).
"""

from collections.abc import Mapping
from typing import Any

from shared.cloud.azureml_components import texts
from shared.core.asset_names import plain_id
from shared.ports import Bound, Node, PipelineJob, PipelineSubmission

#: The compute that Azure ML provides by itself.
SERVERLESS = "serverless"

#: Keys of a node that say how its step runs, apart from its component and bindings.
_SETTINGS = ("resources", "distribution", "limits", "environment_variables", "environment")
_LITERAL = "literal"
_NO_VALUE = (None, "", _LITERAL)


def pipeline_job_from(found: Mapping[str, Any]) -> PipelineJob:
    """Return a job from the answer to a GET; a job that is not a pipeline job has only its basic fields."""
    properties: Mapping[str, Any] = found.get("properties") or {}
    settings = properties.get("settings") or {}
    compute = settings.get("default_compute") or properties.get("computeId") or ""
    return PipelineJob(
        name=str(found.get("name") or ""),
        status=str(properties.get("status") or ""),
        experiment=str(properties.get("experimentName") or ""),
        made_from=plain_id(properties.get("componentId")),
        nodes={name: _node(node or {}) for name, node in (properties.get("jobs") or {}).items()},
        inputs={name: _bound(each or {}) for name, each in (properties.get("inputs") or {}).items()},
        outputs={
            name: str((each or {}).get("jobOutputType") or "uri_folder")
            for name, each in (properties.get("outputs") or {}).items()
        },
        tags=_named_texts(properties.get("tags")),
        properties=_named_texts(properties.get("properties")),
        compute=str(compute).rsplit("/", 1)[-1],
        is_pipeline=str(properties.get("jobType") or "").lower() == "pipeline",
    )


def _node(node: Mapping[str, Any]) -> Node:
    return Node(
        kind=str(node.get("type") or ""),
        component=plain_id(node.get("componentId")),
        inputs={name: _bound(each or {}) for name, each in (node.get("inputs") or {}).items()},
        outputs={name: _output(each or {}) for name, each in (node.get("outputs") or {}).items()},
        settings=texts({key: node[key] for key in _SETTINGS if node.get(key)}),
    )


def _bound(given: Any) -> Bound:
    if not isinstance(given, Mapping):
        return Bound(str(given))
    kind = given.get("job_input_type") or given.get("jobInputType") or given.get("type")
    mode = str(given.get("mode") or "")
    if given.get("uri"):
        return Bound(data=plain_id(given["uri"]), kind="" if kind in _NO_VALUE else str(kind), mode=mode)
    return Bound(str(given.get("value") if given.get("value") is not None else ""), mode=mode)


def _output(given: Any) -> Bound:
    """Return an output without the place of its files in that job, which another job does not need."""
    if not isinstance(given, Mapping):
        return Bound(str(given))
    kind = given.get("job_output_type") or given.get("jobOutputType") or given.get("type")
    value = str(given.get("value") or "")
    return Bound(value, kind="" if kind in _NO_VALUE else str(kind), mode=str(given.get("mode") or ""))


def submission_body(workspace: str, wanted: PipelineSubmission) -> dict[str, Any]:
    """Return the request that submits the job in the workspace with this ARM id."""
    identity = {"identityType": "Managed", "clientId": wanted.identity} if wanted.identity else None
    properties: dict[str, Any] = {
        "jobType": "Pipeline",
        "displayName": wanted.name,
        "description": wanted.description,
        "experimentName": wanted.experiment,
        "isArchived": False,
        "tags": dict(wanted.tags),
        "settings": {
            "default_compute": f"{workspace}/computes/{wanted.compute}",
            "force_rerun": True,
            "_source": "REMOTE.REGISTRY",
        },
        "inputs": {name: _job_input(each) for name, each in wanted.inputs.items()},
        "outputs": {name: {"jobOutputType": kind} for name, kind in wanted.outputs.items()},
        "jobs": {name: _submitted_node(name, node, wanted.identity) for name, node in wanted.nodes.items()},
    }
    if identity:
        properties["identity"] = identity
    return {"properties": properties}


def _job_input(bound: Bound) -> dict[str, str]:
    if not bound.data:
        return {"jobInputType": _LITERAL, "value": bound.value}
    mode = {"mode": bound.mode} if bound.mode else {}
    return {"jobInputType": bound.kind, "uri": bound.data, **mode}


def _submitted_node(name: str, node: Node, identity: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        **node.settings,
        "name": name,
        "type": node.kind,
        "componentId": node.component,
        "inputs": {key: _node_input(each) for key, each in node.inputs.items()},
        "outputs": {key: _node_output(each) for key, each in node.outputs.items()},
        "_source": "REMOTE.REGISTRY",
    }
    if identity:  # setting it only on the pipeline has no effect
        made["identity"] = {"identity_type": "Managed", "client_id": identity}
    return made


def _node_input(bound: Bound) -> dict[str, str]:
    mode = {"mode": bound.mode} if bound.mode else {}
    return {"job_input_type": _LITERAL, "value": bound.value, **mode}


def _node_output(bound: Bound) -> dict[str, str]:
    mode = {"mode": bound.mode} if bound.mode else {}
    if bound.value:
        return {"value": bound.value, "type": _LITERAL, **mode}
    kind = {"job_output_type": bound.kind} if bound.kind else {}
    return {**kind, **mode}


def _named_texts(values: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in (values or {}).items() if value is not None}
