"""Run history: the data plane from which the SDK reads a job's details, log files and children."""

from aiohttp import web

from localcloud.azureml.command_jobs import CommandJobs
from localcloud.azureml.job_records import TERMINAL, JobRecords
from localcloud.azureml.scopes import WORKSPACE, Scope, Scopes
from localcloud.azureml.storage import ARTIFACT_DATASTORE, Storage
from localcloud.azureml.store import Resource
from localcloud.azureml.wire import AzureError, Json, json_body

_HISTORY = "/history/v1.0" + WORKSPACE
LOG = "user_logs/std_log.txt"
_DATA_TYPES = ("uri_file", "uri_folder", "mltable")


class History:
    def __init__(
        self, scopes: Scopes, records: JobRecords, command_jobs: CommandJobs, storage: Storage, base_url: str
    ) -> None:
        self._scopes = scopes
        self._records = records
        self._command_jobs = command_jobs
        self._storage = storage
        self._base_url = base_url

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_HISTORY + "/runs/{run}", self._get),
            web.get(_HISTORY + "/runs/{run}/details", self._details),
            web.get(_HISTORY + "/runs/{run}/children", self._children),
            web.patch(_HISTORY + "/runs/{run}", self._patch),
            web.patch(_HISTORY + "/experiments/{experiment}/runs/{run}", self._patch),
            web.post(_HISTORY + "/rundata", self._run_data),
            web.post("/data/v1.0" + WORKSPACE + "/dataversion/batchGetResolvedUris", self._resolve),
        ]

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(_run(self._existing(request)[1]))

    async def _details(self, request: web.Request) -> web.Response:
        workspace, job = self._existing(request)
        return web.json_response({**_run(job), "logFiles": self._log_files(workspace, job)})

    async def _children(self, request: web.Request) -> web.Response:
        workspace, job = self._existing(request)
        return web.json_response({"value": [_run(child) for child in self._records.children(workspace, job.name)]})

    async def _run_data(self, request: web.Request) -> web.Response:
        """What `jobs.download` asks for: the outputs, each with an id, which it asks to resolve next. Models are called
        folders, because the SDK (1.35) fails before it asks about the id of a model.
        """
        workspace = self._scopes.requested(request)
        job = self._job(workspace, str((await json_body(request)).get("runId")))
        outputs = {
            name: {
                "assetId": f"azureml://jobs/{job.name}/outputs/{name}",
                "type": kind if (kind := str(declared["jobOutputType"]).lower()) in _DATA_TYPES else "uri_folder",
            }
            for name, declared in job.properties["outputs"].items()
        }
        return web.json_response({"runMetadata": {**_run(job), "outputs": outputs}})

    async def _resolve(self, request: web.Request) -> web.Response:
        """The places of the outputs with these ids."""
        workspace = self._scopes.requested(request)
        places = {}
        wanted = (await json_body(request)).get("values") or []
        if not isinstance(wanted, list):
            raise AzureError(400, "UserError", "values must be a list of ids.")
        for asset in wanted:
            try:
                found = self._records.output_uri(workspace, str(asset))
            except ValueError as error:
                raise AzureError(404, "UserError", f"{error}.") from error
            if found:
                places[str(asset)] = {"uri": found[0]}
        return web.json_response({"values": places})

    async def _patch(self, request: web.Request) -> web.Response:
        """What the SDK can change of a job: it adds tags and properties, and archives the job with `hidden`."""
        _, job = self._existing(request)
        body = await json_body(request)
        for key in ("tags", "properties"):
            job.properties[key] = {**job.properties[key], **(body.get(key) or {})}
        for key in ("displayName", "description"):
            if body.get(key) is not None:
                job.properties[key] = body[key]
        if body.get("hidden") is not None:
            job.properties["isArchived"] = bool(body["hidden"])
        self._records.save(job)
        return web.json_response(_run(job))

    def _log_files(self, workspace: Scope, job: Resource) -> dict[str, str]:
        """A URL for the log, which is among the job's artifacts once the job has ended. Until then it is copied
        there."""
        running = self._command_jobs.log(workspace, job.name)
        kept = self._records.artifacts(workspace, job.name) / LOG
        if job.properties["status"] not in TERMINAL and running.exists():
            self._storage.copy(running, kept)
        if not kept.exists():
            return {}
        name = f"{self._records.artifacts_path(workspace, job.name)}/{LOG}"
        url = self._storage.blob_uri(workspace.account, ARTIFACT_DATASTORE, name)
        return {LOG: f"{url}?{self._storage.signed(workspace.account, ARTIFACT_DATASTORE, 'r')}"}

    def _existing(self, request: web.Request) -> tuple[Scope, Resource]:
        workspace = self._scopes.requested(request)
        return workspace, self._job(workspace, request.match_info["run"])

    def _job(self, workspace: Scope, name: str) -> Resource:
        job = self._records.get(workspace, name)
        if not job:
            raise AzureError(404, "UserError", f"Run {name} was not found in {workspace.name}.")
        return job


def _run(job: Resource) -> Json:
    properties, moments = job.properties, job.private.get("moments", {})
    ended = next((moments[status] for status in TERMINAL if status in moments), None)
    error = job.private.get("error")
    return {
        "runId": job.name,
        "rootRunId": job.private.get("root") or job.name,
        "parentRunId": job.private.get("parent"),
        "status": properties["status"],
        "experimentId": properties["experimentName"],
        "displayName": properties["displayName"],
        "runType": job.private["type"],
        "runTypeV2": {"orchestrator": "Execution", "traits": []},
        "scheduleId": job.private.get("schedule"),
        "userId": job.private["creator"]["userObjectId"],
        "createdBy": job.private["creator"],
        "createdUtc": job.body["systemData"]["createdAt"],
        "startTimeUtc": moments.get("Running"),
        "endTimeUtc": ended,
        "tags": properties["tags"],
        "properties": properties["properties"],
        "dataContainerId": f"dcid.{job.private.get('reused') or job.name}",
        "error": {"error": {"code": "UserError", "message": error}} if error else None,
        "warnings": [],
    }
