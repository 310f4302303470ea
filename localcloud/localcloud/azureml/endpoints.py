"""Online endpoints: their life cycle, their keys, and the traffic that each of their deployments gets."""

import asyncio
import copy
import re
import secrets
import time

from aiohttp import web

from localcloud.azureml.operations import Operation, Operations
from localcloud.azureml.scopes import PROVIDER, WORKSPACE, Scope, Scopes, arm_path
from localcloud.azureml.store import Resource, Store, system_data
from localcloud.azureml.wire import AzureError, Json, json_body, not_found, properties_in

ENDPOINTS = WORKSPACE + "/onlineEndpoints"
#: What an endpoint shows unchanged until an update is done.
_TRAFFIC = ("traffic", "mirrorTraffic")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,30}[A-Za-z0-9]")


class Endpoints:
    """The routes under `…/onlineEndpoints/NAME`, except those of deployments."""

    def __init__(
        self, store: Store, scopes: Scopes, operations: Operations, base_url: str, update_seconds: float
    ) -> None:
        self._store = store
        self._scopes = scopes
        self._operations = operations
        self._base_url = base_url
        self._update_seconds = update_seconds
        operations.define("endpoint", self._finish_update)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(ENDPOINTS, self._list),
            web.get(ENDPOINTS + "/{endpoint}", self._get),
            web.put(ENDPOINTS + "/{endpoint}", self._put),
            web.post(ENDPOINTS + "/{endpoint}/listKeys", self._list_keys),
            web.post(ENDPOINTS + "/{endpoint}/regenerateKeys", self._regenerate_key),
        ]

    def existing(self, path: str) -> Resource:
        endpoint = self._store.get(path)
        if not endpoint:
            raise not_found(f"Online endpoint {path.rsplit('/', 1)[1]}")
        return endpoint

    def forget_deployment(self, path: str) -> None:
        """Removes a deleted deployment, which has no share, from its endpoint's traffic."""
        endpoint_path, _, name = path.partition("/deployments/")
        endpoint = self._store.get(endpoint_path)
        if endpoint and name:
            for traffic in (*(endpoint.properties[key] for key in _TRAFFIC), endpoint.private["routing"]):
                traffic.pop(name, None)
            self._store.put(endpoint)

    def refuse_if_busy(self, path: str, below: bool) -> None:
        """Raises a 409 while an operation on the endpoint is under way; with `below`, also for its deployments."""
        if self._operations.busy(path, below):
            name, endpoint = path.rsplit("/", 1)[1], self._store.get(path)
            state = endpoint.properties["provisioningState"] if endpoint else "Updating"
            raise AzureError(
                409,
                "Conflict",
                f"Cannot change endpoint {name}: an operation on it or on one of its deployments is in progress"
                f" (provisioning state {state}). Try again when it has ended.",
            )

    async def _list(self, request: web.Request) -> web.Response:
        workspace = self._scopes.requested(request)
        return web.json_response(
            {"value": [self._shown(workspace, endpoint) for endpoint in self._store.collection(arm_path(request))]}
        )

    async def _get(self, request: web.Request) -> web.Response:
        workspace = self._scopes.requested(request)
        return web.json_response(self._shown(workspace, self.existing(arm_path(request))))

    async def _put(self, request: web.Request) -> web.Response:
        workspace, path = self._scopes.requested(request), arm_path(request)
        body, properties = await json_body(request), await properties_in(request)
        refuse_unusable_name("endpoint", request.match_info["endpoint"])
        old = self._store.get(path)
        self.refuse_if_busy(path, below=False)
        self._check_traffic(path, properties)
        endpoint = old or Resource(path, {}, {"keys": [secrets.token_hex(16), secrets.token_hex(16)], "routing": {}})
        endpoint.private["wanted"] = {key: properties.get(key) or {} for key in _TRAFFIC}
        endpoint.body = _endpoint_body(workspace, path, body, properties, old)
        operation = self._operations.begin("endpoint", path)
        endpoint.private["operation"] = operation.id
        self._store.put(endpoint)
        headers = self._operations.change_headers(operation, workspace.subscription, workspace.location)
        return web.json_response(self._shown(workspace, endpoint), status=201, headers=headers)

    def _check_traffic(self, path: str, properties: Json) -> None:
        """Traffic goes to deployments that are up, and sums to 0 or 100; a mirror gets at most half, and only one."""
        traffic, mirror = properties.get("traffic") or {}, properties.get("mirrorTraffic") or {}
        if not isinstance(traffic, dict) or not isinstance(mirror, dict):
            raise AzureError(400, "BadArgument", "traffic must be an object of deployments and percentages.")
        for deployment, percent in (*traffic.items(), *mirror.items()):
            if not isinstance(percent, int) or not 0 <= percent <= 100:
                raise AzureError(400, "BadArgument", f"The traffic of {deployment} must be a number from 0 to 100.")
            found = self._store.get(f"{path}/deployments/{deployment}")
            if not found:
                raise AzureError(400, "BadArgument", f"The deployment {deployment} in the traffic does not exist.")
            state = found.properties["provisioningState"]
            if percent and (state == "Deleting" or not found.private.get("serving")):
                raise AzureError(
                    400, "BadArgument", f"The deployment {deployment} cannot take traffic, its state is {state}."
                )
        if sum(traffic.values()) not in (0, 100):
            raise AzureError(400, "BadArgument", f"Traffic must sum to 0 or 100, not to {sum(traffic.values())}.")
        live = [deployment for deployment, percent in mirror.items() if percent]
        if len(live) > 1 or any(mirror[deployment] > 50 or traffic.get(deployment) for deployment in live):
            raise AzureError(
                400, "BadArgument", "Traffic can be mirrored to one deployment without live traffic, 50 at most."
            )

    async def _finish_update(self, operation: Operation) -> None:
        await asyncio.sleep(max(0.0, operation.started + self._update_seconds - time.time()))
        endpoint = self._store.get(operation.path)
        if endpoint:
            endpoint.properties.update(endpoint.private.pop("wanted", {}))
            endpoint.private["routing"] = endpoint.properties["traffic"]
            endpoint.properties["provisioningState"] = "Succeeded"
            self._store.put(endpoint)

    async def _list_keys(self, request: web.Request) -> web.Response:
        self._scopes.requested(request)
        keys = self.existing(arm_path(request).rsplit("/", 1)[0]).private["keys"]
        return web.json_response({"primaryKey": keys[0], "secondaryKey": keys[1]})

    async def _regenerate_key(self, request: web.Request) -> web.Response:
        workspace = self._scopes.requested(request)
        endpoint = self.existing(arm_path(request).rsplit("/", 1)[0])
        which = 1 if str((await json_body(request)).get("keyType")).lower() == "secondary" else 0
        endpoint.private["keys"][which] = secrets.token_hex(16)
        self._store.put(endpoint)
        operation = self._operations.begin("endpoint", endpoint.path)
        headers = self._operations.location_headers(operation, workspace.subscription, workspace.location)
        return web.Response(status=202, headers=headers)

    def _shown(self, workspace: Scope, endpoint: Resource) -> Json:
        body = copy.deepcopy(endpoint.body)
        properties = body["properties"]
        address = f"{self._base_url}/scoring/{workspace.name}/{endpoint.name}"
        is_ready = properties["provisioningState"] != "Creating"
        properties["scoringUri"] = f"{address}/score" if is_ready else None
        properties["swaggerUri"] = f"{address}/swagger.json" if is_ready else None
        properties["properties"] = {
            **properties.get("properties", {}),
            "azureml.onlineendpointid": endpoint.path.lower(),
            "AzureAsyncOperationUri": self._operations.status_url(
                endpoint.private["operation"], workspace.subscription, workspace.location
            ),
        }
        return body


def refuse_unusable_name(kind: str, name: str) -> None:
    """Raises a 400 for a name that an endpoint or a deployment cannot have."""
    if not _NAME.fullmatch(name):
        words = f"The {kind} name {name!r} is not valid: 3 to 32 letters, digits and hyphens, a letter first."
        raise AzureError(400, "BadArgument", words)


def _endpoint_body(workspace: Scope, path: str, body: Json, properties: Json, old: Resource | None) -> Json:
    is_created = old is not None and old.properties["provisioningState"] != "Creating"
    before = {key: old.properties[key] if old else {} for key in _TRAFFIC}
    return {
        "id": path,
        "name": path.rsplit("/", 1)[1],
        "type": f"{PROVIDER}/workspaces/onlineEndpoints",
        "location": body.get("location") or workspace.location,
        "kind": "Managed",
        "identity": body.get("identity") or {"type": "SystemAssigned"},
        "tags": body.get("tags") or {},
        "properties": {
            "authMode": "Key",
            "publicNetworkAccess": "Enabled",
            **properties,
            **before,
            "provisioningState": "Updating" if is_created else "Creating",
        },
        "systemData": system_data(old),
    }
