"""Files in a workspace's datastores: finds their container, and checks whether a model's files are still there."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from azure.core.credentials import AzureSasCredential
from azure.core.exceptions import AzureError, ResourceNotFoundError

from shared.cloud.azureml_rest import Rest

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

_log = logging.getLogger(__name__)

_DATASTORES = "2024-10-01-preview"

#: `azureml://…/datastores/<name>/paths/<path>`: the form that Azure ML gives every model's path at registration.
IN_DATASTORE = re.compile(r"azureml://.*?datastores/(?P<datastore>[^/]+)/paths/(?P<path>.+)", re.IGNORECASE)


def exist(rest: Rest, workspace: str, credential: Any, path: str | None) -> bool:
    """False if the path is in a blob datastore and nothing is there. Also True if that cannot be determined: another
    kind of storage, no right to read it, a firewall. Then the copy to the registry shows what is wrong."""
    found = IN_DATASTORE.fullmatch(path or "")
    if not found:
        return True
    try:
        with container_of(rest, workspace, credential, found["datastore"]) as container:
            return container is None or _any_blob(container, found["path"])
    except ResourceNotFoundError:  # the container
        return False
    except AzureError as fault:
        _log.info("cannot determine whether %s has files: %s", path, fault)
        return True


@contextmanager
def container_of(rest: Rest, workspace: str, credential: Any, datastore: str) -> Iterator["ContainerClient | None"]:
    """The container of a blob datastore of the workspace, with the datastore's own secret or else the identity. None if
    it is another kind of datastore, or does not exist."""
    from azure.storage.blob import ContainerClient  # takes 0.3 s: import it only when needed

    address = f"{workspace}/datastores/{quote(datastore, safe='')}"
    properties = (rest.get(address, **{"api-version": _DATASTORES}) or {}).get("properties", {})
    if properties.get("datastoreType") != "AzureBlob":
        yield None
        return
    access = _access(rest, address, properties, credential)
    account = f"{properties.get('protocol') or 'https'}://{properties['accountName']}.blob.{properties['endpoint']}"
    with ContainerClient(account, properties["containerName"], credential=access, retry_total=0) as container:
        yield container


def _access(rest: Rest, address: str, properties: dict[str, Any], credential: Any) -> Any:
    """The credential for the datastore: its own secret, or else the identity."""
    if (properties.get("credentials") or {}).get("credentialsType") in (None, "None"):
        return credential
    secrets = rest.post(f"{address}/listSecrets", **{"api-version": _DATASTORES}) or {}
    if secrets.get("sasToken"):
        return AzureSasCredential(secrets["sasToken"])
    return secrets.get("key") or credential


def _any_blob(container: "ContainerClient", path: str) -> bool:
    start = path.rstrip("/")
    return any(
        blob.name == start or blob.name.startswith(start + "/")
        for blob in container.list_blobs(name_starts_with=start, results_per_page=5)
    )
