"""The store in Azure Table Storage, in the Function App's own storage account.

One entity group transaction writes a lane, the promotions that changed and their journal. It requires the ETag with
which the lane was loaded, so one of two concurrent writers gets a conflict. `table_keys` defines the keys. Queries
across lanes use lists (`table_lists`) and wake-up times (`table_wakes`), in partitions of their own, which no
transaction can span. Those files explain why they stay correct even if a writer dies between two writes.

If the answer to a write is lost, the SDK may repeat it and run into its own effect. That looks like a conflict: the
caller loads again, finds its event already applied, and sends what is due.
"""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from azure.data.tables import TableClient, TableEntity

from shared.cloud.documents import (
    after_lane,
    after_promotion,
    holds_document,
    lane_document,
    promotion_document,
    read_holds,
    read_lane,
    read_promotion,
    sortable,
)
from shared.cloud.table import Operation, Table, Write, split
from shared.cloud.table_awaited import AwaitedJobs
from shared.cloud.table_keys import (
    LAST,
    journal_row,
    lane_partition,
    lane_row,
    promotion_partition,
    promotion_row,
)
from shared.cloud.table_lists import Lists, lane_of
from shared.cloud.table_wakes import Wakes
from shared.core.awaiting import awaited
from shared.core.holds import NO_HOLDS, Holds
from shared.core.journal import JournalEntry
from shared.core.lane import wake_at
from shared.core.messages import AwaitedJob, LaneKey
from shared.core.promotion import NEXT_IN_LINE, Lane, Promotion
from shared.core.wire import from_json, to_text
from shared.ports import LanePage, Page, PromotionFilter, Publishing, VersionConflictError

#: Stale entries of lists and wake-up times are removed after this time: no function runs that long.
SETTLED_AFTER = timedelta(hours=1)

#: Number of concurrent look-ups, each in its own partition.
_AT_ONCE = 16

#: How often to read a lane again that changes while it is read.
_MOST_LOOKS = 20

_APP = "app"
_WATCHING = "watching"
_PUBLISHING = "publishing"
_HOLDS = "holds"


class _Version(int):
    """A lane's version, and what a save needs to know about the lane in that version."""

    etag: str
    wake_entry: str  #: the wake-up entry that the lane relies on; empty if none
    listed: Mapping[str, int]  #: by promotion: the version in which it took its status
    in_line: Sequence[str]  #: the promotions that wait in line, including those not loaded

    @classmethod
    def of(cls, head: TableEntity, listed: Mapping[str, int], in_line: Sequence[str]) -> "_Version":
        version = cls(head["version"])
        version.etag = head.metadata["etag"] or ""
        version.wake_entry = head["wake_entry"]
        version.listed = listed
        version.in_line = in_line
        return version


@dataclass(frozen=True)
class _Kept:
    """A promotion as stored in the table."""

    promotion: Promotion
    version: int  #: of the lane when the promotion was saved
    listed: int  #: as in `_Version`
    requested_in: int  #: the version of the lane that added it


