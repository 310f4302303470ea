"""Lists of promotions and lanes in the table, which are read in pages, each stored in the order in which it is read.

A list is a range of rows in one partition, and an entry only names its promotion or lane. Entries are written *before*
the promotion or lane, and stale ones are removed *after* it. So a process that dies between two writes leaves an extra
entry, never a missing one. A reader checks the promotion or lane itself: it skips a stale entry, and removes it once no
writer can still be about to make it valid.

An entry in a list of one status has the lane's version in which the promotion took that status, and the promotion has
the same version. So at most one of several entries for a promotion is valid, whatever the race.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Generic, TypeVar

from azure.data.tables import TableEntity

from shared.cloud.documents import lane_position, promotion_position, sortable
from shared.cloud.table import MOST_OPERATIONS, Operation, Row, Table, Write
from shared.cloud.table_keys import LAST, escaped, lane_name, newest_first, promotion_partition
from shared.core.messages import LaneKey
from shared.core.promotion import Promotion
from shared.ports import PromotionFilter, VersionConflictError

T = TypeVar("T")

#: The partitions.
PROMOTIONS = "promotions"
LANES = "lanes"

MOST_PASSED = 10_000

#: The service's largest page, for lists in which many entries may be skipped.
_LARGEST_ANSWER = 1_000
#: The smallest number of entries to look up together.
_SMALLEST_BATCH = 16


@dataclass(frozen=True)
class Found(Generic[T]):
    """The content of a page, and its last entry; `end` is None on the last page."""

    items: Sequence[T]
    end: TableEntity | None


class Lists:
    """The lists of one table.

    Entries are looked up concurrently, in the pool. `settled_after` is the age at which a stale entry may be removed.
    `most_passed` is how many entries a page may skip before it ends early, with a continuation.
    """

    def __init__(
        self, table: Table, pool: ThreadPoolExecutor, settled_after: timedelta, most_passed: int = MOST_PASSED
    ) -> None:
        self._table = table
        self._pool = pool
        self._settled_after = settled_after
        self._most_passed = most_passed

    def add_promotions(self, moved: Sequence[Promotion], new: Sequence[Promotion], version: int) -> None:
        """Add entries for promotions with a new status, and for new promotions. Call this before saving that version of
        the lane."""
        rows = [_entry(name, each) for each in new for name in _lists(each)]
        self._write(Write.MERGE, rows + [row for each in moved for row in _entries_of_status(each, version)])

    def remove_statuses(self, left: Sequence[tuple[Promotion, int]]) -> None:
        """Remove the entries of statuses that promotions have left, with the lane's versions. Call this after
        saving."""
        try:
            self._write(Write.DELETE, [row for each, version in left for row in _entries_of_status(each, version)])
        except VersionConflictError:
            return  # a reader has removed some entries, and readers will remove the others

    def add_lane(self, lane: LaneKey) -> None:
        """Add a lane. Call this before saving it for the first time."""
        rows = (f"route!{lane_name(lane)}", _of_model(lane))
        content = {"PartitionKey": LANES, "route": lane.route, "model": lane.model}
        self._write(Write.MERGE, [{**content, "RowKey": row} for row in rows])

    def promotions(
        self, wanted: PromotionFilter, following: str | None, most: int, read: Callable[[TableEntity], T | None]
    ) -> Found[T]:
        """At most `most` promotions, newest first. `read` returns an entry's promotion, or None if the entry is stale.

        Raises ValueError for an unknown continuation token.
        """
        name, criteria = _list_for(wanted)
        first = f"{name}!"
        if following is not None:
            created, promotion = promotion_position(following)
            if promotion_partition(promotion) is None:
                raise ValueError("unknown continuation token")
            first += f"{newest_first(created, promotion)}!{LAST}"

        def fits(entry: TableEntity) -> bool:
            environments = json.loads(entry["environments"])
            return (
                wanted.route in (None, entry["route"])
                and wanted.model in (None, entry["model"])
                and (wanted.environment is None or wanted.environment in environments)
            )

        at_once = most + 1 if criteria else _LARGEST_ANSWER
        entries = self._table.rows(PROMOTIONS, first, f"{name}!{LAST}", min(at_once, _LARGEST_ANSWER))
        return self._find(entries, fits, most, read)

    def lanes(
        self,
        route: str | None,
        model: str | None,
        following: str | None,
        most: int,
        read: Callable[[TableEntity], T | None],
    ) -> Found[T]:
        """Lanes of routes, ordered by name; otherwise like `promotions`."""
        after = lane_position(following) if following is not None else None
        if route is None and model is not None:
            below = f"model!{escaped(model)}!"
            begin = _of_model(after) if after else ""
        else:
            below = f"route!{escaped(route)}!" if route is not None else "route!"
            begin = f"route!{lane_name(after)}" if after else ""

        def fits(entry: TableEntity) -> bool:
            return model in (None, entry["model"]) and lane_of(entry) != after

        at_once = min(most + 2, _LARGEST_ANSWER)
        return self._find(self._table.rows(LANES, max(below, begin), below + LAST, at_once), fits, most, read)

    def _write(self, write: Write, rows: Sequence[Row]) -> None:
        for start in range(0, len(rows), MOST_OPERATIONS):
            self._table.commit([Operation(write, row) for row in rows[start : start + MOST_OPERATIONS]])

    def _find(
        self,
        entries: Iterator[TableEntity],
        fits: Callable[[TableEntity], bool],
        most: int,
        read: Callable[[TableEntity], T | None],
    ) -> Found[T]:
        found: list[tuple[TableEntity, T]] = []
        passed = 0
        while len(found) <= most:
            batch = list(islice(entries, max(most + 1 - len(found), _SMALLEST_BATCH)))
            if not batch:
                return Found([item for _, item in found], None)
            fitting = [entry for entry in batch if fits(entry)]
            for entry, item in zip(fitting, self._pool.map(read, fitting), strict=True):
                if item is None:
                    self._distrust(entry)
                else:
                    found.append((entry, item))
            passed += len(batch)
            if passed >= self._most_passed and len(found) <= most:
                return Found([item for _, item in found], batch[-1])
        return Found([item for _, item in found[:most]], found[most - 1][0])

    def _distrust(self, entry: TableEntity) -> None:
        """Remove a stale entry, unless its writer may still be at work."""
        if is_older(entry, self._settled_after):
            self._table.remove(entry)


def lane_of(entry: TableEntity) -> LaneKey:
    """The lane that an entry names."""
    return LaneKey(entry["route"], entry["model"])


def is_older(entry: TableEntity, age: timedelta) -> bool:
    """Whether the row was last written at least `age` ago."""
    written = entry.metadata["timestamp"]
    return written is not None and datetime.now(UTC) - written >= age


def _list_for(wanted: PromotionFilter) -> tuple[str, bool]:
    """The list to read, and whether it contains only what is wanted. Otherwise its entries must be filtered."""
    status = f"{wanted.status}!" if wanted.status else ""
    kind = "-status" if wanted.status else ""
    if wanted.model is not None:
        return f"model{kind}!{status}{escaped(wanted.model)}", wanted.route is None and wanted.environment is None
    if wanted.route is not None:
        return f"route{kind}!{status}{escaped(wanted.route)}", wanted.environment is None
    if wanted.status:
        return f"status!{wanted.status}", wanted.environment is None
    if wanted.environment is not None:
        return f"environment!{escaped(wanted.environment)}", True
    return "all", True


def _lists(promotion: Promotion) -> list[str]:
    """The lists that a promotion never leaves."""
    environments = dict.fromkeys(stage.environment for stage in promotion.stages)
    by_environment = [f"environment!{escaped(name)}" for name in environments]
    return ["all", f"route!{escaped(promotion.lane.route)}", f"model!{escaped(promotion.lane.model)}", *by_environment]


def _entries_of_status(promotion: Promotion, version: int) -> list[Row]:
    lane, status = promotion.lane, promotion.status
    lists = (
        f"status!{status}",
        f"route-status!{status}!{escaped(lane.route)}",
        f"model-status!{status}!{escaped(lane.model)}",
    )
    rows = [_entry(name, promotion) for name in lists]
    return [{**row, "RowKey": f"{row['RowKey']}!{version:010}", "version": version} for row in rows]


def _entry(name: str, promotion: Promotion) -> Row:
    environments: Mapping[str, None] = dict.fromkeys(stage.environment for stage in promotion.stages)
    return {
        "PartitionKey": PROMOTIONS,
        "RowKey": f"{name}!{newest_first(promotion.created, promotion.id)}",
        "promotion": promotion.id,
        "created": sortable(promotion.created),
        "route": promotion.lane.route,
        "model": promotion.lane.model,
        "environments": json.dumps(list(environments)),
    }


def _of_model(lane: LaneKey) -> str:
    return f"model!{escaped(lane.model)}!{escaped(lane.route)}"
