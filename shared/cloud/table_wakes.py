"""Records when to check which lane: rows in one partition, ordered by time.

Every lane that waits has an entry that is *early or on time*, and the lane records which. The entry stays while the
lane's wake-up time moves later, so most saves write no entry. A reader that finds an early entry moves it to the lane's
time. An entry is written before its lane, so a writer that dies leaves one that no lane records. It is checked too, and
removed in time. This file changes a lane only if it is unchanged since it was read. Another process that decides on the
lane meanwhile then gets a version conflict and decides again, so no writer relies on an entry that is gone.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from azure.data.tables import TableEntity

from shared.cloud.table import Table
from shared.cloud.table_keys import LAST, lane_name, lane_partition, lane_row, minute
from shared.cloud.table_lists import is_older, lane_of
from shared.core.messages import LaneKey

PARTITION = "wake"


class Wakes:
    """The wake-up times of one table's lanes. `pool` and `settled_after` as in `Lists`."""

    def __init__(self, table: Table, pool: ThreadPoolExecutor, settled_after: timedelta) -> None:
        self._table = table
        self._pool = pool
        self._settled_after = settled_after

    def cover(self, lane: LaneKey, wake: datetime | None, known: str) -> str:
        """The entry that the lane should record, given its current one. Call this before saving the lane with this
        wake-up time."""
        if wake is None or (known and known <= _row(lane, wake)):
            return known
        return self._put(lane, wake)

    def overdue(self, now: datetime) -> list[LaneKey]:
        """The lanes that are due, the longest overdue first."""
        entries = list(self._table.rows(PARTITION, "", f"{minute(now)}!{LAST}"))
        waiting = {lane: wake for lane, wake in self._pool.map(self._look, entries) if wake}
        return sorted((lane for lane, wake in waiting.items() if wake <= now), key=lambda lane: waiting[lane])

    def _look(self, entry: TableEntity) -> tuple[LaneKey, datetime | None]:
        """The lane of an entry and its wake-up time. Moves the entry to that time."""
        lane = lane_of(entry)
        seen = self._table.row(lane_partition(lane), lane_row(lane))
        wake = datetime.fromisoformat(seen["wake"]) if seen is not None and seen["wake"] else None
        if seen is None or seen["wake_entry"] != entry["RowKey"]:
            if is_older(entry, self._settled_after):
                self._table.remove(entry)
        elif wake is None or _row(lane, wake) > entry["RowKey"]:
            moved = self._put(lane, wake) if wake else ""
            if self._table.change(seen, wake_entry=moved):
                self._table.remove(entry)
        return lane, wake

    def _put(self, lane: LaneKey, wake: datetime) -> str:
        row = _row(lane, wake)
        self._table.put({"PartitionKey": PARTITION, "RowKey": row, "route": lane.route, "model": lane.model})
        return row


def _row(lane: LaneKey, wake: datetime) -> str:
    return f"{minute(wake)}!{lane_name(lane)}"
