"""Models, environments, components, data and code: versioned assets of a workspace or a registry.

A container (`…/models/NAME`) appears with its first version and says what the next one is; versions never change what
they point to. Code that is there with the same hash, and an anonymous component with the same content, is the same
asset.
"""

import asyncio
import copy
import re
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from localcloud.azureml import component_specification
from localcloud.azureml.asset_bodies import (
    CONTENT,
    KINDS,
    AssetVersion,
    container_body,
    refuse_other_content,
    version_body,
)
from localcloud.azureml.asset_pages import has_hash, page
from localcloud.azureml.job_records import JobRecords
from localcloud.azureml.operations import Operation
from localcloud.azureml.pipeline_graph import component_from_job
from localcloud.azureml.registry_rules import refuse_component
from localcloud.azureml.rights import CALLER, MODEL_MANAGEMENT, Caller
from localcloud.azureml.scopes import REGISTRY, WORKSPACE, Scope, arm_path
from localcloud.azureml.shared_parts import SharedParts
from localcloud.azureml.storage import Storage
from localcloud.azureml.store import Resource
from localcloud.azureml.wire import AzureError, Json, not_found, properties_in

_ASSETS = "/{kind:(?i:" + "|".join(KINDS) + ")}"
#: Microsoft's own registries: whatever is asked of them, mostly environments, is assumed to exist.
_PUBLIC_REGISTRIES = ("azureml", "azureml-preview", "azureml-meta", "azureml-msr", "huggingface")
#: The curated environments of every workspace: the prefix is Microsoft's own.
_CURATED = re.compile(r"(?:azureml:|.*/environments/)AzureML-", re.I)
_REGISTRY_ASSET = re.compile(r"azureml://registries/(?P<registry>[^/]+)/(?P<path>.+)")
#: Labels that stand for a version in an asset's path: each means the version that was made last.
_LABEL = re.compile(r"(?P<container>.+)/(?:versions/azureml_|labels/)(?P<label>default|latest)", re.I)
#: Types of data that are folders, whose paths end with a slash.
_FOLDERS = ("uri_folder", "mltable")


