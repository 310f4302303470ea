"""Which store the settings name, in each way of naming it."""

import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from azure.data.tables import TableServiceClient

from localcloud.azureml.certificates import AUTHORITY, server_context
from localcloud.testing import azurite
from shared.cloud import stores
from shared.cloud.sqlite import SqliteStore
from shared.cloud.tables import TablesStore
from shared.config.app_settings import AppSettings
from tests.cloud.local_azure import HEADER, Part, until

IDENTITY = "bbbbbbbb-0000-0000-0000-00000000000a"


def test_a_path_means_a_file_even_where_there_is_a_storage_account(tmp_path: Path) -> None:
    file = tmp_path / "here" / "promotions.sqlite"
    settings = {"MLPROMOTE_STORE": str(file), "AzureWebJobsStorage__accountName": "contoso"}
    assert isinstance(stores.connect(AppSettings.read(settings)), SqliteStore)
    assert file.is_file()


@pytest.mark.parametrize(("setting", "table"), [({}, "mlpromote"), ({"MLPROMOTE_TABLE": "Promotions2"}, "Promotions2")])
def test_a_connection_string_means_a_table_which_is_made_and_then_kept(
    storage_account: str, setting: Mapping[str, str], table: str
) -> None:
    settings = {"AzureWebJobsStorage": storage_account, **setting}
    store = stores.connect(AppSettings.read(settings))
    assert isinstance(store, TablesStore)
    assert store.claim("key", "first") == "first"
    assert stores.connect(AppSettings.read(settings)).claim("key", "second") == "first"
    with TableServiceClient.from_connection_string(storage_account) as service:
        assert table in [each.name for each in service.list_tables()]
        service.delete_table(table)


def test_a_managed_identity_needs_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := azurite.missing():
        pytest.skip(reason)
    server_context(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / AUTHORITY))
    identities = {"identities": [{"name": "app", "client_id": IDENTITY}], "header": HEADER}
    identity = Part("identity", tmp_path, {**identities, "token_key": str(tmp_path / "token.key")})
    try:
        monkeypatch.setenv("IDENTITY_ENDPOINT", identity.ready)
        monkeypatch.setenv("IDENTITY_HEADER", HEADER)
        with azurite.running(tmp_path, tmp_path / "server.pem") as account:
            settings = {
                "AzureWebJobsStorage__tableServiceUri": account.endpoint,
                "AzureWebJobsStorage__credential": "managedidentity",
                "AzureWebJobsStorage__clientId": IDENTITY,
            }
            assert stores.connect(AppSettings.read(settings)).claim("key", "first") == "first"
            assert stores.connect(AppSettings.read(settings)).claim("key", "second") == "first"
    finally:
        identity.stop()


def test_without_a_store_the_error_names_the_settings() -> None:
    with pytest.raises(ValueError, match=r"AzureWebJobsStorage__accountName.*MLPROMOTE_STORE"):
        stores.connect(AppSettings.read({}))


@pytest.mark.parametrize("name", ["ab", "2promotions", "a-b", "x" * 64, "größe"])
def test_a_name_that_no_table_can_have_is_refused_in_words(name: str) -> None:
    settings = {"AzureWebJobsStorage__accountName": "contoso", "MLPROMOTE_TABLE": name}
    with pytest.raises(ValueError, match=r"MLPROMOTE_TABLE: .* 3 to 54 letters and digits"):
        stores.connect(AppSettings.read(settings))


def test_azurite_ends_with_its_owner_however_that_ends(tmp_path: Path) -> None:
    if reason := azurite.missing():
        pytest.skip(reason)
    code = f"""
import pathlib, time
from localcloud.testing import azurite
with azurite.running(pathlib.Path({str(tmp_path)!r})) as account:
    print(account.endpoint, flush=True)
    time.sleep(60)
"""
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner.stdout:
        port = urlsplit(owner.stdout.readline().strip()).port
    assert port is not None
    assert listens(port)
    owner.kill()
    owner.wait()
    until(lambda: not listens(port), "Azurite has ended")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
