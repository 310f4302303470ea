"""While the store's disk is full, nothing is lost and no delivery is used up; once there is room, everything
arrives."""

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError
from azure.servicebus import ServiceBusClient, ServiceBusMessageState, ServiceBusReceiver, ServiceBusSubQueue

from localcloud.testing.broker import BrokerProcess, write_config
from shared.cloud import stores
from shared.cloud.bus import CONNECTION
from shared.cloud.sqlite import SqliteStore
from shared.cloud.sqlite_file import SqliteFile
from shared.coordinator import postponing
from shared.coordinator.postponing import LONGEST_PAUSE, MOST_ROUNDS, pause
from shared.core.messages import ModelRegistered
from shared.core.queues import EVENTS_QUEUE, all_queues
from shared.ports import StoreUnavailableError
from tests.config.right import WORKSPACE
from tests.telemetry.conftest import Running, started

WINDOW = {"RequiresDuplicateDetection": True, "DuplicateDetectionHistoryTimeWindow": "PT10M", "MaxDeliveryCount": 10}
REGISTRATIONS = 8


@dataclass
class Disk:
    """How many pages a SQLite file may have."""

    pages: int = 10_000

    def full(self, store: SqliteStore) -> None:
        with store._file.transaction("deferred") as connection:
            (self.pages,) = connection.execute("pragma page_count").fetchone()

    def roomy(self) -> None:
        self.pages = 10_000


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Of all SQLite files: SQLite itself says that there is no room."""
    disk = Disk()
    taken = SqliteFile._taken

    def limited(file: SqliteFile) -> sqlite3.Connection:
        connection = taken(file)
        connection.execute(f"pragma max_page_count = {disk.pages}")
        return connection

    monkeypatch.setattr(SqliteFile, "_taken", limited)
    return disk


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    queues = {name: dict(WINDOW) for name in all_queues(["dev", "test", "prod"])}
    process = BrokerProcess(tmp_path, write_config(tmp_path / "Config.json", queues))
    try:
        yield process.connection_string
    finally:
        process.close()


def deliver(app: Running, receiver: ServiceBusReceiver) -> int:
    """Deliver as the host does: a message whose function raises is returned at once. Return the deliveries that
    failed."""
    failed = 0
    while messages := receiver.receive_messages(50, max_wait_time=1):
        for message in messages:
            try:
                app.app.coordinator.advance(b"".join(message.body), str(message.message_id))
            except Exception:  # noqa: BLE001  # the host catches whatever a function raises
                failed += 1
                receiver.abandon_message(message)
            else:
                receiver.complete_message(message)
    return failed


def test_registrations_on_a_full_disk_come_again_and_are_all_there_in_the_end(
    tmp_path: Path, disk: Disk, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postponing, "FIRST_PAUSE", timedelta(seconds=1))
    (tmp_path / "app").mkdir()
    running = started(tmp_path / "app", **{CONNECTION: broker})
    del running.app.bus  # the real one takes its place
    store = running.app.store
    assert isinstance(store, SqliteStore)
    with ServiceBusClient.from_connection_string(broker) as client:
        receiver = client.get_queue_receiver(EVENTS_QUEUE)
        dead = client.get_queue_receiver(EVENTS_QUEUE, sub_queue=ServiceBusSubQueue.DEAD_LETTER)
        with receiver, dead:
            disk.full(store)
            news = [
                ModelRegistered(WORKSPACE.format("dev"), f"churn-{number}-{'x' * 200}", "1", {}, "event-grid")
                for number in range(REGISTRATIONS)
            ]
            running.app.bus.send_events(news)
            until = time.monotonic() + 300
            rounds = 0
            while rounds < 2:
                assert time.monotonic() < until
                assert deliver(running, receiver) == 0
                peeked = receiver.peek_messages(100, sequence_number=1)
                waiting = [each for each in peeked if each.state is ServiceBusMessageState.SCHEDULED]
                rounds = max((int(str(each.message_id).rpartition("-")[2]) for each in waiting), default=0)
            disk.roomy()
            until = time.monotonic() + 300
            while len(running.app.requests.promotions("", {"top": "200"})["value"]) < REGISTRATIONS:
                assert time.monotonic() < until
                assert deliver(running, receiver) == 0
            assert dead.peek_messages(10, sequence_number=1) == []
            left = receiver.peek_messages(100, sequence_number=1)
            assert left == []
    running.app._service_bus.close()


def test_reading_goes_on_while_the_disk_is_full(tmp_path: Path, disk: Disk) -> None:
    running = started(tmp_path)
    running.register()
    running.run()
    store = running.app.store
    assert isinstance(store, SqliteStore)
    disk.full(store)
    assert running.promotion["status"] == "running"
    with pytest.raises(StoreUnavailableError, match="disk is full"):
        store.claim("large", "x" * 50_000)
    disk.roomy()
    assert store.claim("key", "first") == "first"


def test_pauses_grow_and_end_after_a_day() -> None:
    pauses = [pause(round_) for round_ in range(1, MOST_ROUNDS + 1)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    assert timedelta(hours=20) < sum(pauses, timedelta()) < timedelta(hours=30)


@dataclass
class Kept:
    """Takes what is postponed."""

    copies: list[tuple[str, str]]

    def postpone(self, queue: str, message_id: str, body: bytes, at: object) -> None:
        self.copies.append((queue, message_id))


#: As long as Service Bus allows, and what its copies keep of it.
LONG = "x" * 128
SHORTENED = f"{'x' * 52}:{sha256(LONG.encode()).hexdigest()[:40]}"


@pytest.mark.parametrize(
    ("message_id", "copy"),
    [
        ("registered:ab", "registered:ab:later-1"),
        ("registered:ab:later-1", "registered:ab:later-2"),
        ("registered:ab:later-149", "registered:ab:later-150"),
        (LONG, f"{SHORTENED}:later-1"),
        (f"{SHORTENED}:later-1", f"{SHORTENED}:later-2"),
        ("registered:ab:later-150", None),
        ("", None),
    ],
)
def test_the_id_of_a_copy_differs_from_its_originals_and_is_the_same_each_time(
    message_id: str, copy: str | None, tmp_path: Path
) -> None:
    running, kept = started(tmp_path), Kept([])
    running.app.postponing = kept
    running.register()
    [(queue, body)] = running.bus.messages

    class Full:
        def load(self, *_: object) -> None:
            raise StoreUnavailableError("the disk is full")

    running.app.store = Full()  # type: ignore[assignment]
    if copy is None:
        with pytest.raises(StoreUnavailableError):
            running.app.coordinator.advance(body, message_id)
        assert kept.copies == []
    else:
        for _ in range(2):
            running.app.coordinator.advance(body, message_id)
        assert kept.copies == [(queue, copy)] * 2


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (StoreUnavailableError("full"), True),
        (ServiceRequestError("no connection"), True),
        (sqlite3.OperationalError("no such table"), False),
        (ValueError("a bug"), False),
        (HttpResponseError("without an answer"), False),
    ],
    ids=lambda each: str(each),
)
def test_only_what_passes_is_waited_for(fault: Exception, expected: bool) -> None:
    assert stores.is_unavailable(fault) is expected


@pytest.mark.parametrize(("status", "expected"), [(503, True), (500, True), (429, True), (403, True), (400, False)])
def test_what_table_storage_answers_is_waited_for_if_it_passes(status: int, expected: bool) -> None:
    fault = HttpResponseError("said")
    fault.status_code = status
    assert stores.is_unavailable(fault) is expected
