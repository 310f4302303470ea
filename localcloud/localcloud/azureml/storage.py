"""The storage accounts behind workspaces and registries: folders of files, their URIs, and signatures for access.

A blob is a plain file at `FOLDER/ACCOUNT/CONTAINER/NAME`, so that jobs and servers use it directly.
"""

import base64
import hashlib
import hmac
import re
import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlencode

from localcloud.azureml.scopes import Scope

DATASTORES = ("workspaceblobstore", "workspaceartifactstore", "workspacefilestore", "workspaceworkingdirectory")
DEFAULT_DATASTORE = "workspaceblobstore"
ARTIFACT_DATASTORE = "workspaceartifactstore"
REGISTRY_ACCOUNT = "registry"
SAS_LIFETIME = 24 * 3600  # seconds
_DATASTORE_URI = re.compile(r"azureml:(?://|/).*?/?datastores/(?P<datastore>[^/]+)(?:/paths)?/(?P<path>.*)")
_SHORT_URI = re.compile(r"azureml://datastores/(?P<datastore>[^/]+)/paths/(?P<path>.+)")
_BLOB_URI = re.compile(r"https?://[^/]+/(?P<place>blob/(?P<account>[^/]+)/(?P<path>[^?]*))")
#: A container of the registries' account is first in its URL's path: there the SDK looks for it when it downloads.
REGISTRY_CONTAINER = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_REGISTRY_URI = re.compile(rf"https?://[^/]+/(?P<place>(?P<path>{REGISTRY_CONTAINER}(?:/[^?]*)?))")


class UnusableUri(ValueError):  # noqa: N818 - it says what the matter is
    """Says why a URI names no file here."""


class Storage:
    """Turns URIs into files and back, and signs URLs."""

    def __init__(self, folder: Path, key: str, base_url: str) -> None:
        """`key` signs the URLs; `base_url` is the control plane's own address."""
        self.folder = folder
        self._key = key.encode()
        self._base_url = base_url

    def container(self, account: str, container: str) -> Path:
        """The folder of a container; `UnusableUri` for a name that leads elsewhere."""
        return self._inside(self.folder, account, container)

    def blob(self, account: str, container: str, name: str) -> Path:
        return self._inside(self.container(account, container), *PurePosixPath(name).parts)

    def file(self, uri: str, workspace: Scope | None) -> Path:
        """The file or folder that a datastore URI (of this workspace) or a blob URI means; it need not exist."""
        if found := _BLOB_URI.match(uri) or _REGISTRY_URI.match(uri):
            account = account_name(found.groupdict().get("account", REGISTRY_ACCOUNT))
            container, _, name = unquote(found["path"]).rstrip("/").partition("/")
            return self.blob(account, container, name)
        if (found := _DATASTORE_URI.match(uri)) and workspace:
            return self.blob(workspace.account, found["datastore"], found["path"].strip("/"))
        raise UnusableUri(f"{uri} is not a path of a datastore here")

    def datastore_uri(self, workspace: Scope, path: str, datastore: str = DEFAULT_DATASTORE) -> str:
        """The long form of a URI, as the service answers with."""
        return (
            f"azureml://subscriptions/{workspace.subscription}/resourcegroups/{workspace.resource_group}"
            f"/workspaces/{workspace.name}/datastores/{datastore}/paths/{path}"
        )

    def long_form(self, workspace: Scope, uri: str) -> str:
        """`azureml://datastores/NAME/paths/PATH` in the form that the service keeps; other URIs as they are."""
        found = _SHORT_URI.fullmatch(uri)
        return self.datastore_uri(workspace, found["path"], found["datastore"]) if found else uri

    def blob_uri(self, account: str, container: str, name: str = "") -> str:
        path = quote(f"{container}/{name}" if name else container)
        return f"{self._base_url}/{path}" if account == REGISTRY_ACCOUNT else f"{self._base_url}/blob/{account}/{path}"

    def rebased(self, uri: str) -> str:
        """The blob URI with the address that the control plane has now; others as they are."""
        found = _BLOB_URI.match(uri) or _REGISTRY_URI.match(uri)
        return f"{self._base_url}/{found['place']}" if found else uri

    def signed(self, account: str, container: str, permissions: str) -> str:
        """The query of a URL (a shared access signature) with these permissions, such as `rl`, on a container."""
        expiry = datetime.fromtimestamp(time.time() + SAS_LIFETIME, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        query = {"sv": "2021-08-06", "sr": "c", "sp": permissions, "se": expiry}
        return urlencode({**query, "sig": self._signature(account, container, permissions, expiry)})

    def account_key(self, account: str) -> str:
        """The key that opens all of an account, in base64."""
        return base64.b64encode(hmac.digest(self._key, f"account key of {account}".encode(), hashlib.sha512)).decode()

    def admits(self, account: str, container: str, query: Mapping[str, str], permission: str) -> bool:
        """Whether the signature in the query is ours, has not expired, and grants the permission on the container."""
        permissions, expiry = query.get("sp", ""), query.get("se", "")
        genuine = hmac.compare_digest(
            self._signature(account, container, permissions, expiry).encode(), query.get("sig", "").encode()
        )
        if not genuine or permission not in permissions:
            return False
        return datetime.strptime(expiry, "%Y-%m-%dT%H:%M:%S%z").timestamp() > time.time()

    def copy(self, source: Path, target: Path) -> None:
        """Copies a file or a folder, and overwrites what an interrupted copy left behind."""
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def _signature(self, account: str, container: str, permissions: str, expiry: str) -> str:
        text = "\n".join((account, container, permissions, expiry))
        return base64.b64encode(hmac.digest(self._key, text.encode(), hashlib.sha256)).decode()

    @staticmethod
    def _inside(folder: Path, *parts: str) -> Path:
        if any(part in ("", ".", "..") or "\0" in part or "/" in part for part in parts):
            raise UnusableUri(f"{'/'.join(parts)} is not a name within a container")
        return folder.joinpath(*parts)


def account_name(host: str) -> str:
    """The account in `ACCOUNT` or `ACCOUNT.blob.SUFFIX`, the form that the SDK makes of a datastore's account name."""
    return host.partition(".blob.")[0]
