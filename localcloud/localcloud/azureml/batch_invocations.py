"""Invocations of batch endpoints: each makes a job of the deployment that is the default, or that a header names."""

import uuid

from aiohttp import web

from localcloud.azureml.batch_jobs import BatchJobs, experiment_of, inputs_of, outputs_of
from localcloud.azureml.forwarding import CHOSEN
from localcloud.azureml.job_records import JobRecords
from localcloud.azureml.jobs import Jobs
from localcloud.azureml.rights import CALLER, Caller
from localcloud.azureml.scopes import PROVIDER, WORKSPACE, Scope, arm_path
from localcloud.azureml.shared_parts import SharedParts
from localcloud.azureml.store import Resource
from localcloud.azureml.wire import AzureError, Json, not_found, properties_in

_INVOKE = f"{PROVIDER}/workspaces/batchEndpoints/jobs/write"
#: The header by which a request that is sent again is known.
_REPEATED = "repeatability-request-id"


class BatchInvocations:
    """Serves `/batch/WORKSPACE/ENDPOINT/jobs` in place of the endpoint's own host, and lists the jobs."""

    def __init__(self, shared: SharedParts, records: JobRecords, jobs: Jobs, batch_jobs: BatchJobs) -> None:
        self._store = shared.store
        self._scopes = shared.scopes
        self._rights = shared.rights
        self._records = records
        self._jobs = jobs
        self._batch_jobs = batch_jobs

    def routes(self) -> list[web.RouteDef]:
        endpoint = "/mferp/managementfrontend" + WORKSPACE + "/batchEndpoints/{endpoint}"
        return [
            web.post("/batch/{workspace}/{endpoint}/jobs", self._invoke),
            web.get(endpoint + "/jobs", self._list),
            web.get(endpoint + "/deployments/{deployment}/jobs", self._list),
        ]

    async def _invoke(self, request: web.Request) -> web.Response:
        workspace = self._scopes.workspace(request.match_info["workspace"])
        if not workspace:
            raise not_found(f"The workspace {request.match_info['workspace']}")
        self._rights.demand(request[CALLER], _INVOKE, workspace)
        deployment = self._deployment(request, workspace)
        invocation = await properties_in(request)
        name = self._name(request, deployment, invocation)
        job = self._records.get(workspace, name)
        if not job:
            job = self._start(workspace, name, deployment, invocation, request[CALLER])
        return web.json_response(self._records.shown(job), status=201)

    def _deployment(self, request: web.Request, workspace: Scope) -> Resource:
        path = f"{workspace.path}/batchEndpoints/{request.match_info['endpoint']}"
        endpoint = self._store.get(path)
        if not endpoint:
            raise not_found(f"Batch endpoint {request.match_info['endpoint']}")
        default = (endpoint.properties.get("defaults") or {}).get("deploymentName")
        name = request.headers.get(CHOSEN) or default
        if not name:
            raise AzureError(
                400, "BadArgument", f"The endpoint {endpoint.name} has no default deployment: name one to invoke."
            )
        deployment = self._store.get(f"{path}/deployments/{name}")
        if not deployment or deployment.properties["provisioningState"] != "Succeeded":
            raise not_found(f"A deployment {name} of the endpoint {endpoint.name} that has succeeded")
        return deployment

    def _name(self, request: web.Request, deployment: Resource, invocation: Json) -> str:
        """That of the job: the one that was asked for, or the same for the same request."""
        repeated = request.headers.get(_REPEATED)
        own = uuid.uuid5(uuid.NAMESPACE_URL, f"{deployment.path}/{repeated}") if repeated else uuid.uuid4()
        return str(invocation.get("name") or f"batchjob-{own}")

    def _start(self, workspace: Scope, name: str, deployment: Resource, invocation: Json, caller: Caller) -> Resource:
        configuration = deployment.properties.get("deploymentConfiguration")
        if not configuration:
            job = self._batch_jobs.create(workspace, name, deployment, invocation, caller)
            self._jobs.start(self._batch_jobs, workspace, job, caller)
            return job
        properties = {
            "jobType": "Pipeline",
            "displayName": name,
            "experimentName": experiment_of(invocation, deployment),
            "componentId": (configuration.get("componentId") or {}).get("assetId"),
            "settings": configuration.get("settings") or {},
            "inputs": inputs_of(invocation),
            "outputs": outputs_of(invocation),
        }
        job = self._jobs.submit(workspace, name, properties, caller)
        job.private["deployment"] = deployment.path
        self._records.save(job)
        return job

    async def _list(self, request: web.Request) -> web.Response:
        """The jobs of an endpoint, or of one of its deployments, newest first."""
        workspace = self._scopes.requested(request)
        place = arm_path(request).rsplit("/jobs", 1)[0].lower() + "/"
        mine = [
            self._records.shown(job)
            for job in self._records.submitted(workspace)
            if f"{job.private.get('deployment', '')}/".lower().startswith(place)
        ]
        return web.json_response({"value": mine})
