"""Steps of pipeline jobs, read from run history.

A step's `GET` has neither status nor inputs: the control plane answers its name and nothing more. Run history knows the
run (`GET {history}/history/v1.0/{workspace}/runs/{id}`): its parent, its root, its properties, its inputs. What it ran
stands in the graph of the pipeline job above it, by the name of the node, and in the component that the node names.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from shared.cloud.azureml_rest import Rest
from shared.core.asset_names import plain_id
from shared.ports import Job

# The API versions that azure-ai-ml 1.35 uses.
_JOBS = "2024-01-01-preview"
_COMPONENTS = "2024-01-01-preview"

_OF_PIPELINE = re.compile(r"\$\{\{\s*parent\.inputs\.([^}\s]+)\s*\}\}")
#: Of a step that did not run, because an earlier run has the same content: the run whose results it has.
_REUSED = "azureml.reusedrunid"
#: Read from the pipeline job if the step's own run has none.
_GIT = ("azureml.git.", "mlflow.source.git.")


class Steps:
    """The steps of the pipeline jobs of a workspace; `history`: the workspace's address in run history."""

    def __init__(self, rest: Rest, workspace: str, history: str) -> None:
        self._rest = rest
        self._workspace = workspace
        self._history = history

    def job(self, name: str) -> Job | None:
        """Return the step as a job; None if run history does not have it."""
        run = self._rest.get(f"{self._history}/runs/{quote(name, safe='')}")
        if not run:
            return None
        notes = _texts(run.get("properties"))
        parent = run.get("parentRunId") or notes.get("azureml.pipelinerunid")
        root = run.get("rootRunId") or notes.get("azureml.rootpipelinerunid") or parent
        above = self._pipeline(parent)
        whole = above if root == parent else self._pipeline(root)
        node = str(run.get("displayName") or "")
        wanted = _node(above, node)
        component = plain_id(str(wanted.get("componentId") or "")) or None
        specification = self._specification(component)
        return Job(
            name=name,
            status=str(run.get("status") or ""),
            experiment=str(whole.get("experimentName") or above.get("experimentName") or ""),
            parent=parent,
            inputs={**_bound(wanted, above), **_read(run.get("inputs"))},
            code=specification.get("code"),
            environment_asset=wanted.get("environment") or specification.get("environment"),
            tags=_texts(run.get("tags")),
            properties={**_git(whole), **_git(above), **notes},
            root=root,
            node=node,
            component=component,
        )

    def reused_run(self, name: str) -> str | None:
        """Return the earlier run whose results a step has; None for a step that ran itself. A reused step completes at
        once and logs no metrics of its own."""
        run = self._rest.get(f"{self._history}/runs/{quote(name, safe='')}") or {}
        return _texts(run.get("properties")).get(_REUSED) or None

    def _pipeline(self, name: str | None) -> Mapping[str, Any]:
        """Return the properties of a pipeline job. A pipeline within a pipeline is a step itself and has none."""
        if not name:
            return {}
        found = self._rest.get(f"{self._workspace}/jobs/{quote(name, safe='')}", **{"api-version": _JOBS}) or {}
        properties: Mapping[str, Any] = found.get("properties") or {}
        return properties

    def _specification(self, component: str | None) -> Mapping[str, Any]:
        """Of a component of the workspace. One in a registry is known by its id alone."""
        if not component or not component.startswith("/subscriptions/"):
            return {}
        found = self._rest.get(component, **{"api-version": _COMPONENTS}) or {}
        specification: Mapping[str, Any] = (found.get("properties") or {}).get("componentSpec") or {}
        return {key: plain_id(value) for key, value in specification.items() if isinstance(value, str)}


def _node(pipeline: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the display name of its run: its own name, or the one given for display."""
    nodes: Mapping[str, Mapping[str, Any]] = pipeline.get("jobs") or {}
    named = [node for node in nodes.values() if node.get("display_name") == name]
    return nodes.get(name) or (named[0] if len(named) == 1 else {})


def _bound(node: Mapping[str, Any], pipeline: Mapping[str, Any]) -> dict[str, str]:
    """Return a node's inputs from the graph, with the pipeline's inputs filled in and other steps' outputs named."""
    inputs = {}
    for name, given in (node.get("inputs") or {}).items():
        value = str((given or {}).get("value") or (given or {}).get("uri") or "")
        bound = _OF_PIPELINE.fullmatch(value)
        source = (pipeline.get("inputs") or {}).get(bound[1]) or {} if bound else {}
        inputs[name] = str(source.get("uri") or source.get("value") or "") if bound else value
    return {name: plain_id(value) for name, value in inputs.items()}


def _read(inputs: Mapping[str, Any] | None) -> dict[str, str]:
    """Return what the run has read, according to run history."""
    return {
        name: plain_id(str(each["assetId"])) for name, each in (inputs or {}).items() if (each or {}).get("assetId")
    }


def _git(pipeline: Mapping[str, Any]) -> dict[str, str]:
    notes = _texts(pipeline.get("properties"))
    return {name: value for name, value in notes.items() if name.startswith(_GIT)}


def _texts(values: Mapping[str, Any] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (values or {}).items() if value is not None}
