"""Online deployments: each is a real inference server, rolled out by a long-running operation.

A deployment ends as Succeeded when its server is healthy and the configured time has passed, or as Failed with the
error code and the words of Azure; the logs of a failed one can be read until it is deleted.
"""

import asyncio
import contextlib
import copy
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from aiohttp import web

from localcloud.azureml.assets import Assets
from localcloud.azureml.compute.servers import ContainerCrashed, InferenceServers
from localcloud.azureml.deployment_image import GUIDE, DeploymentImage, find_image, refuse_unusable
from localcloud.azureml.endpoints import ENDPOINTS, Endpoints, refuse_unusable_name
from localcloud.azureml.operations import Operation, OperationFailed
from localcloud.azureml.scopes import PROVIDER, Scope, arm_path
from localcloud.azureml.shared_parts import SharedParts
from localcloud.azureml.store import Resource, system_data
from localcloud.azureml.usages import Usages
from localcloud.azureml.wire import AzureError, Json, json_body, not_found, properties_in

log = logging.getLogger(__name__)

LOG_LINES = 5000
DEPLOYMENTS = ENDPOINTS + "/{endpoint}/deployments"


@dataclass(frozen=True)
class Machines:
    """What deployments run on."""

    servers: InferenceServers
    usages: Usages  #: of the quotas
    deployment_seconds: float  #: until a deployment is ready


