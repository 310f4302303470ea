"""Batch endpoints and their deployments: kept, changed and deleted; nothing of them runs until they are invoked."""

import asyncio
import copy
import time

from aiohttp import web

from localcloud.azureml.assets import Assets
from localcloud.azureml.deployment_image import find_image, refuse_unusable
from localcloud.azureml.endpoints import refuse_unusable_name
from localcloud.azureml.operations import Operation
from localcloud.azureml.scopes import PROVIDER, WORKSPACE, Scope, arm_path
from localcloud.azureml.shared_parts import SharedParts
from localcloud.azureml.store import Resource, system_data
from localcloud.azureml.wire import AzureError, Json, json_body, not_found, properties_in

_ENDPOINTS = WORKSPACE + "/batchEndpoints"
_DEPLOYMENTS = _ENDPOINTS + "/{endpoint}/deployments"
_DEFAULTS: Json = {
    "outputAction": "AppendRow",
    "outputFileName": "predictions.csv",
    "miniBatchSize": 10,
    "maxConcurrencyPerInstance": 1,
    "errorThreshold": -1,
    "retrySettings": {"maxRetries": 3, "timeout": "PT30S"},
    "loggingLevel": "Info",
    "resources": {"instanceCount": 1},
    "environmentVariables": {},
    "properties": {},
}