class Assets:
    """Keeps the assets of all workspaces and registries; both have the same routes, with different prefixes."""

    def __init__(
        self,
        shared: SharedParts,
        storage: Storage,
        records: JobRecords,
        environment_build_seconds: float,
    ) -> None:
        self._store = shared.store
        self._scopes = shared.scopes
        self._operations = shared.operations
        self._outbox = shared.outbox
        self._storage = storage
        self._records = records
        self._environment_build_seconds = environment_build_seconds
        self._operations.define("registration", self._finish_registration)

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
                web.get(assets + "/{name}/labels/{label}", self._get_version),
                web.put(assets + "/{name}/versions/{version}", self._put_version),
                web.delete(assets + "/{name}/versions/{version}", self._delete_version),
            ]
        routes.append(web.get(MODEL_MANAGEMENT + WORKSPACE + "/models/{name}:{version}", self._get_managed_model))
        return routes

    def find(self, reference: str) -> Resource | None:
        """The version that a deployment or a job refers to: an ARM id or `azureml://registries/…/versions/…`."""
        if found := _REGISTRY_ASSET.match(reference):
            registry = self._scopes.registry(found["registry"])
            return self._version(f"{registry.path}/{found['path']}") if registry else None
        return self._version(reference.removeprefix("azureml:"))

    def refuse_out_of_reach(self, workspace: Scope, references: Iterable[object]) -> None:
        """Raises a 400 if one of them is to a registry that is not replicated to the workspace's region, as
        recorded."""
        for reference in references:
            found = _REGISTRY_ASSET.match(str(reference or ""))
            registry = self._scopes.registry(found["registry"]) if found else None
            if registry and workspace.location not in registry.regions:
                raise AzureError(
                    400,
                    "BadRequest",
                    f"Invalid region {workspace.location} for operation consume in registry {registry.name}.",
                )

    def is_public(self, reference: str) -> bool:
        """Whether the reference is to a registry of Microsoft's, or to a curated environment."""
        found = _REGISTRY_ASSET.match(reference)
        return found["registry"] in _PUBLIC_REGISTRIES if found else bool(_CURATED.match(reference))

    def files(self, asset: Resource, workspace: Scope) -> Path:
        """The files of a version of a model, data or code. ValueError if there are none."""
        uris = [str(asset.properties[key]) for key in ("modelUri", "dataUri", "codeUri") if key in asset.properties]
        uri = uris[0] if uris else f"{asset.path}, which is no asset with files"
        files = self._storage.file(uri, self._scopes.of(asset.path) or workspace)
        if not files.exists():
            raise ValueError(f"The specified blob does not exist: {uri}")
        return files

    def is_built(self, environment: Resource) -> bool:
        """Whether the image of an environment is there: a registry builds it before the version exists."""
        scope = self._scopes.of(environment.path)
        return bool(environment.private.get("isBuilt")) or (scope is not None and scope.is_registry)

    def note_built(self, environment: Resource) -> None:
        environment.private["isBuilt"] = True
        self._store.put(environment)

    def next_version(self, scope: Scope, kind: str, name: str) -> str:
        container = self._store.get(f"{scope.path}/{kind}/{name}")
        return str(container.properties["nextVersion"]) if container else "1"

    def add(self, asset: AssetVersion, properties: Json, by: Caller | None = None) -> Resource:
        """Creates a version, or updates tags and the like of one.

        An anonymous component gets the version of its content. 409, for components 400, where a version exists with
        other content.
        """
        properties, private = dict(properties), dict[str, Any]()
        scope, kind = asset.scope, asset.kind
        if kind == "components":
            specification = self._specification(scope, properties.get("componentSpec") or {})
            private["specification"] = specification
            properties["componentSpec"] = component_specification.kept(specification)
            properties.pop("description", None)  # the specification has it
            asset = replace(asset, version=_component_version(asset, properties, specification))
        elif kind in ("models", "data") and not scope.is_registry:
            self._resolve_paths(scope, kind, properties)
        old = self._store.get(asset.path)
        if old:
            _check_update(asset, old, properties)
        if kind == "environments":
            private.update(old.private if old else {"builtAt": time.time() + self._build_seconds(scope)})
        private["creator"] = old.private.get("creator") if old else by.creator if by else None
        resource = Resource(asset.path, version_body(asset, properties, old, by), private)
        with self._store.transaction():
            self._store.put(resource)
            self._count(asset, is_new=old is None)
            if kind == "models" and old is None and not scope.is_registry:
                tags, more = resource.properties["tags"], resource.properties["properties"]
                self._outbox.model_registered(scope, asset.name, asset.version, tags, more)
        return resource

    def _specification(self, scope: Scope, given: Json) -> Json:
        """What a component is made from; for one made from a job, what the job has."""
        source = str(given.get("sourceJobId") or given.get("source_job_id") or "")
        if not source:
            return given
        job = self._records.get(scope, source.rsplit("/", 1)[1] if "/" in source else source)
        if not job:
            raise AzureError(404, "UserError", f"Job {source} was not found in {scope.name}.")
        return {**given, **component_from_job(job, self.find)}

    def _build_seconds(self, scope: Scope) -> float:
        return self._environment_build_seconds if scope.is_registry else 0.0

    async def _put_version(self, request: web.Request) -> web.Response:
        scope, match = self._scopes.requested(request), request.match_info
        properties = await properties_in(request)
        if scope.is_registry and match["kind"].lower() == "components":
            refuse_component(scope.name, match["name"], properties.get("componentSpec") or {})
        is_anonymous = match["name"] == component_specification.ANONYMOUS
        is_new = is_anonymous or self._store.get(arm_path(request)) is None
        asset = AssetVersion(scope, match["kind"].lower(), match["name"], match["version"])
        resource = self.add(asset, properties, request[CALLER])
        if scope.is_registry:
            operation = self._operations.begin("registration", resource.path, {"assetId": resource.body["id"]})
            headers = self._operations.asset_store_headers(operation, asset.kind)
            return web.json_response(None, status=202, headers=headers)
        return web.json_response(self._shown(resource), status=201 if is_new else 200)

    async def _finish_registration(self, operation: Operation) -> None:
        """A registry builds an environment's image first; other versions are complete as soon as they are written."""
        await self.wait_until_built(operation.path)

    async def wait_until_built(self, path: str) -> None:
        """Returns when everybody can use a version in a registry."""
        version = self._store.get(path)
        if version:
            await asyncio.sleep(max(0.0, version.private.get("builtAt", 0.0) - time.time()))

    async def _get_version(self, request: web.Request) -> web.Response:
        body = self._shown(self._existing(request))
        if label := _LABEL.fullmatch(arm_path(request)):
            body["id"] = f"{body['id'].partition('/versions/')[0]}/labels/{label['label'].lower()}"
        return web.json_response(body)

    async def _get_managed_model(self, request: web.Request) -> web.Response:
        """What only the models' own data plane says of a model: who made it."""
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
        """`page` describes the query. Code with a hash is found in the workspace under any name."""
        scope = self._scopes.requested(request)
        digest = request.query.get("hash")
        if digest and request.match_info["kind"].lower() == "codes":
            path = f"{scope.path}/codes/*/versions/*"
            found = [code for code in self._store.matching(path.lower()) if has_hash(code, digest)][-1:]
        else:
            found = [each for each in self._store.collection(arm_path(request)) if _is_there(each)]
        return web.json_response({"value": [self._shown(each) for each in page(found, request.query)]})

    async def _get_container(self, request: web.Request) -> web.Response:
        container = self._existing(request)
        if request.match_info["kind"].lower() == "components":
            # Without a version in the request, the service numbers the components of a name by the time.
            container.properties["nextVersion"] = datetime.now(UTC).strftime("%Y-%m-%d-%H-%M-%S-%f0")
        return web.json_response(container.body)

    async def _put_container(self, request: web.Request) -> web.Response:
        """Archives or restores all versions at once, as `models.archive(name)` does."""
        container = self._existing(request)
        properties = await properties_in(request)
        for key in ("isArchived", "description", "tags"):
            if key in properties:
                container.properties[key] = properties[key]
        self._store.put(container)
        return web.json_response(container.body)

    def _existing(self, request: web.Request) -> Resource:
        scope = self._scopes.requested(request)
        resource = self._version(arm_path(request))
        if not resource:
            raise not_found(f"Asset {arm_path(request)[len(scope.path) + 1 :]} in {scope.name}")
        return resource

    def _version(self, path: str) -> Resource | None:
        """A version by its path, or by a label in place of one."""
        found = self._store.get(path)
        if found and not _is_there(found):
            return None
        if found or not (label := _LABEL.fullmatch(path)):
            return found
        container = self._store.get(label["container"])
        latest = container.properties["latestVersion"] if container else ""
        return self._store.get(f"{label['container']}/versions/{latest}")

    def _resolve_paths(self, workspace: Scope, kind: str, properties: Json) -> None:
        """Replaces `azureml://jobs/JOB/outputs/NAME/…` with the place of the files, and notes the job as a model's
        origin. Writes paths of datastores in their long form, and paths of data folders with a slash at the end."""
        key = CONTENT[kind]
        if key not in properties:
            return
        given = str(properties[key])
        try:
            origin = self._records.output_uri(workspace, given)
            if origin and not self._storage.file(origin[0], workspace).exists():
                raise ValueError(f"There are no files at {given}")
        except ValueError as error:
            raise AzureError(404, "UserError", f"{error}.") from error
        if origin:
            properties[key] = origin[0]
            if kind == "models":
                properties["jobName"] = origin[1]
        properties[key] = self._storage.long_form(workspace, str(properties[key]))
        if kind == "data" and properties.get("dataType") in _FOLDERS and properties[key].startswith("azureml:"):
            properties[key] = properties[key].rstrip("/") + "/"

    def _count(self, asset: AssetVersion, is_new: bool) -> None:
        """Notes a version in its container, which the first version creates."""
        path, version = asset.container, asset.version
        container = self._store.get(path) or Resource(path, container_body(asset))
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


