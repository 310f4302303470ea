"""Models, environments, components, data and code: versioned assets of a workspace or a registry.

A container (`…/models/NAME`) appears with its first version and tells the next one; versions never change what they
point to.
"""

import copy
import re
from pathlib import Path

from aiohttp import web

from localcloud.azureml.events import Outbox
from localcloud.azureml.job_records import JobRecords
from localcloud.azureml.operations import Operations
from localcloud.azureml.rights import CALLER, MODEL_MANAGEMENT, Caller
from localcloud.azureml.scopes import PROVIDER, REGISTRY, WORKSPACE, Scope, Scopes, arm_path
from localcloud.azureml.storage import Storage
from localcloud.azureml.store import Resource, Store, system_data
from localcloud.azureml.wire import AzureError, Json, not_found, properties_in

KINDS = ("models", "environments", "components", "data", "codes")
_ASSETS = "/{kind:(?i:" + "|".join(KINDS) + ")}"
#: The property of a version that must not change, by kind of asset.
CONTENT = {
    "models": "modelUri",
    "data": "dataUri",
    "codes": "codeUri",
    "environments": "image",
    "components": "componentSpec",
}
#: Microsoft's own: what they offer, environments mostly, is taken to be there.
_PUBLIC_REGISTRIES = ("azureml", "azureml-meta", "azureml-msr", "huggingface")
#: The curated environments of every workspace: the prefix is Microsoft's own.
_CURATED = re.compile(r"(?:azureml:|.*/environments/)AzureML-", re.I)
_REGISTRY_ASSET = re.compile(r"azureml://registries/(?P<registry>[^/]+)/(?P<path>.+)")


