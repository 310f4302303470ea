"""Pipeline jobs: runs the nodes of a pipeline as child jobs, each when the nodes that it reads from are done."""

import asyncio
import uuid
from dataclasses import dataclass

from localcloud.azureml.assets import Assets
from localcloud.azureml.command_jobs import CommandJobs
from localcloud.azureml.job_records import TERMINAL, JobRecords, NewJob
from localcloud.azureml.pipeline_graph import (
    bound_inputs,
    bound_outputs,
    declared_outputs,
    defaults,
    nodes_of,
    outputs_of_pipeline,
    sources,
    specification_of,
)
from localcloud.azureml.rights import Caller
from localcloud.azureml.scopes import Scope
from localcloud.azureml.step_reuse import StepReuse, notes_of
from localcloud.azureml.store import Resource
from localcloud.azureml.wire import AzureError, Json


@dataclass(frozen=True)
class _Run:
    """A pipeline that runs, and for whom."""

    workspace: Scope
    pipeline: Resource
    caller: Caller


class PipelineJobs:
    """Runs recorded pipelines. Their children are ordinary jobs and raise events, too."""

    def __init__(self, records: JobRecords, assets: Assets, command_jobs: CommandJobs, reuse: StepReuse) -> None:
        self._records = records
        self._assets = assets
        self._command_jobs = command_jobs
        self._reuse = reuse

    def with_component(self, properties: Json) -> Json:
        """A pipeline job as it is stored: one that runs a component notes it and has its outputs. Raises a 400 if it is
        missing."""
        reference = str(properties.get("componentId") or "")
        if not reference:
            return properties
        component = self._assets.find(reference)
        if not component:
            raise AzureError(400, "UserError", f"Could not find asset with ID: {reference}.")
        notes = {**(properties.get("properties") or {}), "azureml.SourceComponentId": reference}
        outputs = declared_outputs(specification_of(component))
        for name, given in (properties.get("outputs") or {}).items():
            outputs[name] = {**outputs.get(name, {}), **{key: value for key, value in (given or {}).items() if value}}
        return {**properties, "properties": notes, "outputs": outputs}

    async def run(self, workspace: Scope, pipeline: Resource, caller: Caller) -> None:
        """Ends as Completed if all nodes have completed, otherwise as Failed."""
        self._records.change(workspace, pipeline.name, "Running")
        try:
            self._fill_in_defaults(pipeline)
            nodes = nodes_of(pipeline.properties, self._assets.find)
            waiting = {name: sources(node) for name, node in nodes.items()}
            unknown = {source for each in waiting.values() for source in each} - set(nodes)
            if unknown:
                raise ValueError(f"The pipeline reads from nodes that it does not have: {', '.join(sorted(unknown))}")
            await self._run_nodes(_Run(workspace, pipeline, caller), nodes, waiting)
        except ValueError as error:
            self._records.change(workspace, pipeline.name, "Failed", f"{error}")
            return
        self._records.change(workspace, pipeline.name, "Completed")

    async def cancel(self, workspace: Scope, pipeline: Resource) -> None:
        self._records.change(workspace, pipeline.name, "Canceled")
        for child in self._records.children(workspace, pipeline.name):
            if child.properties["status"] in TERMINAL:
                continue
            if child.properties["jobType"] == "Pipeline":
                await self.cancel(workspace, child)
            else:
                await self._command_jobs.cancel(workspace, child.name)

    async def _run_nodes(self, run: _Run, nodes: dict[str, Json], waiting: dict[str, set[str]]) -> None:
        workspace, pipeline, caller = run.workspace, run.pipeline, run.caller
        done: dict[str, Resource] = {}
        while waiting:
            ready = [name for name, before in waiting.items() if before <= set(done)]
            if not ready:
                raise ValueError(f"The nodes {', '.join(sorted(waiting))} of the pipeline wait for each other")
            if self._is_ended(workspace, pipeline):
                raise ValueError("The pipeline was cancelled")
            children = [self._record_child(run, name, nodes[name], done) for name in ready]
            alone = [child for child in children if not _is_of_another(child, children)]
            await asyncio.gather(*(self._run_child(workspace, child, caller) for child in alone))
            for child in children:
                if child not in alone:
                    await self._complete(workspace, child)
            for name, child in zip(ready, children, strict=True):
                ended = self._records.get(workspace, child.name)
                if not ended or ended.properties["status"] != "Completed":
                    words = ended.private.get("error", "it was cancelled") if ended else "it is gone"
                    raise ValueError(f"The child job {child.name} of the node {name} did not complete: {words}")
                self._records.take_outputs(workspace, pipeline.name, ended, outputs_of_pipeline(nodes[name]))
                del waiting[name]
                done[name] = ended

    def _is_ended(self, workspace: Scope, pipeline: Resource) -> bool:
        now = self._records.get(workspace, pipeline.name)
        return now is None or now.properties["status"] in TERMINAL

    async def _run_child(self, workspace: Scope, child: Resource, caller: Caller) -> None:
        if child.private.get("reused"):
            await self._complete(workspace, child)
            return
        runs = self if child.properties["jobType"] == "Pipeline" else self._command_jobs
        await runs.run(workspace, child, caller)

    async def _complete(self, workspace: Scope, child: Resource) -> None:
        """Ends a step with the results of the run that it reuses."""
        earlier = self._records.get(workspace, child.private["reused"])
        if earlier and earlier.properties["status"] == "Completed":
            await self._command_jobs.complete(workspace, child)
        else:
            self._records.change(workspace, child.name, "Failed", "the step whose results it reuses did not complete")

    def _fill_in_defaults(self, pipeline: Resource) -> None:
        """Gives the pipeline the values that its component has for inputs that nobody gave."""
        component = self._assets.find(str(pipeline.properties.get("componentId") or ""))
        if component:
            given = {name: value for name, value in pipeline.properties["inputs"].items() if value}
            pipeline.properties["inputs"] = {**defaults(specification_of(component)), **given}

    def _default_compute(self, workspace: Scope, pipeline: Resource) -> str | None:
        root = self._records.get(workspace, self._records.root(pipeline)) or pipeline
        return (root.properties.get("settings") or {}).get("default_compute")

    def _record_child(self, run: _Run, name: str, node: Json, done: dict[str, Resource]) -> Resource:
        pipeline = run.pipeline
        component = self._assets.find(str(node.get("componentId") or ""))
        if not component:
            raise ValueError(f"Could not find asset with ID: {node.get('componentId')}, the component of {name}")
        specification = specification_of(component)
        kind = specification.get("type") or ("command" if specification.get("command") else None)
        if kind not in ("command", "pipeline"):
            raise ValueError(f"The component of {name} is of type {kind}, and only commands and pipelines run here")
        root = self._records.root(pipeline)
        node_id = uuid.uuid5(uuid.NAMESPACE_OID, f"{pipeline.path}/{name}").hex[:8]
        properties: Json = {
            "jobType": kind.capitalize(),
            "experimentName": pipeline.properties["experimentName"],
            "displayName": node.get("display_name") or name,
            "inputs": bound_inputs(pipeline, specification, node, done),
            "outputs": bound_outputs(pipeline, specification, node),
            "tags": {"azureml.nodeid": node_id, "azureml.pipeline": pipeline.name},
            "properties": {
                "azureml.runsource": "azureml.StepRun",
                "azureml.nodeid": node_id,
                "azureml.pipelinerunid": pipeline.name,
                "azureml.rootpipelinerunid": root,
                **_notes(component, specification),
            },
        }
        if kind == "pipeline":
            properties["componentId"] = str(node["componentId"])
        else:
            properties |= {
                "command": specification.get("command"),
                "codeId": specification.get("code"),
                "environmentId": node.get("environment") or specification.get("environment"),
                "environmentVariables": node.get("environment_variables") or {},
                "computeId": node.get("computeId") or self._default_compute(run.workspace, pipeline),
                "identity": node.get("identity") or pipeline.properties.get("identity"),
            }
        return self._create(run, specification, properties)

    def _create(self, run: _Run, specification: Json, properties: Json) -> Resource:
        """The child's record. A step that can reuse an earlier run gets the results of that run."""
        fingerprint = earlier = None
        if properties["jobType"] == "Command":
            fingerprint = self._reuse.fingerprint(run.workspace, run.pipeline, specification, properties)
            earlier = self._reuse.earlier(run.workspace, run.pipeline, fingerprint)
        if earlier:
            properties["properties"] |= notes_of(earlier)
        new = NewJob(str(uuid.uuid4()), properties, run.caller, parent=run.pipeline, fingerprint=fingerprint)
        child = self._records.create(run.workspace, new)
        if earlier:
            self._records.reuse(child, earlier)
        return child


def _is_of_another(child: Resource, children: list[Resource]) -> bool:
    """Whether it gets the results of one of these, which has to run first."""
    return child.private.get("reused") in {each.name for each in children}


def _notes(component: Resource, specification: Json) -> Json:
    """What a step's run says about its component and code."""
    name, version = component.path.split("/components/")[1].split("/versions/")
    notes = {"azureml.moduleName": name, "azureml.moduleVersion": version}
    code = str(specification.get("code") or "")
    return {**notes, "ContentSnapshotId": code.split("/codes/")[1].split("/")[0]} if "/codes/" in code else notes
