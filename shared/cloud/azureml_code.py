"""The files of code assets: read from the storage of a workspace or of a registry, and written into a registry's."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from azure.core.credentials import AzureSasCredential

from shared.cloud.azureml_rest import Rest
from shared.ports import RejectedError

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

#: Limits of one code asset, which is briefly held in memory as a whole.
MOST_FILES = 2000
MOST_BYTES = 50_000_000

_DATASTORES = "2024-10-01-preview"
_DATA_PLANE = {"api-version": "2021-10-01-dataplanepreview"}
#: The store that every workspace has from the start. azure-ai-ml also puts code there.
_STORE = "workspaceblobstore"
#: The folder for the files in a container created for them.
_FOLDER = "code"


def of_workspace(rest: Rest, workspace: str, credential: Any, uri: str) -> dict[str, bytes]:
    """Return the files below an address in the workspace's own storage account, by relative path."""
    store = f"{workspace}/datastores/{_STORE}"
    properties = (rest.get(store, **{"api-version": _DATASTORES}) or {}).get("properties") or {}
    account, endpoint = str(properties.get("accountName") or ""), str(properties.get("endpoint") or "")
    server = f"{properties.get('protocol') or 'https'}://{account}"
    found = re.fullmatch(rf"{re.escape(server)}(?:\.blob\.[^/]+)?/(?P<container>[^/?]+)/(?P<path>[^?]+)", uri)
    if not account or not found:
        raise RejectedError(f"The code at {uri} is not in the storage account of the workspace, so it cannot be read.")
    from azure.storage.blob import ContainerClient  # 0.3 s: only where it is needed

    access = _access(rest, store, properties, credential, found["container"])
    with ContainerClient(f"{server}.blob.{endpoint}", found["container"], credential=access, retry_total=0) as place:
        return _files(place, unquote(found["path"]))


def _access(rest: Rest, store: str, properties: Mapping[str, Any], credential: Any, container: str) -> Any:
    """Return what opens the container: the account's key if the store has one, otherwise the identity."""
    if (properties.get("credentials") or {}).get("credentialsType") in (None, "None"):
        return credential
    secrets = rest.post(f"{store}/listSecrets", **{"api-version": _DATASTORES}) or {}
    if secrets.get("key"):
        return secrets["key"]
    own = container == properties.get("containerName")
    return AzureSasCredential(secrets["sasToken"]) if own and secrets.get("sasToken") else credential


def of_registry(rest: Rest, registry: str, asset: tuple[str, str, str], uri: str) -> dict[str, bytes]:
    """The files of a code asset; `registry` is the address of its data plane, `asset` id, name and version."""
    from azure.storage.blob import ContainerClient

    asset_id, name, version = asset
    place = f"{registry}/datarefs/{quote(name, safe='')}/versions/{quote(version, safe='')}"
    answer = rest.post(place, {"assetId": asset_id, "blobUri": uri}, **_DATA_PLANE) or {}
    signed = _signed(answer)
    path = unquote(uri.partition("?")[0])
    with ContainerClient.from_container_url(signed, retry_total=0) as container:
        base = unquote(container.url.partition("?")[0])
        if not path.startswith(f"{base}/"):
            raise RejectedError(f"The files of {asset_id} are at {uri}, which is outside the registry's own storage.")
        return _files(container, path.removeprefix(f"{base}/"))


def into_registry(rest: Rest, registry: str, asset: tuple[str, str, str], files: Mapping[str, bytes]) -> None:
    """Upload the files and start registering them."""
    from azure.storage.blob import ContainerClient

    asset_id, name, version = asset
    place = f"{quote(name, safe='')}/versions/{quote(version, safe='')}"
    wanted = {"assetId": asset_id, "temporaryDataReferenceType": "TemporaryBlobReference"}
    answer = rest.put(f"{registry}/tempdatarefs/{place}", wanted, **_DATA_PLANE) or {}
    with ContainerClient.from_container_url(_signed(answer), retry_total=0) as container:
        for path, content in files.items():
            container.upload_blob(f"{_FOLDER}/{path}", content, overwrite=True)
        address = container.url.partition("?")[0]
    body = {"properties": {"codeUri": f"{address}/{_FOLDER}", "isAnonymous": True, "properties": {}, "tags": {}}}
    rest.put(f"{registry}/codes/{place}", body, **_DATA_PLANE)


def _signed(answer: Mapping[str, Any]) -> str:
    reference = answer.get("blobReferenceForConsumption") or {}
    credential = reference.get("credential") or {}
    return str(credential.get("sasUri") or reference.get("blobUri") or "")


def _files(container: "ContainerClient", path: str) -> dict[str, bytes]:
    """Return all blobs below the path, or the one at the path."""
    start = path.strip("/")
    found: dict[str, bytes] = {}
    total = 0
    for blob in container.list_blobs(name_starts_with=start):
        name = _below(start, str(blob.name))
        if name is None or (blob.metadata or {}).get("hdi_isfolder"):
            continue
        total += int(blob.size or 0)
        if total > MOST_BYTES or len(found) >= MOST_FILES:
            raise RejectedError(
                f"The code at {start} has more than {MOST_FILES} files or {MOST_BYTES // 1_000_000} MB, which is more "
                "than is copied to a registry. Put data that lies beside it elsewhere, or list it in .amlignore."
            )
        found[name] = container.download_blob(blob.name).readall()
    return found


def _below(start: str, name: str) -> str | None:
    """Return a blob's path relative to `start`; None if its name merely begins with the same letters."""
    if name == start:
        return name.rpartition("/")[2]
    return name.removeprefix(f"{start}/") if name.startswith(f"{start}/") else None
