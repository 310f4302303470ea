"""The datastores of a workspace, the secrets that give access to them, and places to upload code to."""

import uuid

from aiohttp import web

from localcloud.azureml.scopes import WORKSPACE, Scope, Scopes
from localcloud.azureml.storage import DATASTORES, DEFAULT_DATASTORE, Storage
from localcloud.azureml.wire import Json, not_found

_DATASTORES = WORKSPACE + "/datastores"


class Datastores:
    def __init__(self, scopes: Scopes, storage: Storage, authority: str) -> None:
        """`authority` is `localhost:PORT`."""
        self._scopes = scopes
        self._storage = storage
        self._authority = authority

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_DATASTORES, self._list),
            web.get(_DATASTORES + "/{datastore}", self._get),
            web.post(_DATASTORES + "/{datastore}/listSecrets", self._list_secrets),
            web.post(WORKSPACE + "/{type}/{name}/versions/{version}/startPendingUpload", self._upload_place),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        workspace = self._scopes.requested(request)
        shown: tuple[str, ...] = DATASTORES
        if "isDefault" in request.query:
            is_default = request.query["isDefault"].lower() == "true"
            shown = tuple(name for name in DATASTORES if (name == DEFAULT_DATASTORE) == is_default)
        return web.json_response({"value": [self._datastore(workspace, name) for name in shown]})

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._datastore(self._scopes.requested(request), request.match_info["datastore"]))

    async def _list_secrets(self, request: web.Request) -> web.Response:
        workspace, name = self._scopes.requested(request), request.match_info["datastore"]
        self._datastore(workspace, name)
        if workspace.datastore_secrets == "AccountKey":
            return web.json_response({"secretsType": "AccountKey", "key": self._storage.account_key(workspace.account)})
        token = self._storage.signed(workspace.account, name, "racwdl")
        return web.json_response({"secretsType": "Sas", "sasToken": token})

    async def _upload_place(self, request: web.Request) -> web.Response:
        """A new container for the files of a version, mostly of code, that is about to be created."""
        workspace = self._scopes.requested(request)
        container = str(uuid.uuid4())
        uri = self._storage.blob_uri(workspace.account, container)
        signature = self._storage.signed(workspace.account, container, "racwl")
        return web.json_response(
            {
                "pendingUploadId": container,
                "pendingUploadType": "TemporaryBlobReference",
                "blobReferenceForConsumption": {
                    "blobUri": uri,
                    "storageAccountArmId": "",
                    "credential": {"credentialType": "SAS", "sasUri": f"{uri}?{signature}"},
                },
            }
        )

    def _datastore(self, workspace: Scope, name: str) -> Json:
        if name not in DATASTORES:
            raise not_found(f"Datastore {name}")
        return {
            "id": f"{workspace.path}/datastores/{name}",
            "name": name,
            "type": "Microsoft.MachineLearningServices/workspaces/datastores",
            "properties": {
                "datastoreType": "AzureBlob",
                "isDefault": name == DEFAULT_DATASTORE,
                # The SDK makes https://{accountName}.blob.{suffix} of it: a path in it needs no DNS of its own.
                "accountName": f"{self._authority}/blob/{workspace.account}",
                "containerName": name,
                "endpoint": "localhost",
                "protocol": "https",
                "credentials": {"credentialsType": workspace.datastore_secrets},
                "properties": {},
                "tags": {},
            },
        }
