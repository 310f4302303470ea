"""Live figures minute by minute, on one machine: SQLite."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.cloud.documents import live_minute, minute_document, series_of, slot
from shared.cloud.sqlite_file import SqliteFile
from shared.core.live_minute import LiveMinute
from shared.ports import LiveSeries

_SCHEMA = """
create table if not exists live_minutes (
    promotion text, stage text, deployment text, slot text, document text not null,
    primary key (promotion, stage, deployment, slot)
) without rowid;
"""


class SqliteSeries:
    """The `LiveSeries` port in the file at `path`, which is created if missing. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, _SCHEMA)

    def keep(self, promotion: str, stage: str, minutes: Sequence[LiveMinute]) -> None:
        rows = [(promotion, stage, each.deployment, slot(each), minute_document(each)) for each in minutes]
        with self._file.transaction() as connection:
            connection.executemany("insert or replace into live_minutes values (?, ?, ?, ?, ?)", rows)

    def read(self, promotion: str) -> Mapping[str, Sequence[LiveMinute]]:
        with self._file.transaction("deferred") as connection:
            rows = connection.execute(
                "select stage, document from live_minutes where promotion = ? order by stage", (promotion,)
            ).fetchall()
        found: dict[str, list[LiveMinute]] = {}
        for stage, document in rows:
            found.setdefault(stage, []).append(live_minute(document))
        return {stage: series_of(minutes) for stage, minutes in found.items()}


_: type[LiveSeries] = SqliteSeries  # lets the type checker prove that it implements the port
