"""What every store of bundles must do, run against each of them."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient

from localcloud.testing import azurite
from shared.cloud.blob_bundles import BlobBundles
from shared.cloud.sqlite_bundles import SqliteBundles
from shared.ports import Bundles, PointerMovedError, Publication
from shared.ports.bundles import MOST_REMEMBERED
from tests.fakes.bundles import FakeBundles

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIRST = Publication("a" * 64, "id-alice", "alice", "größer", NOW)
SECOND = Publication("b" * 64, "id-bob", "bob", "wrong answers", NOW + timedelta(minutes=1), back=True)


@pytest.fixture(scope="module")
def blob_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of a storage account with blobs; the test is skipped where Azurite cannot run."""
    if reason := azurite.missing():
        pytest.skip(reason)
    with azurite.running(tmp_path_factory.mktemp("azurite"), service="blob") as account:
        yield account.connection_string


@pytest.fixture
def container(blob_account: str) -> Iterator[ContainerClient]:
    """A container of the test's own."""
    name = f"c{uuid.uuid4().hex}"
    with ContainerClient.from_connection_string(blob_account, name) as client:
        client.create_container()
        yield client
        client.delete_container()


@pytest.fixture(params=["fake", "sqlite", "blobs"])
def bundles(request: pytest.FixtureRequest, tmp_path: Path) -> Bundles:
    if request.param == "blobs":
        return BlobBundles(request.getfixturevalue("container"))
    return SqliteBundles(tmp_path / "made" / "app.sqlite") if request.param == "sqlite" else FakeBundles()


def test_nothing_is_there_at_first(bundles: Bundles) -> None:
    assert bundles.archive("a" * 64) is None
    assert bundles.pointer("churn-team") is None


def test_an_archive_is_kept_to_the_last_byte(bundles: Bundles) -> None:
    content = bytes(range(256)) * 300
    for _ in range(2):
        bundles.keep("a" * 64, content)
    assert bundles.archive("a" * 64) == content
    assert bundles.archive("b" * 64) is None


def test_a_pointer_moves_and_remembers_where_it_was(bundles: Bundles) -> None:
    first = bundles.publish("churn-team", FIRST, None)
    assert first.digest == FIRST.digest
    second = bundles.publish("churn-team", SECOND, first)
    found = bundles.pointer("churn-team")
    assert found == second
    assert found
    assert list(found.publications) == [SECOND, FIRST]
    assert bundles.pointer("credit-team") is None


def test_a_pointer_that_moved_meanwhile_does_not_move(bundles: Bundles) -> None:
    first = bundles.publish("churn-team", FIRST, None)
    bundles.publish("churn-team", SECOND, first)
    for before in (first, None):
        with pytest.raises(PointerMovedError, match="somebody else has published to churn-team meanwhile"):
            bundles.publish("churn-team", replace(FIRST, reason="late"), before)
    found = bundles.pointer("churn-team")
    assert found
    assert list(found.publications) == [SECOND, FIRST]


def test_of_many_who_publish_at_once_one_wins(bundles: Bundles) -> None:
    before = bundles.publish("churn-team", FIRST, None)

    def publish(number: int) -> bool:
        try:
            bundles.publish("churn-team", replace(SECOND, reason=str(number)), before)
        except PointerMovedError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(publish, range(16))) == 1
    found = bundles.pointer("churn-team")
    assert found
    assert len(found.publications) == 2


def test_a_pointer_forgets_the_oldest(bundles: Bundles) -> None:
    pointer = None
    for number in range(MOST_REMEMBERED + 2):
        pointer = bundles.publish("churn-team", replace(FIRST, reason=str(number)), pointer)
    assert pointer
    assert [each.reason for each in pointer.publications][:: MOST_REMEMBERED - 1] == [str(MOST_REMEMBERED + 1), "2"]
    assert bundles.pointer("churn-team") == pointer