def _is_there(asset: Resource) -> bool:
    """Not while a registry still builds its image."""
    return bool(asset.private.get("builtAt", 0.0) <= time.time())


def _component_version(asset: AssetVersion, properties: Json, specification: Json) -> str:
    if asset.name != component_specification.ANONYMOUS:
        properties["componentSpec"].setdefault("version", asset.version)
        return asset.version
    of_content = component_specification.content_version(specification)
    properties["isAnonymous"] = True
    if specification.get("name", asset.name) == asset.name:
        properties["componentSpec"]["version"] = of_content
    return of_content


def _check_update(asset: AssetVersion, old: Resource, properties: Json) -> None:
    """Refuses other content. Code and build contexts that are uploaded again stay where they are."""
    if asset.kind == "codes" and has_hash(old, str((properties.get("properties") or {}).get("hash_sha256"))):
        properties["codeUri"] = old.properties["codeUri"]
    if asset.kind == "environments" and old.properties.get("build"):
        properties["build"] = old.properties["build"]  # its files were uploaded again
    if asset.kind != "components":
        refuse_other_content(asset, old, properties)
        return
    field = component_specification.changed_field(old.properties["componentSpec"], properties["componentSpec"])
    if field:
        raise AzureError(
            400,
            "UserError",
            f'Failed to update component {asset.name} since field "{field}" is immutable, '
            "try specifying a new version.",
        )