class Assets:
    """Keeps the assets of all workspaces and registries; both have the same routes, with different prefixes."""

    def __init__(
        self,
        store: Store,
        scopes: Scopes,
        storage: Storage,
        records: JobRecords,
        operations: Operations,
        outbox: Outbox,
    ) -> None:
        self._store = store
        self._records = records
        self._scopes = scopes
        self._storage = storage
        self._operations = operations
        self._outbox = outbox
        operations.define("registration", self._finish_registration)

    def routes(self) -> list[web.RouteDef]:
        routes = []
        for prefix in (WORKSPACE, REGISTRY):
            assets = prefix + _ASSETS
            routes += [
                web.get(assets, self._list),
                web.get(assets + "/{name}", self._get_container),
                web.put(assets + "/{name}", self._put_container),
                web.get(assets + "/{name}/versions", self._list),
                web.get(assets + "/{name}/versions/{version}", self._get_version),
                web.put(assets + "/{name}/versions/{version}", self._put_version),
                web.delete(assets + "/{name}/versions/{version}", self._delete_version),
            ]
        routes.append(web.get(MODEL_MANAGEMENT + WORKSPACE + "/models/{name}:{version}", self._get_managed_model))
        return routes

    def find(self, reference: str) -> Resource | None:
        """The version that a deployment or a job refers to: an ARM id or `azureml://registries/…/versions/…`."""
        if found := _REGISTRY_ASSET.match(reference):
            registry = self._scopes.registry(found["registry"])
            return self._store.get(f"{registry.path}/{found['path']}") if registry else None
        return self._store.get(reference.removeprefix("azureml:"))

    def is_public(self, reference: str) -> bool:
        """Whether the reference is to a registry of Microsoft's, or to a curated environment."""
        found = _REGISTRY_ASSET.match(reference)
        return found["registry"] in _PUBLIC_REGISTRIES if found else bool(_CURATED.match(reference))

    def files(self, asset: Resource, workspace: Scope) -> Path:
        """The files of a version of a model, of data or of code. ValueError when there are none."""
        uris = [str(asset.properties[key]) for key in ("modelUri", "dataUri", "codeUri") if key in asset.properties]
        uri = uris[0] if uris else f"{asset.path}, which is no asset with files"
        files = self._storage.file(uri, self._scopes.of(asset.path) or workspace)
        if not files.exists():
            raise ValueError(f"The specified blob does not exist: {uri}")
        return files

    def next_version(self, scope: Scope, kind: str, name: str) -> str:
        container = self._store.get(f"{scope.path}/{kind}/{name}")
        return str(container.properties["nextVersion"]) if container else "1"

    def add(
        self, scope: Scope, kind: str, name: str, version: str, properties: Json, by: Caller | None = None
    ) -> Resource:
        """Creates a version, or updates tags and the like of one. 409 if it exists with other content."""
        path = f"{scope.path}/{kind}/{name}/versions/{version}"
        old = self._store.get(path)
        properties = dict(properties)
        if kind == "models" and not scope.is_registry:
            self._resolve_job_output(scope, properties)
        if old and old.properties.get(CONTENT[kind]) != properties.get(CONTENT[kind]):
            raise AzureError(
                409,
                "Conflict",
                f"The {kind.rstrip('s')} {name} with the version {version} already exists in {scope.name}. Its content"
                " cannot be changed; use another version.",
            )
        resource = Resource(path, _version_body(scope, kind, name, version, properties, old, by), _private(old, by))
        self._store.put(resource)
        self._count(scope, kind, name, version, is_new=old is None)
        if kind == "models" and old is None and not scope.is_registry:
            tags, more = resource.properties["tags"], resource.properties["properties"]
            self._outbox.model_registered(scope, name, version, tags, more)
        return resource

    async def _put_version(self, request: web.Request) -> web.Response:
        scope, match = self._scopes.requested(request), request.match_info
        path = arm_path(request)
        is_new = self._store.get(path) is None
        properties = await properties_in(request)
        name, version = match["name"], match["version"]
        resource = self.add(scope, match["kind"].lower(), name, version, properties, request[CALLER])
        headers = {}
        if scope.is_registry:
            operation = self._operations.begin("registration", path)
            headers = self._operations.headers(operation, scope.subscription, scope.location)
        return web.json_response(self._shown(resource), status=201 if is_new else 200, headers=headers)

    async def _finish_registration(self, _: object) -> None:
        """A version in a registry is complete as soon as it is written; only its protocol is long-running."""

    async def _get_version(self, request: web.Request) -> web.Response:
        return web.json_response(self._shown(self._existing(request)))

    async def _get_managed_model(self, request: web.Request) -> web.Response:
        """A model as its own data plane tells it, as far as that says more: who made it."""
        scope, match = self._scopes.requested(request), request.match_info
        name, version = match["name"], match["version"]
        model = self._store.get(f"{scope.path}/models/{name}/versions/{version}")
        if not model:
            raise not_found(f"Model {name}:{version} in {scope.name}")
        made = {"createdTime": model.body["systemData"]["createdAt"], "createdBy": model.private.get("creator")}
        return web.json_response({"id": f"{name}:{version}", "name": name, "version": version, **made})

    async def _delete_version(self, request: web.Request) -> web.Response:
        self._store.delete(self._existing(request).path)
        return web.Response(status=200)

    async def _list(self, request: web.Request) -> web.Response:
        """`listViewType`, `$top`, `$orderBy=createdtime desc`, `stage` and, for code, `hash` are understood."""
        self._scopes.requested(request)
        return self._page(request, self._store.collection(arm_path(request)))

    async def _get_container(self, request: web.Request) -> web.Response:
        return web.json_response(self._existing(request).body)

    async def _put_container(self, request: web.Request) -> web.Response:
        """Archives or restores all versions at once, as `models.archive(name)` does."""
        container = self._existing(request)
        properties = await properties_in(request)
        for key in ("isArchived", "description", "tags"):
            if key in properties:
                container.properties[key] = properties[key]
        self._store.put(container)
        return web.json_response(container.body)

    def _page(self, request: web.Request, resources: list[Resource]) -> web.Response:
        view, wanted_hash = request.query.get("listViewType", "").lower(), request.query.get("hash")
        if "archivedonly" in view or "archived_only" in view:
            resources = [resource for resource in resources if resource.properties.get("isArchived")]
        elif "all" not in view:
            resources = [resource for resource in resources if not resource.properties.get("isArchived")]
        if stage := request.query.get("stage"):
            resources = [resource for resource in resources if resource.properties.get("stage") == stage]
        if wanted_hash:
            resources = [
                resource
                for resource in resources
                if resource.properties.get("properties", {}).get("hash_sha256") == wanted_hash
            ]
        if "desc" in (request.query.get("$orderBy") or request.query.get("orderBy") or ""):
            resources.reverse()
        try:
            top = int(request.query.get("$top", len(resources)))
        except ValueError as error:
            raise AzureError(400, "BadRequest", "$top must be a number.") from error
        return web.json_response({"value": [self._shown(resource) for resource in resources[:top]]})

    def _existing(self, request: web.Request) -> Resource:
        scope = self._scopes.requested(request)
        resource = self._store.get(arm_path(request))
        if not resource:
            raise not_found(f"Asset {arm_path(request)[len(scope.path) + 1 :]} in {scope.name}")
        return resource

    def _resolve_job_output(self, workspace: Scope, properties: Json) -> None:
        """Replaces `azureml://jobs/JOB/outputs/NAME/…` by where the files are, and notes the job as the origin."""
        given = str(properties.get("modelUri", ""))
        try:
            origin = self._records.output_uri(workspace, given)
            if origin and not self._storage.file(origin[0], workspace).exists():
                raise ValueError(f"There are no files at {given}")
        except ValueError as error:
            raise AzureError(404, "UserError", f"{error}.") from error
        if origin:
            properties["modelUri"], properties["jobName"] = origin

    def _count(self, scope: Scope, kind: str, name: str, version: str, is_new: bool) -> None:
        path = f"{scope.path}/{kind}/{name}"
        container = self._store.get(path) or Resource(path, _container_body(scope, kind, name))
        if is_new:
            numbers = [int(number) for number in (version, container.private.get("last", "0")) if number.isdecimal()]
            last = max(numbers, default=0)
            container.private["last"] = str(last)
            container.properties.update(latestVersion=version, nextVersion=str(last + 1), isArchived=False)
            self._store.put(container)

    def _shown(self, resource: Resource) -> Json:
        """The answer's body: blob URIs get the address that the control plane has now."""
        body = copy.deepcopy(resource.body)
        for key in CONTENT.values():
            value = body["properties"].get(key)
            if isinstance(value, str):
                body["properties"][key] = self._storage.rebased(value)
        return body


