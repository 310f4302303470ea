"""Records which lanes a job's end wakes: rows in their own partitions, by job.

An entry is written before the waiting lane is saved, and removed after the lane is saved that no longer waits. So a
writer that dies leaves an extra entry, and its lane is woken for nothing. An entry is removed only if it is unchanged
since before that save, so it stays if another writer made the lane wait again.
"""

from collections.abc import Collection, Sequence
from hashlib import sha256

from azure.data.tables import TableEntity

from shared.cloud.table import Table
from shared.cloud.table_keys import LAST, lane_name
from shared.cloud.table_lists import lane_of
from shared.core.messages import AwaitedJob, LaneKey


class AwaitedJobs:
    """The awaited jobs of one table's lanes."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def lanes(self, job: AwaitedJob) -> list[LaneKey]:
        """The lanes that wait for the job, and those whose writer died before it removed their entry."""
        digest = _digest(job)
        return [lane_of(entry) for entry in self._table.rows(_partition(digest), f"{digest}!", f"{digest}!{LAST}")]

    def add(self, lane: LaneKey, jobs: Collection[AwaitedJob]) -> None:
        """Add entries. Call this before saving the lane that waits."""
        for job in jobs:
            digest = _digest(job)
            key = {"PartitionKey": _partition(digest), "RowKey": _row(digest, lane)}
            self._table.put({**key, "route": lane.route, "model": lane.model})

    def seen(self, lane: LaneKey, jobs: Collection[AwaitedJob]) -> list[TableEntity]:
        """The entries to remove. Call this before saving the lane that no longer waits."""
        digests = map(_digest, jobs)
        found = (self._table.row(_partition(digest), _row(digest, lane)) for digest in digests)
        return [entry for entry in found if entry is not None]

    def remove(self, entries: Sequence[TableEntity]) -> None:
        """Remove the entries that are unchanged. Call this after saving the lane."""
        for entry in entries:
            self._table.remove(entry)


def _digest(job: AwaitedJob) -> str:
    return sha256(f"{job.workspace.lower()}\0{job.job}".encode()).hexdigest()


def _partition(digest: str) -> str:
    return f"awaited-{digest[:2]}"


def _row(digest: str, lane: LaneKey) -> str:
    return f"{digest}!{lane_name(lane)}"
