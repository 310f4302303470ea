"""When to look at which lane: rows in one partition, in the order of time.

For a lane that waits there is always an entry that is *early or on time*, and the lane knows which. It stays where it
is while the lane's wake-up time moves on, so most saves write none. Whoever finds an early entry moves it to the time
of the lane. An entry is written before the lane is, so a writer that dies leaves one that no lane knows: it is looked
at too, and removed in time. A lane is changed here only if it is still as it was seen, and then whoever decides on it
meanwhile gets a version conflict and decides anew, so no writer relies on an entry that has gone.
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
        """Before the lane is saved with this wake-up time: the entry it is to know, given the one that it knows."""
        if wake is None or (known and known <= _row(lane, wake)):
            return known
        return self._put(lane, wake)

    def overdue(self, now: datetime) -> list[LaneKey]:
        """The lanes whose time has come, the longest overdue first."""
        entries = list(self._table.rows(PARTITION, "", f"{minute(now)}!{LAST}"))
        waiting = {lane: wake for lane, wake in self._pool.map(self._look, entries) if wake}
        return sorted((lane for lane, wake in waiting.items() if wake <= now), key=lambda lane: waiting[lane])

    def _look(self, entry: TableEntity) -> tuple[LaneKey, datetime | None]:
        """The lane of an entry, and what it waits for; the entry moves there."""
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
