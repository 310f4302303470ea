"""Pipeline jobs: runs the nodes of a pipeline as child jobs, each when the nodes that it reads from are done."""

import asyncio
import re

from localcloud.azureml.assets import Assets
from localcloud.azureml.command_jobs import CommandJobs
from localcloud.azureml.job_records import OF_NODE, JobRecords
from localcloud.azureml.rights import Caller
from localcloud.azureml.scopes import Scope
from localcloud.azureml.store import Resource
from localcloud.azureml.wire import Json

#: `${{parent.inputs.x}}`, `${{parent.outputs.y}}` or `${{parent.jobs.NODE.outputs.z}}`
_BINDING = re.compile(
    r"\$\{\{\s*parent\.(?P<place>inputs|outputs|jobs\.(?P<node>[^.}]+)\.outputs)\.(?P<name>[^}\s]+)\s*\}\}"
)


class PipelineJobs:
    """Runs recorded pipelines; their children are jobs as others are, and raise events too."""

    def __init__(self, records: JobRecords, assets: Assets, command_jobs: CommandJobs) -> None:
        self._records = records
        self._assets = assets
        self._command_jobs = command_jobs

    async def run(self, workspace: Scope, pipeline: Resource, caller: Caller) -> None:
        """Ends as Completed when all nodes have, else as the first node that did not."""
        self._records.change(workspace, pipeline.name, "Running")
        nodes: dict[str, Json] = pipeline.properties.get("jobs") or {}
        try:
            waiting = {name: _sources(node) for name, node in nodes.items()}
            unknown = {source for sources in waiting.values() for source in sources} - set(nodes)
            if unknown:
                raise ValueError(f"The pipeline reads from nodes that it does not have: {', '.join(sorted(unknown))}")
            await self._run_nodes(workspace, pipeline, caller, waiting)
        except ValueError as error:
            self._records.change(workspace, pipeline.name, "Failed", f"{error}")
            return
        self._records.change(workspace, pipeline.name, "Completed")

    async def cancel(self, workspace: Scope, pipeline: Resource) -> None:
        self._records.change(workspace, pipeline.name, "Canceled")
        for child in self._records.children(workspace, pipeline.name):
            await self._command_jobs.cancel(workspace, child.name)

    async def _run_nodes(
        self, workspace: Scope, pipeline: Resource, caller: Caller, waiting: dict[str, set[str]]
    ) -> None:
        done: set[str] = set()
        while waiting:
            ready = [name for name, sources in waiting.items() if sources <= done]
            if not ready:
                raise ValueError(f"The nodes {', '.join(sorted(waiting))} of the pipeline wait for each other")
            children = [self._record_child(workspace, pipeline, name, caller) for name in ready]
            await asyncio.gather(*(self._command_jobs.run(workspace, child, caller) for child in children))
            for name, child in zip(ready, children, strict=True):
                ended = self._records.get(workspace, child.name)
                if not ended or ended.properties["status"] != "Completed":
                    words = ended.private.get("error", "it was cancelled") if ended else "it is gone"
                    raise ValueError(f"The child job {child.name} of the node {name} did not complete: {words}")
                del waiting[name]
                done.add(name)

    def _record_child(self, workspace: Scope, pipeline: Resource, name: str, caller: Caller) -> Resource:
        node: Json = pipeline.properties["jobs"][name]
        component = self._assets.find(str(node.get("componentId") or ""))
        if not component:
            raise ValueError(f"Could not find asset with ID: {node.get('componentId')}, the component of {name}")
        specification: Json = component.properties["componentSpec"]
        if not specification.get("command"):
            raise ValueError(
                f"The component of {name} is of type {specification.get('type')}, and only command components run here"
            )
        properties = {
            "jobType": "Command",
            "command": specification.get("command"),
            "codeId": specification.get("code"),
            "environmentId": node.get("environment") or specification.get("environment"),
            "environmentVariables": node.get("environment_variables") or {},
            "experimentName": pipeline.properties["experimentName"],
            "displayName": node.get("display_name") or name,
            "inputs": self._inputs(workspace, pipeline, specification, node),
            "outputs": self._outputs(pipeline, specification, node),
            "properties": {"azureml.pipelinerunid": pipeline.name, "azureml.runsource": "azureml.StepRun"},
        }
        return self._records.create(workspace, _child_name(pipeline, name), properties, caller, parent=pipeline)

    def _inputs(self, workspace: Scope, pipeline: Resource, specification: Json, node: Json) -> Json:
        """The component's own defaults, then what the node gives, with what is bound to the pipeline put in."""
        inputs: Json = {
            name: {"jobInputType": "literal", "value": declared["default"]}
            for name, declared in (specification.get("inputs") or {}).items()
            if declared.get("default") is not None
        }
        for name, given in (node.get("inputs") or {}).items():
            bound = _BINDING.fullmatch(str(given.get("value") or given.get("uri") or ""))
            if not bound:
                inputs[name] = given
            elif bound["place"] == "inputs":
                source = pipeline.properties["inputs"].get(bound["name"])
                if source:
                    inputs[name] = source
            else:
                child = self._records.get(workspace, _child_name(pipeline, bound["node"]))
                output = child.properties["outputs"].get(bound["name"]) if child else None
                if not output:
                    raise ValueError(f"The node {bound['node']} has no output {bound['name']}")
                inputs[name] = {"jobInputType": output["jobOutputType"], "uri": output["uri"]}
        return inputs

    def _outputs(self, pipeline: Resource, specification: Json, node: Json) -> Json:
        outputs: Json = {
            name: {"jobOutputType": declared.get("type", "uri_folder")}
            for name, declared in (specification.get("outputs") or {}).items()
        }
        for name, given in (node.get("outputs") or {}).items():
            bound = _BINDING.fullmatch(str((given or {}).get("value") or ""))
            if bound and bound["place"] == "outputs":
                # The pipeline's output is this one: the same place. The pipeline registers it, if it has a name.
                outputs[name] = {**outputs.get(name, {}), **_place_of(pipeline, bound["name"])}
            if given and given.get("name"):
                # The node's own: `Output(name=…)` of a step.
                own = {"assetName": given["name"], "assetVersion": given.get("version")}
                declared = outputs.setdefault(name, {})
                declared.update({OF_NODE: own} if declared.get("assetName") else own)
        return outputs


def _place_of(pipeline: Resource, output: str) -> Json:
    declared = pipeline.properties["outputs"].get(output)
    if not declared:
        raise ValueError(f"The pipeline has no output {output}")
    return {key: value for key, value in declared.items() if key in ("uri", "assetName", "assetVersion")}


def _sources(node: Json) -> set[str]:
    """The nodes that a node reads from."""
    values = [str(given.get("value") or given.get("uri") or "") for given in (node.get("inputs") or {}).values()]
    return {found["node"] for value in values if (found := _BINDING.fullmatch(value)) and found["node"]}


def _child_name(pipeline: Resource, node: str) -> str:
    return f"{pipeline.name}_{node}"