class TablesStore:
    """The `Store` port in a table, which must exist. Thread-safe."""

    def __init__(self, client: TableClient, settled_after: timedelta = SETTLED_AFTER) -> None:
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="tables")
        self._table = Table(client)
        self._lists = Lists(self._table, pool, settled_after)
        self._wakes = Wakes(self._table, pool, settled_after)
        self._awaited = AwaitedJobs(self._table)

    def load(self, key: LaneKey, promotion: str | None) -> tuple[Lane, int]:
        return self._loaded(key, promotion, NEXT_IN_LINE)

    def _loaded(self, key: LaneKey, promotion: str | None, most_in_line: int | None) -> tuple[Lane, int]:
        partition = lane_partition(key)
        for _ in range(_MOST_LOOKS):
            found = self._table.document(partition, lane_row(key))
            if found is None:
                return Lane(key), 0
            head, (names, document) = found[0], found[1].split("\n", 1)
            under_way, in_line = json.loads(names)
            wanted = dict.fromkeys([*under_way, *in_line[:most_in_line]])
            if promotion is not None and promotion_partition(promotion) == partition:
                wanted[promotion] = None
            kept = [each for name in wanted if (each := self._kept(partition, name)) and each.promotion.lane == key]
            if any(each.version > head["version"] for each in kept):
                continue  # saved since the lane was read
            kept.sort(key=lambda each: each.requested_in)
            lane = read_lane(key, document, tuple(each.promotion for each in kept))
            return lane, _Version.of(head, {each.promotion.id: each.listed for each in kept}, in_line)
        raise VersionConflictError(f"lane {key.route}/{key.model} was changed {_MOST_LOOKS} times while it was read")

    def save(self, before: Lane, after: Lane, version: int, journal: Sequence[JournalEntry]) -> None:
        key = after.key
        known = self._known(key, version)
        changed = [each for each in after.promotions if before.promotion(each.id) != each]
        earlier = {each.id: each for each in before.promotions}
        moved = [each for each in changed if each.id not in earlier or earlier[each.id].status is not each.status]
        new = [each for each in moved if each.id not in earlier]
        self._lists.add_promotions(moved, new, version + 1)
        if known is None and key.route:
            self._lists.add_lane(key)
        jobs, jobs_before = awaited(after), awaited(before)
        self._awaited.add(key, jobs - jobs_before)
        no_more = self._awaited.seen(key, jobs_before - jobs)
        wake_entry = self._wakes.cover(key, wake_at(after), known.wake_entry if known else "")

        operations = _lane_operations(after, version + 1, wake_entry, known)
        for each in changed:
            came = {"requested_in": version + 1} if each in new else {}
            listed = {"listed": version + 1} if each in moved else {}
            operations += _promotion_operations(each, version + 1, {**came, **listed})
        self._table.commit(operations + _journal_operations(key, version + 1, journal))

        self._awaited.remove(no_more)
        left = [earlier[each.id] for each in moved if each.id in earlier]
        listed_in = known.listed if known else {}
        self._lists.remove_statuses([(each, listed_in[each.id]) for each in left if each.id in listed_in])

    def promotion(self, promotion: str) -> tuple[Promotion, Sequence[JournalEntry]] | None:
        partition = promotion_partition(promotion)
        if partition is None:
            return None
        row = promotion_row(promotion)
        found = self._table.documents(partition, row, f"{row}!{LAST}")
        if not found or found[0][0]["RowKey"] != row:
            return None
        lines = [from_json(JournalEntry, line) for _, document in found[1:] for line in json.loads(document)]
        return read_promotion(found[0][1]), lines

    # --- across lanes ---

    def overdue(self, now: datetime) -> Sequence[LaneKey]:
        return self._wakes.overdue(now)

    def awaiting(self, job: AwaitedJob) -> Sequence[LaneKey]:
        return self._awaited.lanes(job)

    def promotions(self, wanted: PromotionFilter, most: int, following: str | None) -> Page:
        def read(entry: TableEntity) -> Promotion | None:
            promotion = str(entry["promotion"])
            kept = self._kept(promotion_partition(promotion) or "", promotion)
            if kept is None or entry.get("version", kept.listed) != kept.listed:
                return None
            return kept.promotion if wanted.status in (None, kept.promotion.status) else None

        found = self._lists.promotions(wanted, following, most, read)
        end = found.end
        continuation = after_promotion(datetime.fromisoformat(end["created"]), end["promotion"]) if end else None
        return Page(found.items, continuation)

    def lanes(self, route: str | None, model: str | None, most: int, following: str | None) -> LanePage:
        def read(entry: TableEntity) -> Lane | None:
            lane, version = self._loaded(lane_of(entry), None, None)
            return lane if version else None

        found = self._lists.lanes(route, model, following, most, read)
        return LanePage(found.items, after_lane(lane_of(found.end)) if found.end else None)

    # --- once and for all ---

    def watching_since(self, now: datetime) -> datetime:
        row = {"PartitionKey": _APP, "RowKey": _WATCHING, "since": sortable(now)}
        kept = self._table.row(_APP, _WATCHING)
        if kept is None and not self._table.create(row):
            kept = self._table.row(_APP, _WATCHING)
        return datetime.fromisoformat(kept["since"]) if kept else now

    def publishing(self) -> Publishing | None:
        row = self._table.row(_APP, _PUBLISHING)
        return Publishing(datetime.fromisoformat(row["at"]), row["trouble"]) if row else None

    def keep_publishing(self, publishing: Publishing) -> None:
        row = {"at": sortable(publishing.at), "trouble": publishing.trouble}
        self._table.put({"PartitionKey": _APP, "RowKey": _PUBLISHING, **row})

    def holds(self) -> tuple[Holds, int]:
        found = self._table.document(_APP, _HOLDS)
        return (read_holds(found[1]), found[0]["version"]) if found else (NO_HOLDS, 0)

    def save_holds(self, holds: Holds, version: int) -> None:
        kept = self._table.row(_APP, _HOLDS)
        if (kept["version"] if kept else 0) != version:
            raise VersionConflictError(f"the holds are no longer at version {version}")
        head, *parts = split(_APP, _HOLDS, holds_document(holds), version + 1, {})
        etag = kept.metadata["etag"] if kept else None
        first = Operation(Write.MERGE_UNCHANGED, head, etag) if kept else Operation(Write.CREATE, head)
        self._table.commit([first, *(Operation(Write.MERGE, part) for part in parts)])

    def claim(self, key: str, content: str) -> str:
        row = sha256(key.encode()).hexdigest()
        partition = f"claim-{row[:2]}"
        try:
            self._table.commit([Operation(Write.CREATE, each) for each in split(partition, row, content, 1, {})])
        except VersionConflictError:
            kept = self._table.document(partition, row)
            if kept is None:
                raise
            return kept[1]
        return content

    # --- parts of the above ---

    def _kept(self, partition: str, promotion: str) -> _Kept | None:
        found = self._table.document(partition, promotion_row(promotion))
        if found is None:
            return None
        head, document = found
        return _Kept(read_promotion(document), head["version"], head["listed"], head["requested_in"])

    def _known(self, key: LaneKey, version: int) -> _Version | None:
        """What the load of this version found; None for a lane that does not exist yet."""
        if isinstance(version, _Version) or not version:
            return version or None
        _, found = self.load(key, None)
        if not isinstance(found, _Version) or found != version:
            raise VersionConflictError(f"lane {key.route}/{key.model} is no longer at version {version}")
        return found


