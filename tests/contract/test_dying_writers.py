"""A writer may die between any two of its writes to the table: what is shown is right at once, and tidied up later."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableClient

from shared.cloud.sqlite import SqliteStore
from shared.cloud.tables import TablesStore
from shared.core.commands import due
from shared.core.promotion import Lane, PromotionStatus
from shared.core.replacing import replace
from shared.ports import PromotionFilter, Store
from tests.contract.stored_lane import StoredLaneDriver
from tests.core.world import KEY, NOW, REFUSED, promotion, requested

LATER = NOW + timedelta(days=365)
#: The most writes of one life. A life with fewer is not cut short.
MOST_WRITES = 60


class Died(BaseException):
    """The process has died."""


def end_of_life() -> None:
    raise Died


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class MortalTransport(RequestsTransport):  # type: ignore[misc]  # the SDK's types do not say what it is
    """Dies instead of sending the write of this number, counted from 1."""

    def __init__(self, at: int, die: Callable[[], None] = end_of_life) -> None:
        super().__init__()
        self._left = at
        self._die = die

    def send(self, request: Any, **options: Any) -> Any:
        if request.method != "GET":
            self._left -= 1
            if self._left == 0:
                self._die()
        return super().send(request, **options)


def live(store: Store) -> None:
    """Request two promotions and drive both to their end, whatever an earlier life has done already."""
    first, second = (requested(version, {"test": ()}, steps=("validate",)) for version in ("1", "2"))
    driver = StoredLaneDriver(store, first, lambda command: REFUSED if command.candidate.version == "1" else None)
    driver.apply(second)
    driver.run()


def shown(store: Store) -> dict[str, Any]:
    """All that anybody can see."""
    every: dict[str, Any] = {"overdue": store.overdue(LATER), "lanes": store.lanes(None, None, 50, None)}
    every["lanes of the model"] = store.lanes(None, KEY.model, 50, None)
    for route in (None, KEY.route):
        for model in (None, KEY.model):
            for status in (None, *PromotionStatus):
                page = store.promotions(PromotionFilter(route, model, None, status), 50, None)
                every[f"{route} {model} {status}"] = page
    every["environment"] = store.promotions(PromotionFilter(environment="test"), 50, None)
    for each in every["None None None"].promotions:
        every[each.id] = store.promotion(each.id)
    return every


def agree(store: Store) -> None:
    """What is listed is what stands in the lane."""
    lane, _ = store.load(KEY, None)
    found = store.promotions(PromotionFilter(), 50, None).promotions
    assert {each.id for each in found} >= {each.id for each in lane.promotions}
    for each in found:
        assert store.load(KEY, each.id)[0].promotion(each.id) == each
        for status in PromotionStatus:
            listed = store.promotions(PromotionFilter(status=status), 50, None).promotions
            assert (each in listed) == (status is each.status)
    assert store.overdue(LATER) == ([KEY] if due(lane) else [])


def rows(table: TableClient) -> set[tuple[str, str]]:
    return {(row["PartitionKey"], row["RowKey"]) for row in table.list_entities(select=["PartitionKey", "RowKey"])}


def emptied(table: TableClient) -> TableClient:
    for partition, row in rows(table):
        table.delete_entity(partition, row)
    return table


def test_whichever_write_is_the_last_of_a_life_nothing_is_lost_or_shown_twice(
    storage_account: str, table: TableClient, tmp_path: Path
) -> None:
    reference = SqliteStore(tmp_path / "reference.sqlite")
    live(reference)
    healthy = TablesStore(table, settled_after=timedelta(0))
    live(healthy)
    assert shown(healthy) == shown(reference)
    undisturbed = rows(table)

    lives = 0
    for at in range(1, MOST_WRITES):
        emptied(table)
        transport = MortalTransport(at)
        with TableClient.from_connection_string(storage_account, table.table_name, transport=transport) as client:
            try:
                live(TablesStore(client))
            except Died:
                lives += 1
            else:
                break
        agree(TablesStore(table))
        live(healthy)
        assert shown(healthy) == shown(reference), f"died at write {at}"
        assert rows(table) == undisturbed, f"died at write {at}"
    assert 10 < lives < MOST_WRITES - 1


def request_and_be_killed(connection_string: str, table: str, at: int) -> None:
    """In a process of its own."""
    transport = MortalTransport(at, kill_myself)
    with TableClient.from_connection_string(connection_string, table, transport=transport) as client:
        live(TablesStore(client))


def test_a_process_that_is_killed_between_the_list_and_the_lane_leaves_nothing_to_see(
    storage_account: str, table: TableClient
) -> None:
    processes = multiprocessing.get_context("spawn")
    process = processes.Process(target=request_and_be_killed, args=(storage_account, table.table_name, 2))
    process.start()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL
    assert [partition for partition, _ in rows(table)].count("promotions") > 0
    patient = TablesStore(table)
    assert patient.load(KEY, None) == (Lane(KEY), 0)
    assert patient.promotions(PromotionFilter(), 50, None).promotions == []
    live(patient)
    agree(patient)


def test_an_entry_that_may_yet_hold_is_left_alone(table: TableClient, storage_account: str) -> None:
    client = TableClient.from_connection_string(storage_account, table.table_name, transport=MortalTransport(4))
    with client, pytest.raises(Died):
        live(TablesStore(client))
    before = rows(table)
    assert {partition for partition, _ in before} == {"promotions", "lanes", "wake"}
    shown(TablesStore(table))
    assert rows(table) == before
    shown(TablesStore(table, settled_after=timedelta(0)))
    assert rows(table) == set()


def test_a_promotion_that_takes_a_status_again_is_listed_once(storage_account: str, table: TableClient) -> None:
    store = TablesStore(table)
    put(store, PromotionStatus.RUNNING)
    client = TableClient.from_connection_string(storage_account, table.table_name, transport=MortalTransport(3))
    with client, pytest.raises(Died):
        put(TablesStore(client), PromotionStatus.FAILED)
    running = PromotionFilter(status=PromotionStatus.RUNNING)
    assert store.promotions(running, 5, None).promotions == []
    put(store, PromotionStatus.RUNNING)
    assert [each.status for each in store.promotions(running, 5, None).promotions] == ["running"]
    assert store.promotions(PromotionFilter(status=PromotionStatus.FAILED), 5, None).promotions == []


def put(store: Store, status: PromotionStatus) -> None:
    kept = promotion("1")
    before, version = store.load(KEY, kept.id)
    store.save(before, before.with_promotion(replace(kept, status=status)), version, ())
