"""Jobs of a workspace: submit, look at, list, change, cancel."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from localcloud.azureml.command_jobs import CommandJobs
from localcloud.azureml.job_pages import page
from localcloud.azureml.job_records import TERMINAL, JobRecords, NewJob, kept_inputs
from localcloud.azureml.job_requirements import JobRequirements
from localcloud.azureml.operations import Operation
from localcloud.azureml.pipeline_jobs import PipelineJobs
from localcloud.azureml.rights import CALLER, Caller
from localcloud.azureml.scopes import WORKSPACE, Scope
from localcloud.azureml.shared_parts import SharedParts
from localcloud.azureml.store import Resource
from localcloud.azureml.wire import AzureError, Json, properties_in

log = logging.getLogger(__name__)

_JOBS = WORKSPACE + "/jobs"
CANCELLATION_SECONDS = 30.0
CHANGEABLE = ("tags", "displayName", "description", "isArchived")
#: What must not differ if a job is submitted again under its name.
IMMUTABLE = ("jobType", "command", "codeId", "environmentId", "experimentName", "inputs", "jobs", "componentId")


@dataclass(frozen=True)
class JobKinds:
    """What runs each kind of job."""

    command: CommandJobs
    pipeline: PipelineJobs


class Runs(Protocol):
    """Runs recorded jobs of a kind to their end."""

    async def run(self, workspace: Scope, job: Resource, caller: Caller) -> None: ...


class Jobs:
    """Starts jobs in the background; those that run when the control plane ends are Failed at its next start."""

    def __init__(
        self,
        shared: SharedParts,
        records: JobRecords,
        kinds: JobKinds,
        requirements: JobRequirements,
        cancellation_seconds: float,
    ) -> None:
        self._scopes = shared.scopes
        self._records = records
        self._command_jobs = kinds.command
        self._pipeline_jobs = kinds.pipeline
        self._requirements = requirements
        self._operations = shared.operations
        self._cancellation_seconds = cancellation_seconds
        self._running: set[asyncio.Task[None]] = set()
        self._operations.define("cancellation", self._finish_cancellation)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_JOBS, self._list),
            web.get(_JOBS + "/{job}", self._get),
            web.put(_JOBS + "/{job}", self._put),
            web.post(_JOBS + "/{job}/cancel", self._cancel),
        ]

    def fail_interrupted(self) -> None:
        """Marks as failed the jobs whose processes ended with the control plane."""
        for workspace in self._scopes.workspaces:
            for job in self._records.unfinished(workspace):
                words = "The job was interrupted: the machine it ran on was stopped or restarted. Submit it again."
                self._records.change(workspace, job.name, "Failed", words)

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _list(self, request: web.Request) -> web.Response:
        workspace = self._scopes.requested(request)
        jobs, following = page(self._records.submitted(workspace), request.query)
        answer: Json = {"value": [self._records.shown(job) for job in jobs]}
        if following:
            answer["nextLink"] = str(request.url.update_query({"$skip": str(following)}))
        return web.json_response(answer)

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._records.shown(self._existing(request)[1]))

    async def _put(self, request: web.Request) -> web.Response:
        """Submits a new job, or changes what can be changed of an existing one."""
        workspace, name = self._scopes.requested(request), request.match_info["job"]
        properties = await properties_in(request)
        old = self._records.get(workspace, name)
        if old:
            _refuse_other_content(name, old.properties, properties)
            old.properties.update({key: properties[key] for key in CHANGEABLE if properties.get(key) is not None})
            self._records.save(old)
            return web.json_response(self._records.shown(old))
        job = self.submit(workspace, name, properties, request[CALLER])
        return web.json_response(self._records.shown(job), status=201)

    def submit(
        self, workspace: Scope, name: str, properties: Json, caller: Caller, schedule: str | None = None
    ) -> Resource:
        """Records a new job, with its schedule if it has one, and starts it. Raises a 400 if it cannot run here."""
        job_type = properties.get("jobType")
        if job_type not in ("Command", "Pipeline"):
            raise AzureError(
                400, "UserError", f"Jobs of type {job_type} cannot run here: only Command and Pipeline jobs can."
            )
        try:
            self._command_jobs.log(workspace, name)
        except ValueError as error:
            raise AzureError(400, "UserError", f"{error}.") from error
        self._requirements.refuse_unmet(workspace, properties)
        if job_type == "Pipeline":
            properties = self._pipeline_jobs.with_component(properties)
        job = self._records.create(workspace, NewJob(name, properties, caller, schedule=schedule))
        runs: Runs = self._command_jobs if job_type == "Command" else self._pipeline_jobs
        self.start(runs, workspace, job, caller)
        return job

    def start(self, runs: Runs, workspace: Scope, job: Resource, caller: Caller) -> None:
        """Runs a recorded job in the background."""
        task = asyncio.get_running_loop().create_task(self._run(runs, workspace, job, caller))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def properties_of(self, workspace: Scope, name: str) -> Json:
        """What a job was submitted with. Raises a 404 if there is no such job."""
        job = self._records.get(workspace, name)
        if not job:
            raise AzureError(404, "UserError", f"Job {name} was not found in {workspace.name}.")
        properties: Json = self._records.shown(job)["properties"]
        return properties

    async def _cancel(self, request: web.Request) -> web.Response:
        workspace, job = self._existing(request)
        if job.properties["status"] in TERMINAL:
            return web.Response(status=200)
        operation = self._operations.begin("cancellation", job.path)
        headers = self._operations.location_headers(operation, workspace.subscription, workspace.location)
        return web.Response(status=202, headers=headers)

    async def _finish_cancellation(self, operation: Operation) -> None:
        workspace = self._scopes.of(operation.path)
        job = self._records.get(workspace, operation.path.rsplit("/", 1)[1]) if workspace else None
        if not workspace or not job:
            return
        self._records.change(workspace, job.name, "CancelRequested")
        await asyncio.sleep(self._cancellation_seconds)
        if job.properties["jobType"] == "Pipeline":
            await self._pipeline_jobs.cancel(workspace, job)
        else:
            await self._command_jobs.cancel(workspace, job.name)
        async with asyncio.timeout(CANCELLATION_SECONDS):
            while job and job.properties["status"] not in TERMINAL:
                await asyncio.sleep(0.05)
                job = self._records.get(workspace, job.name)

    async def _run(self, runs: Runs, workspace: Scope, job: Resource, caller: Caller) -> None:
        try:
            await runs.run(workspace, job, caller)
        except Exception as error:  # a bug must end the job, or its clients wait forever
            log.exception("job %s broke", job.path)
            self._records.change(workspace, job.name, "Failed", f"An internal error occurred: {error!r}")

    def _existing(self, request: web.Request) -> tuple[Scope, Resource]:
        workspace, name = self._scopes.requested(request), request.match_info["job"]
        job = self._records.get(workspace, name)
        if not job:
            raise AzureError(404, "UserError", f"Job {name} was not found in {workspace.name}.")
        return workspace, job


def _refuse_other_content(name: str, old: Json, new: Json) -> None:
    submitted = {**new, "inputs": kept_inputs(new["inputs"])} if "inputs" in new else new
    changed = [key for key in IMMUTABLE if key in submitted and submitted[key] != old.get(key)]
    if changed:
        raise AzureError(
            400,
            "UserError",
            f"A job with the name {name} already exists, and its {', '.join(changed)} cannot be changed, only"
            f" {', '.join(CHANGEABLE)}. Use a different name to submit a new job.",
        )
