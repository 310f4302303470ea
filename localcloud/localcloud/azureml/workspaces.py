"""Workspaces, their computes and their addresses, and the metadata of this cloud."""

import uuid

from aiohttp import web

from localcloud.azureml.rights import CALLER, Rights
from localcloud.azureml.scopes import (
    PROVIDER,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    TENANT,
    WORKSPACE,
    WORKSPACES,
    Scope,
    Scopes,
)
from localcloud.azureml.wire import Json, not_found

CLOUD = "LocalCloud"


class Workspaces:
    """Answers what a client asks before it does anything else."""

    def __init__(self, scopes: Scopes, rights: Rights, base_url: str) -> None:
        self._scopes = scopes
        self._rights = rights
        self._base_url = base_url

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/metadata/endpoints", self._metadata),
            web.get("/discovery/workspaces/{guid}", self._services),
            web.get(SUBSCRIPTION + WORKSPACES, self._list),
            web.get(RESOURCE_GROUP + WORKSPACES, self._list),
            web.get(WORKSPACE, self._get),
            web.get(WORKSPACE + "/computes", self._computes),
            web.get(WORKSPACE + "/computes/{compute}", self._compute),
        ]

    async def _metadata(self, _: web.Request) -> web.Response:
        """What `ARM_CLOUD_METADATA_URL` leads to."""
        return web.json_response(
            [
                {
                    "name": CLOUD,
                    "portal": "https://portal.local.test/",
                    "resourceManager": self._base_url,
                    "authentication": {
                        "loginEndpoint": self._base_url + "/",
                        "audiences": [self._base_url],
                        "tenant": "common",
                    },
                    "suffixes": {"storage": "storage.local.test"},
                }
            ]
        )

    async def _services(self, _: web.Request) -> web.Response:
        services = ("api", "catalog", "experimentation", "history", "modelmanagement", "studio")
        return web.json_response(dict.fromkeys(services, self._base_url))

    async def _list(self, request: web.Request) -> web.Response:
        """Of a subscription or a resource group: those that the caller may read, as Azure does."""
        wanted = request.path.lower().partition("/providers/")[0] + "/"
        mine = [
            workspace
            for workspace in self._scopes.workspaces
            if workspace.path.lower().startswith(wanted)
            and self._rights.allow(request[CALLER], f"{PROVIDER}/workspaces/read", workspace)
        ]
        return web.json_response({"value": [self._shown(workspace) for workspace in mine]})

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._shown(self._scopes.requested(request)))

    def _shown(self, workspace: Scope) -> Json:
        return {
            "id": workspace.path,
            "name": workspace.name,
            "type": f"{PROVIDER}/workspaces",
            "location": workspace.location,
            "kind": "Default",
            "sku": {"name": "Basic", "tier": "Basic"},
            "identity": {
                "type": "SystemAssigned",
                "tenantId": TENANT,
                "principalId": str(uuid.uuid5(uuid.NAMESPACE_URL, workspace.path)),
            },
            "tags": {},
            "properties": {
                "friendlyName": workspace.name,
                "workspaceId": workspace.guid,
                "discoveryUrl": f"{self._base_url}/discovery/workspaces/{workspace.guid}",
                "mlFlowTrackingUri": tracking_uri(workspace, self._base_url).replace("https://", "azureml://"),
                "storageAccount": workspace.storage_account,
                "publicNetworkAccess": "Enabled",
                "provisioningState": "Succeeded",
            },
        }

    async def _computes(self, request: web.Request) -> web.Response:
        workspace = self._scopes.requested(request)
        names = ("cpu",) if workspace.computes is None else workspace.computes
        return web.json_response({"value": [self._cluster(workspace, name) for name in names]})

    async def _compute(self, request: web.Request) -> web.Response:
        """Whatever cluster a job names, it runs on this machine."""
        workspace, name = self._scopes.requested(request), request.match_info["compute"]
        if not workspace.has_compute(name):
            raise not_found(f"The compute {name} in {workspace.name}")
        return web.json_response(self._cluster(workspace, name))

    def _cluster(self, workspace: Scope, name: str) -> Json:
        return {
            "id": f"{workspace.path}/computes/{name}",
            "name": name,
            "type": f"{PROVIDER}/workspaces/computes",
            "location": workspace.location,
            "properties": {
                "computeType": "AmlCompute",
                "computeLocation": workspace.location,
                "provisioningState": "Succeeded",
                "isAttachedCompute": False,
                "properties": {
                    "vmSize": "STANDARD_DS3_V2",
                    "vmPriority": "Dedicated",
                    "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 1},
                },
            },
        }


def tracking_uri(workspace: Scope, base_url: str) -> str:
    """Where the workspace's MLflow tracking is, for a plain MLflow client."""
    return f"{base_url}/mlflow/v1.0{workspace.path}"