def _version_body(
    scope: Scope, kind: str, name: str, version: str, properties: Json, old: Resource | None, by: Caller | None
) -> Json:
    defaults: Json = {"isArchived": False, "isAnonymous": False, "tags": {}, "properties": {}}
    if kind == "models":
        defaults["flavors"] = {}  # the SDK reads it unasked
    if kind == "environments":
        defaults.update(environmentType="UserCreated", osType="Linux")
    if old:
        for key in ("jobName", "originAssetId"):
            if key in old.properties:
                defaults[key] = old.properties[key]
    identifier, resource_type = _identity(scope, kind, name, version)
    return {
        "id": identifier,
        "name": version,
        "type": resource_type,
        "properties": {**defaults, **properties, "provisioningState": "Succeeded"},
        "systemData": system_data(old, by.name or by.client_id, by.kind) if by else system_data(old),
    }


def _private(old: Resource | None, by: Caller | None) -> Json:
    """Who made the first version of it, for the data plane of models."""
    return old.private if old else {"creator": by.creator if by else None}


def _container_body(scope: Scope, kind: str, name: str) -> Json:
    identifier = _identity(scope, kind, name, "")[0].removesuffix("/versions/")
    return {
        "id": identifier,
        "name": name,
        "type": f"{PROVIDER}/workspaces/{kind}",
        "properties": {"isArchived": False, "tags": {}, "properties": {}},
        "systemData": system_data(None),
    }


def _identity(scope: Scope, kind: str, name: str, version: str) -> tuple[str, str]:
    """Id and type as they are answered: a registry's data plane has ids of its own."""
    if scope.is_registry:
        return f"azureml://registries/{scope.name}/{kind}/{name}/versions/{version}", kind
    return f"{scope.path}/{kind}/{name}/versions/{version}", f"{PROVIDER}/workspaces/{kind}/versions"
