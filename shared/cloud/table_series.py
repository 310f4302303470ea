"""Live figures minute by minute, in the store's table in Azure Table Storage: a partition for each promotion."""

from collections.abc import Mapping, Sequence
from itertools import islice

from azure.data.tables import TableClient

from shared.cloud.documents import live_minute, minute_document, series_of, slot
from shared.cloud.table import MOST_OPERATIONS, Operation, Row, Table, Write
from shared.cloud.table_keys import LAST, escaped
from shared.core.live_minute import LiveMinute
from shared.ports import LiveSeries


class TableSeries:
    """The `LiveSeries` port in a table, which must exist. Thread-safe."""

    def __init__(self, client: TableClient) -> None:
        self._table = Table(client)

    def keep(self, promotion: str, stage: str, minutes: Sequence[LiveMinute]) -> None:
        # A transaction may write a row only once.
        rows = {row["RowKey"]: row for row in (_row(promotion, stage, each) for each in minutes)}
        left = iter(rows.values())
        while batch := list(islice(left, MOST_OPERATIONS)):
            self._table.commit([Operation(Write.MERGE, row) for row in batch])

    def read(self, promotion: str) -> Mapping[str, Sequence[LiveMinute]]:
        found: dict[str, list[LiveMinute]] = {}
        for row in self._table.rows(_partition(promotion), "", LAST):
            found.setdefault(row["stage"], []).append(live_minute(row["minute"]))
        return {stage: series_of(found[stage]) for stage in sorted(found)}


def _partition(promotion: str) -> str:
    return f"series-{escaped(promotion)}"


def _row(promotion: str, stage: str, minute: LiveMinute) -> Row:
    key = f"{escaped(stage)}!{escaped(minute.deployment)}!{slot(minute)}"
    content = {"stage": stage, "minute": minute_document(minute)}
    return {"PartitionKey": _partition(promotion), "RowKey": key, **content}


_: type[LiveSeries] = TableSeries  # lets the type checker prove that it implements the port
