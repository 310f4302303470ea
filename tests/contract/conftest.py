"""Each kind of store, empty."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.data.tables import TableClient, TableServiceClient

from localcloud.testing import azurite
from shared.cloud.sqlite import SqliteStore
from shared.cloud.tables import TablesStore
from shared.ports import Store


@pytest.fixture(scope="session")
def storage_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of a storage account; the test is skipped where Azurite cannot run."""
    if reason := azurite.missing():
        pytest.skip(reason)
    with azurite.running(tmp_path_factory.mktemp("azurite")) as account:
        yield account.connection_string


@pytest.fixture
def table(storage_account: str) -> Iterator[TableClient]:
    """A table of the test's own."""
    with TableServiceClient.from_connection_string(storage_account) as service:
        client = service.create_table(f"t{uuid.uuid4().hex}")
        with client:
            yield client
        service.delete_table(client.table_name)


@pytest.fixture(params=["sqlite", "tables"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "tables":
        return TablesStore(request.getfixturevalue("table"))
    return SqliteStore(tmp_path / "made" / "promotions.sqlite")