class Deployments:
    """The routes under `…/onlineEndpoints/NAME/deployments`, and the deletion of endpoints, because it ends servers."""

    def __init__(
        self,
        shared: SharedParts,
        assets: Assets,
        endpoints: Endpoints,
        machines: Machines,
    ) -> None:
        self._store = shared.store
        self._scopes = shared.scopes
        self._operations = shared.operations
        self._outbox = shared.outbox
        self._faults = shared.faults
        self._assets = assets
        self._endpoints = endpoints
        self._servers = machines.servers
        self._usages = machines.usages
        self._deployment_seconds = machines.deployment_seconds
        self._returning: dict[str, asyncio.Task[None]] = {}
        self._crashing: asyncio.Task[None] | None = None
        self._operations.define("deployment", self._roll_out)
        self._operations.define("deletion", self._remove)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.delete(ENDPOINTS + "/{endpoint}", self._delete_endpoint),
            web.get(DEPLOYMENTS, self._list),
            web.get(DEPLOYMENTS + "/{deployment}", self._get),
            web.put(DEPLOYMENTS + "/{deployment}", self._put),
            web.delete(DEPLOYMENTS + "/{deployment}", self._delete),
            web.post(DEPLOYMENTS + "/{deployment}/getLogs", self._get_logs),
        ]

    def bring_back(self) -> None:
        """Restarts the servers of all deployments that were up when the process ended."""
        for deployment in self._all():
            if deployment.private.get("serving"):
                self._returning[deployment.path.lower()] = asyncio.get_running_loop().create_task(
                    self._start_again(deployment)
                )

    async def is_back(self, path: str) -> None:
        """Waits until the server has come back after a restart of the control plane, or could not."""
        task = self._returning.get(path.lower())
        if task:
            await asyncio.shield(task)

    async def crash_where_told(self) -> None:
        """Kills the containers of running deployments that a crash fault covers."""
        for deployment in self._all():
            if deployment.private.get("serving") and self._faults.take({"crash"}, None, deployment.path):
                await self.is_back(deployment.path)
                with contextlib.suppress(KeyError):  # one that did not come back cannot crash
                    await self._servers.crash(deployment.path.lower())

    async def close(self) -> None:
        tasks = [*self._returning.values(), *([self._crashing] if self._crashing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _list(self, request: web.Request) -> web.Response:
        workspace = self._scopes.requested(request)
        found = self._store.collection(arm_path(request))
        return web.json_response({"value": [self._shown(workspace, deployment) for deployment in found]})

    async def _get(self, request: web.Request) -> web.Response:
        workspace = self._scopes.requested(request)
        return web.json_response(self._shown(workspace, self._existing(arm_path(request))))

    async def _put(self, request: web.Request) -> web.Response:
        workspace, path = self._scopes.requested(request), arm_path(request)
        body, properties = await json_body(request), await properties_in(request)
        refuse_unusable_name("deployment", request.match_info["deployment"])
        sku = _sku(body)
        endpoint = self._endpoints.existing(path.rsplit("/deployments/", 1)[0])
        if self._operations.busy(endpoint.path):
            state = endpoint.properties["provisioningState"]
            raise AzureError(
                409,
                "Conflict",
                f"Cannot create a deployment in endpoint {endpoint.name} because it is in {state} provisioning state.",
            )
        self._refuse_if_busy(path)
        refuse_unusable(self._assets, workspace, properties)
        _spell_collection_modes(properties)
        self._usages.refuse_beyond_quota(workspace, path, str(properties.get("instanceType") or ""), sku["capacity"])
        old = self._store.get(path)
        deployment = old or Resource(path, {})
        deployment.body = _deployment_body(workspace, path, body, sku, properties, old)
        operation = self._operations.begin("deployment", path)
        deployment.private["operation"] = operation.id
        self._store.put(deployment)
        headers = self._operations.change_headers(operation, workspace.subscription, workspace.location)
        return web.json_response(self._shown(workspace, deployment), status=201, headers=headers)

    async def _delete(self, request: web.Request) -> web.Response:
        workspace, path = self._scopes.requested(request), arm_path(request)
        if not self._store.get(path):
            return web.Response(status=204)
        endpoint = self._endpoints.existing(path.rsplit("/deployments/", 1)[0])
        self._endpoints.refuse_if_busy(endpoint.path, below=False)
        self._refuse_if_busy(path)
        name = request.match_info["deployment"]
        if endpoint.private["routing"].get(name) or endpoint.properties["traffic"].get(name):
            raise AzureError(400, "BadRequest", f"Can't delete deployment [{name}] with non-zero traffic weight.")
        return self._begin_deletion(workspace, path)

    async def _delete_endpoint(self, request: web.Request) -> web.Response:
        workspace, path = self._scopes.requested(request), arm_path(request)
        if not self._store.get(path):
            return web.Response(status=204)
        self._endpoints.refuse_if_busy(path, below=True)
        return self._begin_deletion(workspace, path)

    def _begin_deletion(self, workspace: Scope, path: str) -> web.Response:
        resource = self._store.get(path)
        operation = self._operations.begin("deletion", path)
        if resource:
            resource.properties["provisioningState"] = "Deleting"
            resource.private["operation"] = operation.id
            self._store.put(resource)
        headers = self._operations.deletion_headers(operation, workspace.subscription, workspace.location)
        return web.json_response(None, status=202, headers=headers)

    async def _get_logs(self, request: web.Request) -> web.Response:
        self._scopes.requested(request)
        deployment = self._existing(arm_path(request).rsplit("/", 1)[0])
        body = await json_body(request)
        if str(body.get("containerType", "")).lower() == "storageinitializer":
            return web.json_response({"content": ""})  # nothing is downloaded, since the files are on this machine
        lines = body.get("tail") or LOG_LINES
        if not isinstance(lines, int):
            raise AzureError(400, "BadArgument", "tail must be a number of lines.")
        return web.json_response({"content": self._servers.logs(deployment.path.lower(), lines)})

    async def _roll_out(self, operation: Operation) -> None:
        workspace, deployment = self._scopes.of(operation.path), self._store.get(operation.path)
        if not workspace or not deployment:
            return
        try:
            image = await self._start_server(workspace, deployment)
        except Exception:
            self._end_roll_out(operation.path, "Failed")
            raise
        await asyncio.sleep(max(0.0, operation.started + self._deployment_seconds - time.time()))
        # Nothing is awaited from here on: the deployment and its operation end together.
        endpoint, model = deployment.path.split("/")[-3], str(deployment.properties.get("model") or "")
        with self._store.transaction():
            self._end_roll_out(operation.path, "Succeeded", image)
            self._outbox.model_deployed(workspace, endpoint, model, {}, {})
        self._crashing = asyncio.get_running_loop().create_task(self.crash_where_told())

    async def _start_server(self, workspace: Scope, deployment: Resource) -> DeploymentImage:
        if self._faults.take({"out_of_quota"}, None, deployment.path):
            cores = 4 * int(deployment.body["sku"]["capacity"])
            raise OperationFailed(
                "OutOfQuota",
                f"Not enough subscription CPU quota. The amount of CPU quota requested is {cores} and your maximum"
                f" amount of quota is [0]. {GUIDE}outofquota",
            )
        image = find_image(self._assets, workspace, deployment.properties)
        await self.is_back(deployment.path)
        try:
            await self._run(deployment.path, image)
        except ContainerCrashed as crash:
            raise OperationFailed(
                "ResourceNotReady",
                "User container has crashed or terminated: Liveness probe failed: HTTP probe failed with statuscode:"
                f" 502. {GUIDE}resourcenotready",
            ) from crash
        except (OSError, ValueError) as error:
            raise OperationFailed("BadArgument", f"{error}. {GUIDE}badargument") from error
        return image

    async def _run(self, path: str, image: DeploymentImage) -> None:
        await self._servers.start(
            path.lower(),
            code=Path(image.code) if image.code else None,
            scoring_script=image.scoring_script,
            model=Path(image.model) if image.model else None,
            model_type=image.model_type,
            environment_variables=image.environment_variables,
        )

    def _end_roll_out(self, path: str, state: str, image: DeploymentImage | None = None) -> None:
        deployment = self._store.get(path)
        if deployment:
            deployment.properties["provisioningState"] = state
            if image:  # after a failed update the previous one keeps serving
                deployment.private["serving"] = asdict(image)
            self._store.put(deployment)

    async def _start_again(self, deployment: Resource) -> None:
        try:
            await self._run(deployment.path, DeploymentImage(**deployment.private["serving"]))
        except (ContainerCrashed, OSError, ValueError) as error:
            log.error("the deployment %s did not come back: %s", deployment.path, error)

    async def _remove(self, operation: Operation) -> None:
        """Ends the servers of a deployment, or of all deployments of an endpoint, and forgets it."""
        paths = [deployment.path for deployment in self._store.collection(f"{operation.path}/deployments")]
        for path in (*paths, operation.path):
            await self.is_back(path)
            await self._servers.stop(path.lower())
        self._store.delete(operation.path)
        self._endpoints.forget_deployment(operation.path)

    def _refuse_if_busy(self, path: str) -> None:
        if self._operations.busy(path):
            raise AzureError(
                409,
                "Conflict",
                f"Another operation on the deployment {path.rsplit('/', 1)[1]} is in progress. Try again when it has"
                " ended.",
            )

    def _existing(self, path: str) -> Resource:
        deployment = self._store.get(path)
        if not deployment:
            raise not_found(f"Deployment {path.rsplit('/', 1)[1]} of endpoint {path.split('/')[-3]}")
        return deployment

    def _all(self) -> list[Resource]:
        return self._store.matching("*/onlineendpoints/*/deployments/*")

    def _shown(self, workspace: Scope, deployment: Resource) -> Json:
        body = copy.deepcopy(deployment.body)
        url = self._operations.status_url(deployment.private["operation"], workspace.subscription, workspace.location)
        body["properties"]["properties"] = {**body["properties"]["properties"], "AzureAsyncOperationUri": url}
        return body


def _sku(body: Json) -> Json:
    sku = {"name": "Default", "capacity": 1, **(body.get("sku") or {})}
    if not isinstance(sku["capacity"], int) or sku["capacity"] < 1:
        raise AzureError(400, "BadArgument", "The instance count (sku.capacity) must be a whole number from 1.")
    return sku


def _spell_collection_modes(properties: Json) -> None:
    """As Azure spells them: azure-ai-ml sends `enabled`, and takes no other answer than `Enabled` for it."""
    collector = properties.get("dataCollector")
    collections = collector.get("collections") if isinstance(collector, dict) else None
    for each in collections.values() if isinstance(collections, dict) else ():
        if isinstance(each, dict) and isinstance(each.get("dataCollectionMode"), str):
            each["dataCollectionMode"] = each["dataCollectionMode"].capitalize()


def _deployment_body(
    workspace: Scope, path: str, body: Json, sku: Json, properties: Json, old: Resource | None
) -> Json:
    defaults: Json = {
        "endpointComputeType": "Managed",
        "scaleSettings": {"scaleType": "Default"},
        "requestSettings": {"maxConcurrentRequestsPerInstance": 1, "requestTimeout": "PT5S", "maxQueueWait": "PT0.5S"},
        "environmentVariables": {},
        "properties": {},
    }
    return {
        "id": path,
        "name": path.rsplit("/", 1)[1],
        "type": f"{PROVIDER}/workspaces/onlineEndpoints/deployments",
        "location": body.get("location") or workspace.location,
        "kind": "Managed",
        "tags": body.get("tags") or {},
        "sku": sku,
        "properties": {**defaults, **_with_modes(properties), "provisioningState": "Updating" if old else "Creating"},
        "systemData": system_data(old),
    }


def _with_modes(properties: Json) -> Json:
    """With the data collector's modes as the service shows them: the SDK sends `enabled`, and reads `Enabled`."""
    collector = properties.get("dataCollector") or {}
    collections = {
        name: {**each, "dataCollectionMode": str(each.get("dataCollectionMode") or "Disabled").capitalize()}
        for name, each in (collector.get("collections") or {}).items()
    }
    return {**properties, "dataCollector": {**collector, "collections": collections}} if collections else properties