def _lane_operations(lane: Lane, version: int, wake_entry: str, known: _Version | None) -> list[Operation]:
    """The operations that write the lane if it is unchanged."""
    waiting = {each.id: each.in_line for each in lane.promotions}
    before = [name for name in known.in_line if waiting.get(name, True)] if known else []
    in_line = list(dict.fromkeys([*before, *(name for name, waits in waiting.items() if waits)]))
    names = json.dumps([[each.id for each in lane.at_work() if not each.in_line], in_line])
    wake = wake_at(lane)
    properties = {
        "route": lane.key.route,
        "model": lane.key.model,
        "wake": sortable(wake) if wake else "",
        "wake_entry": wake_entry,
    }
    document = f"{names}\n{lane_document(lane)}"
    head, *parts = split(lane_partition(lane.key), lane_row(lane.key), document, version, properties)
    first = Operation(Write.MERGE_UNCHANGED, head, known.etag) if known else Operation(Write.CREATE, head)
    return [first, *(Operation(Write.MERGE, part) for part in parts)]


def _promotion_operations(promotion: Promotion, version: int, properties: Mapping[str, int]) -> list[Operation]:
    partition = lane_partition(promotion.lane)
    if promotion_partition(promotion.id) != partition:
        raise ValueError(
            f"the id {promotion.id} does not contain its lane's digest, so the promotion could not be found"
        )
    shown = {"status": str(promotion.status), **properties}
    rows = split(partition, promotion_row(promotion.id), promotion_document(promotion), version, shown)
    return [Operation(Write.MERGE, row) for row in rows]


def _journal_operations(key: LaneKey, version: int, journal: Sequence[JournalEntry]) -> list[Operation]:
    """The operations that write the journal: one document for the lines of each promotion."""
    lines: dict[str, list[JournalEntry]] = {}
    for entry in journal:
        lines.setdefault(entry.promotion, []).append(entry)
    operations: list[Operation] = []
    for promotion, entries in lines.items():
        document = to_text(entries)
        rows = split(lane_partition(key), journal_row(promotion, entries[0].number), document, version, {})
        operations += [Operation(Write.CREATE, row) for row in rows]
    return operations