class BatchEndpoints:
    def __init__(self, shared: SharedParts, assets: Assets, base_url: str, update_seconds: float) -> None:
        self._store = shared.store
        self._scopes = shared.scopes
        self._operations = shared.operations
        self._assets = assets
        self._base_url = base_url
        self._update_seconds = update_seconds
        self._operations.define("batch endpoint", self._finish)
        self._operations.define("batch deployment", self._finish_deployment)
        self._operations.define("batch deletion", self._finish_deletion)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_ENDPOINTS, self._list),
            web.get(_ENDPOINTS + "/{endpoint}", self._get),
            web.put(_ENDPOINTS + "/{endpoint}", self._put_endpoint),
            web.delete(_ENDPOINTS + "/{endpoint}", self._delete),
            web.get(_DEPLOYMENTS, self._list),
            web.get(_DEPLOYMENTS + "/{deployment}", self._get),
            web.put(_DEPLOYMENTS + "/{deployment}", self._put_deployment),
            web.delete(_DEPLOYMENTS + "/{deployment}", self._delete),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        self._scopes.requested(request)
        found = self._store.collection(arm_path(request))
        return web.json_response({"value": [self._shown(each) for each in found]})

    async def _get(self, request: web.Request) -> web.Response:
        self._scopes.requested(request)
        return web.json_response(self._shown(self._existing(arm_path(request))))

    async def _put_endpoint(self, request: web.Request) -> web.Response:
        workspace, path = self._scopes.requested(request), arm_path(request)
        body, properties = await json_body(request), await properties_in(request)
        refuse_unusable_name("endpoint", request.match_info["endpoint"])
        self._refuse_if_busy(path)
        default = (properties.get("defaults") or {}).get("deploymentName")
        if default and not self._store.get(f"{path}/deployments/{default}"):
            raise AzureError(400, "BadArgument", f"The default deployment {default} does not exist.")
        return self._begin("batch endpoint", workspace, path, body, {"authMode": "AADToken", **properties})

    async def _put_deployment(self, request: web.Request) -> web.Response:
        workspace, path = self._scopes.requested(request), arm_path(request)
        body, properties = await json_body(request), await properties_in(request)
        refuse_unusable_name("deployment", request.match_info["deployment"])
        self._existing(path.rsplit("/deployments/", 1)[0])
        self._refuse_if_busy(path)
        compute = str(properties.get("compute") or "").rsplit("/", 1)[-1].removeprefix("azureml:")
        if compute and not workspace.has_compute(compute):
            raise AzureError(
                400, "BadArgument", f"The compute {compute} was not found in the workspace {workspace.name}."
            )
        if component := _component_of(properties):
            if not self._assets.find(component):
                raise AzureError(400, "BadArgument", f"Could not find asset with ID: {component}.")
        else:
            refuse_unusable(self._assets, workspace, properties)
        return self._begin("batch deployment", workspace, path, body, {**_DEFAULTS, **properties})

    def _begin(self, kind: str, workspace: Scope, path: str, body: Json, properties: Json) -> web.Response:
        old = self._store.get(path)
        resource = old or Resource(path, {})
        resource.body = {
            "id": path,
            "name": path.rsplit("/", 1)[1],
            "type": f"{PROVIDER}/workspaces/batchEndpoints{'/deployments' if '/deployments/' in path else ''}",
            "location": body.get("location") or workspace.location,
            "tags": body.get("tags") or {},
            "properties": {**properties, "provisioningState": "Updating" if old else "Creating"},
            "systemData": system_data(old),
        }
        with self._store.transaction():
            self._store.put(resource)
            operation = self._operations.begin(kind, path)
        headers = self._operations.change_headers(operation, workspace.subscription, workspace.location)
        return web.json_response(self._shown(resource), status=200 if old else 201, headers=headers)

    async def _delete(self, request: web.Request) -> web.Response:
        workspace, path = self._scopes.requested(request), arm_path(request)
        resource = self._store.get(path)
        if not resource:
            return web.Response(status=204)
        self._refuse_if_busy(path, below=True)
        resource.properties["provisioningState"] = "Deleting"
        with self._store.transaction():
            self._store.put(resource)
            operation = self._operations.begin("batch deletion", path)
        headers = self._operations.deletion_headers(operation, workspace.subscription, workspace.location)
        return web.json_response(None, status=202, headers=headers)

    async def _finish(self, operation: Operation) -> None:
        await asyncio.sleep(max(0.0, operation.started + self._update_seconds - time.time()))
        self._end(operation.path, "Succeeded")

    async def _finish_deployment(self, operation: Operation) -> None:
        """Fails as online deployments do, where the model, the code or the environment are missing."""
        workspace, deployment = self._scopes.of(operation.path), self._store.get(operation.path)
        try:
            if workspace and deployment and not _component_of(deployment.properties):
                find_image(self._assets, workspace, deployment.properties)
        except Exception:
            self._end(operation.path, "Failed")
            raise
        await self._finish(operation)

    async def _finish_deletion(self, operation: Operation) -> None:
        self._store.delete(operation.path)
        endpoint_path, _, name = operation.path.partition("/deployments/")
        endpoint = self._store.get(endpoint_path)
        if endpoint and name and (endpoint.properties.get("defaults") or {}).get("deploymentName") == name:
            endpoint.properties["defaults"] = {}
            self._store.put(endpoint)

    def _end(self, path: str, state: str) -> None:
        if resource := self._store.get(path):
            resource.properties["provisioningState"] = state
            self._store.put(resource)

    def _existing(self, path: str) -> Resource:
        found = self._store.get(path)
        if not found:
            kind = "Batch deployment" if "/deployments/" in path else "Batch endpoint"
            raise not_found(f"{kind} {path.rsplit('/', 1)[1]}")
        return found

    def _refuse_if_busy(self, path: str, below: bool = False) -> None:
        if self._operations.busy(path, below):
            raise AzureError(
                409,
                "Conflict",
                f"Another operation on {path.rsplit('/', 1)[1]} is in progress. Try again when it has ended.",
            )

    def _shown(self, resource: Resource) -> Json:
        body = copy.deepcopy(resource.body)
        workspace = self._scopes.of(resource.path)
        if workspace and "/deployments/" not in resource.path:
            body["properties"]["scoringUri"] = f"{self._base_url}/batch/{workspace.name}/{resource.name}/jobs"
            body["properties"]["swaggerUri"] = None
        return body


def _component_of(properties: Json) -> str:
    """The pipeline component that the deployment is of; empty if it is of a model."""
    component = (properties.get("deploymentConfiguration") or {}).get("componentId") or {}
    return str(component.get("assetId") or "") if isinstance(component, dict) else str(component)
