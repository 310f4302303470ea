"""What opens the datastores of a workspace: a signature for a container, or the account's key."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.ai.ml.entities import Model
from azure.core.exceptions import ClientAuthenticationError
from azure.storage.blob import ContainerClient

from .conftest import ControlPlane, Greeting, workspace_id

STORE = f"{workspace_id('ws-dev')}/datastores/workspaceblobstore"


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[ControlPlane]:
    workspaces = [{"id": workspace_id("ws-dev"), "datastore_secrets": "AccountKey"}]
    one = ControlPlane(tmp_path_factory.mktemp("azureml"), certificates, workspaces=workspaces)
    one.start()
    yield one
    one.stop()


def container(plane: ControlPlane, secret: str) -> ContainerClient:
    properties = plane.call("GET", STORE).json()["properties"]
    account = f"https://{properties['accountName']}.blob.{properties['endpoint']}"
    return ContainerClient(account, properties["containerName"], credential=secret, retry_total=0)


def test_a_signature_is_given_unless_it_is_said_otherwise(cloud: ControlPlane) -> None:
    assert cloud.call("POST", f"{STORE}/listSecrets").json()["secretsType"] == "Sas"


def test_the_account_key_opens_all_of_the_datastore_and_another_key_nothing(keyed: ControlPlane) -> None:
    assert keyed.call("GET", STORE).json()["properties"]["credentials"] == {"credentialsType": "AccountKey"}
    secrets = keyed.call("POST", f"{STORE}/listSecrets").json()
    assert secrets["secretsType"] == "AccountKey"
    with container(keyed, secrets["key"]) as client:
        client.upload_blob("a folder/ümlaut & more.txt", b"hello", metadata={"by": "ann"})
        assert [blob.name for blob in client.list_blobs(name_starts_with="a folder/")] == ["a folder/ümlaut & more.txt"]
        assert client.download_blob("a folder/ümlaut & more.txt", offset=1, length=3).readall() == b"ell"
    with container(keyed, "bm90IHRoZSBrZXkgb2YgdGhpcyBhY2NvdW50") as client, pytest.raises(ClientAuthenticationError):
        list(client.list_blobs())


def test_the_sdk_uploads_and_downloads_with_the_account_key(
    keyed: ControlPlane, greeting: Greeting, tmp_path: Path
) -> None:
    client = keyed.client()
    client.models.create_or_update(Model(name="keyed", version="1", path=greeting("hi")))
    client.models.download("keyed", "1", download_path=tmp_path / "down")
    assert next((tmp_path / "down").rglob("greeting.txt")).read_text() == "hi"
