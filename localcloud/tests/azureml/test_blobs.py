"""The blob service, through azure-storage-blob: what it takes, gives and refuses."""

import os
from pathlib import Path

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import ContainerClient

from .conftest import ControlPlane, workspace_id

DATASTORE = f"{workspace_id('ws-dev')}/datastores/workspaceblobstore"


def address(cloud: ControlPlane) -> tuple[str, str]:
    properties = cloud.call("GET", DATASTORE).json()["properties"]
    token = cloud.call("POST", f"{DATASTORE}/listSecrets").json()["sasToken"]
    return f"https://{properties['accountName']}/workspaceblobstore", token


@pytest.fixture
def container(cloud: ControlPlane) -> ContainerClient:
    return ContainerClient.from_container_url("?".join(address(cloud)), max_single_put_size=1000, max_block_size=1000)


def test_a_blob_is_put_in_blocks_and_read_in_ranges(container: ContainerClient) -> None:
    content = os.urandom(3500)
    container.upload_blob("blocks/ü +%&#.bin", content, metadata={"a": "b"})
    blob = container.get_blob_client("blocks/ü +%&#.bin")
    assert blob.get_blob_properties().metadata == {"a": "b"}
    assert blob.download_blob().readall() == content
    assert blob.download_blob(offset=1000, length=500).readall() == content[1000:1500]
    assert [one.name for one in container.list_blobs(name_starts_with="blocks/")] == ["blocks/ü +%&#.bin"]


def test_empty_and_deleted_blobs(container: ContainerClient) -> None:
    container.upload_blob("empty", b"")
    assert container.get_blob_client("empty").download_blob().readall() == b""
    container.delete_blob("empty")
    assert not container.get_blob_client("empty").exists()
    with pytest.raises(ResourceNotFoundError):
        container.download_blob("empty")


def test_folders_are_listed_by_their_prefix(container: ContainerClient) -> None:
    for name in ("tree/a", "tree/b/c", "tree/b/d"):
        container.upload_blob(name, b"x")
    assert sorted(one.name for one in container.walk_blobs("tree/")) == ["tree/a", "tree/b/"]


def test_a_signature_is_checked(cloud: ControlPlane) -> None:
    url, token = address(cloud)
    for bad in ("", token.replace("sp=racwdl", "sp=racwdlx"), token.replace("se=2", "se=3"), token[:-8]):
        container = ContainerClient.from_container_url(f"{url}?{bad}" if bad else url)
        with pytest.raises(ClientAuthenticationError):
            container.upload_blob("forged", b"x")
    other = ContainerClient.from_container_url(f"{url.replace('workspaceblobstore', 'workspaceartifactstore')}?{token}")
    with pytest.raises(ClientAuthenticationError):
        other.upload_blob("forged", b"x")


def test_no_name_leads_out_of_the_container(
    cloud: ControlPlane, container: ContainerClient, certificates: Path
) -> None:
    url, token = address(cloud)
    for name in ("..%2F..%2Fstate.sqlite", "%2E%2E/x", "a/..%2F../x"):
        request = requests.Request("GET", url).prepare()
        request.url = f"{url}/{name}?{token}"
        assert cloud.session.send(request, verify=str(certificates / "ca.pem")).status_code in (400, 403, 404), name
    container.upload_blob("file", b"x", overwrite=True)
    with pytest.raises(HttpResponseError):
        container.upload_blob("file/below", b"x")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "InvalidXmlDocument"),
        (b"<BlockList", "InvalidXmlDocument"),
        (b"\xff", "InvalidXmlDocument"),
        (b"<BlockList><Latest>QUJD</Latest></BlockList>", "InvalidBlockList"),
    ],
)
def test_a_list_of_blocks_that_is_none_is_refused(
    cloud: ControlPlane, certificates: Path, body: bytes, code: str
) -> None:
    url, token = address(cloud)
    answer = cloud.session.put(
        f"{url}/unfinished?comp=blocklist&{token}", data=body, verify=str(certificates / "ca.pem"), timeout=10
    )
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, code)
