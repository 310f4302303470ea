"""What only a registry has: discovery, import of assets from a workspace, and places to upload to and download from."""

import asyncio
import copy
import re
import uuid

from aiohttp import web

from localcloud.azureml.asset_bodies import CONTENT, AssetVersion
from localcloud.azureml.assets import Assets
from localcloud.azureml.operations import Operation, OperationFailed
from localcloud.azureml.rights import CALLER
from localcloud.azureml.scopes import PROVIDER, REGISTRY, TENANT, Scope
from localcloud.azureml.shared_parts import SharedParts
from localcloud.azureml.storage import REGISTRY_ACCOUNT, Storage, UnusableUri
from localcloud.azureml.store import Resource
from localcloud.azureml.wire import AzureError, Json, json_body, properties_in

IMPORT_SECONDS = 0.3  # so that an immediate request must be repeated, as with the real service
_SOURCE = re.compile(
    r"azureml://locations/[^/]+/workspaces/(?P<guid>[^/]+)/(?P<kind>[^/]+)/(?P<name>.+)/versions/(?P<version>[^/]+)"
)


class Registry:
    def __init__(self, shared: SharedParts, storage: Storage, assets: Assets, base_url: str) -> None:
        self._store = shared.store
        self._scopes = shared.scopes
        self._operations = shared.operations
        self._storage = storage
        self._assets = assets
        self._rights = shared.rights
        self._base_url = base_url
        self._operations.define("import", self._copy)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/registrymanagement/v1.0/registries/{registry}/discovery", self._discover),
            web.post(REGISTRY + "/import", self._import),
            web.put(REGISTRY + "/tempdatarefs/{name}/versions/{version}", self._upload_place),
            web.post(REGISTRY + "/datarefs/{name}/versions/{version}", self._download_place),
        ]

    async def _discover(self, request: web.Request) -> web.Response:
        name = request.match_info["registry"]
        registry = self._scopes.registry(name)
        if not registry:
            raise AzureError(404, "RegistryNotFound", f"The registry {name} was not found.")
        return web.json_response(
            {
                "registryName": registry.name,
                "tenantId": TENANT,
                "primaryRegion": registry.location,
                "regions": list(registry.regions),
                "registryFqdns": {
                    region: {"uri": self._base_url, "mlflowUri": self._base_url} for region in registry.regions
                },
                "subscriptionId": registry.subscription,
                "resourceGroup": registry.resource_group,
                "workspaceName": None,
                "primaryRegionResourceProviderUri": self._base_url + "/",
            }
        )

    async def _import(self, request: web.Request) -> web.Response:
        """Copies an asset of a workspace. A repeated request gets the same answer: 202 with the body `null`."""
        registry = self._scopes.requested(request)
        wanted = await properties_in(request)
        source_id = str(wanted.get("sourceAssetId", ""))
        source, found = self._source(request, source_id)
        name = str(wanted.get("destinationName") or found["name"])
        version = str(wanted.get("destinationVersion") or found["version"])
        details = {"source": source.path, "origin": source_id, "kind": found["kind"], "name": name, "version": version}
        self._existing(registry, details)
        operation = self._operations.begin("import", registry.path, details)
        headers = self._operations.asset_store_headers(operation)
        return web.json_response(None, status=202, headers=headers)

    def _source(self, request: web.Request, source_id: str) -> tuple[Resource, re.Match[str]]:
        found = _SOURCE.fullmatch(source_id)
        workspace = self._scopes.workspace_with_guid(found["guid"]) if found else None
        if not found or found["kind"] not in CONTENT:
            raise AzureError(400, "UserError", f"sourceAssetId {source_id!r} does not name an asset of a workspace.")
        if found["kind"] == "components":
            raise AzureError(
                400, "UserError", "Components cannot be copied into a registry. Create them there from their source."
            )
        if workspace:
            action = f"{PROVIDER}/workspaces/{found['kind']}/versions/read"
            self._rights.demand(request[CALLER], action, workspace)
            path = f"{workspace.path}/{found['kind']}/{found['name']}/versions/{found['version']}"
            if source := self._store.get(path):
                return source, found
        raise AzureError(404, "UserError", f"The source asset {source_id} was not found.")

    def _existing(self, registry: Scope, details: Json) -> Resource | None:
        """The copy, if it exists already. Raises a 409 if what exists came from elsewhere."""
        name, version = details["name"], details["version"]
        existing = self._store.get(f"{registry.path}/{details['kind']}/{name}/versions/{version}")
        if existing and existing.properties.get("originAssetId") != details["origin"]:
            raise AzureError(
                409,
                "Conflict",
                f"The registry {registry.name} already has a version {version} of {name} that was not copied from"
                f" {details['origin']}.",
            )
        return existing

    async def _copy(self, operation: Operation) -> None:
        await asyncio.sleep(IMPORT_SECONDS)
        details = operation.details
        registry, source = self._scopes.of(operation.path), self._store.get(details["source"])
        if not registry or not source:
            raise OperationFailed("UserError", f"The source asset {details['origin']} is gone.")
        if self._existing(registry, details):
            return
        properties = copy.deepcopy(source.properties)
        properties.pop("jobName", None)
        properties["originAssetId"] = details["origin"]
        key = CONTENT[details["kind"]]
        if details["kind"] in ("models", "data", "codes"):
            properties[key] = self._copied_files(registry, source, key, details)
        asset = AssetVersion(registry, details["kind"], details["name"], details["version"])
        copied = self._assets.add(asset, properties)
        await self._assets.wait_until_built(copied.path)

    def _copied_files(self, registry: Scope, source: Resource, key: str, details: Json) -> str:
        uri = str(source.properties.get(key, ""))
        try:
            files = self._storage.file(uri, self._scopes.of(source.path))
        except UnusableUri as error:
            raise OperationFailed("UserError", f"{error}.") from error
        if not files.exists():
            raise OperationFailed("UserError", f"There are no files at {uri}, the path of {details['origin']}.")
        container = _container(registry, f"{details['kind']}/{details['name']}/{details['version']}")
        self._storage.copy(files, self._storage.blob(REGISTRY_ACCOUNT, container, files.name))
        return self._storage.blob_uri(REGISTRY_ACCOUNT, container, files.name)

    async def _upload_place(self, request: web.Request) -> web.Response:
        """A new container for the files of a version that is about to be created."""
        registry = self._scopes.requested(request)
        asset = str((await json_body(request)).get("assetId") or "/".join(request.match_info.values()))
        return web.json_response(self._reference(_container(registry, asset), "racwl"))

    async def _download_place(self, request: web.Request) -> web.Response:
        """The container of a version's files, to read from."""
        self._scopes.requested(request)
        uri = str((await json_body(request)).get("blobUri", ""))
        try:
            container = self._storage.file(uri, None).relative_to(self._storage.folder).parts
        except UnusableUri as error:
            raise AzureError(400, "UserError", f"{error}.") from error
        if container[0] != REGISTRY_ACCOUNT:
            raise AzureError(400, "UserError", f"{uri} is not in a registry.")
        return web.json_response(self._reference(container[1], "rl"))

    def _reference(self, container: str, permissions: str) -> Json:
        uri = self._storage.blob_uri(REGISTRY_ACCOUNT, container)
        signature = self._storage.signed(REGISTRY_ACCOUNT, container, permissions)
        return {
            "blobReferenceForConsumption": {
                "blobUri": uri,
                "storageAccountArmId": "",
                "credential": {"credentialType": "SAS", "sasUri": f"{uri}?{signature}"},
            },
            "temporaryDataReferenceId": container,
            "temporaryDataReferenceType": "TemporaryBlobReference",
        }


def _container(registry: Scope, asset: str) -> str:
    """The container of an asset's files: any name of an asset becomes one that Blob Storage allows."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{registry.path}/{asset}".lower()))
