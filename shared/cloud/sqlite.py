"""The store on one machine: SQLite. Several processes may use the file at once.

A lane is saved in one transaction together with its promotions and journal; its version number shows a lost race.
"""

import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from threading import Lock

from shared.cloud.documents import (
    after_lane,
    after_promotion,
    holds_document,
    lane_document,
    lane_position,
    promotion_document,
    promotion_position,
    read_holds,
    read_lane,
    read_promotion,
    sortable,
)
from shared.cloud.sqlite_file import SqliteFile
from shared.core.awaiting import awaited
from shared.core.holds import NO_HOLDS, Holds
from shared.core.journal import JournalEntry
from shared.core.lane import wake_at
from shared.core.messages import AwaitedJob, LaneKey
from shared.core.promotion import NEXT_IN_LINE, Lane, Promotion
from shared.ports import LanePage, Page, PromotionFilter, Publishing, VersionConflictError

_SCHEMA = """
create table if not exists lanes (
    route text, model text, version integer not null, document text not null, wake_at text,
    primary key (route, model)
) without rowid;
create index if not exists lanes_by_wake_at on lanes (wake_at) where wake_at is not null;
create table if not exists promotions (
    id text primary key, route text not null, model text not null, environments text not null,
    status text not null, under_way integer not null, in_line integer not null, created text not null,
    document text not null
);
create index if not exists promotions_under_way on promotions (route, model) where under_way and not in_line;
create index if not exists promotions_in_line on promotions (route, model) where in_line;
create index if not exists promotions_by_age on promotions (created, id);
create index if not exists promotions_by_route on promotions (route, created, id);
create index if not exists promotions_by_model on promotions (model, created, id);
create index if not exists promotions_by_status on promotions (status, created, id);
create table if not exists journal (
    promotion text not null, number integer not null, at text not null, stage text not null, step text not null,
    what text not null, text text not null, who text not null default '',
    primary key (promotion, number)
) without rowid;
create table if not exists awaited (
    workspace text not null, job text not null, route text not null, model text not null,
    primary key (workspace, job, route, model)
) without rowid;
create table if not exists watching (since text not null);
create table if not exists publishing (id integer primary key check (id = 1), at text not null, trouble text not null);
create table if not exists holds (
    id integer primary key check (id = 1), version integer not null, document text not null
);
create table if not exists claims (key text primary key, content text not null) without rowid;
"""

#: Both change one row, or none if the lane is not at the version that was read (0: it has not been saved yet).
_ADD_LANE = (
    "insert into lanes (document, wake_at, route, model, version) values (?, ?, ?, ?, ? + 1)"
    " on conflict (route, model) do nothing"
)
_CHANGE_LANE = (
    "update lanes set document = ?, wake_at = ?, version = version + 1 where route = ? and model = ? and version = ?"
)

#: The promotions of a lane that are at work, some of those in line, and a named one.
_LANES_PROMOTIONS = (
    "select rowid, document from promotions where route = :route and model = :model and under_way and not in_line"
    " union all select * from (select rowid, document from promotions"
    " where route = :route and model = :model and in_line order by rowid limit :most_in_line)"
    " union all select rowid, document from promotions where id = :named and route = :route and model = :model"
)


class SqliteStore:
    """The `Store` port in the file at `path`, which is created if missing. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, _SCHEMA)
        #: SQLite waits by sleeping. Threads of this process wait for this lock instead.
        self._writing = Lock()
        with self._file.transaction() as connection:
            if "who" not in {column[1] for column in connection.execute("pragma table_info(journal)")}:
                # The file is from an older version.
                connection.execute("alter table journal add column who text not null default ''")

    def load(self, key: LaneKey, promotion: str | None) -> tuple[Lane, int]:
        with self._file.transaction("deferred") as connection:
            row = connection.execute(
                "select version, document from lanes where route = ? and model = ?", (key.route, key.model)
            ).fetchone()
            promotions = _promotions_of(connection, key, promotion, NEXT_IN_LINE)
        version, document = row if row else (0, "{}")
        return read_lane(key, document, promotions), version

    def save(self, before: Lane, after: Lane, version: int, journal: Sequence[JournalEntry]) -> None:
        key = after.key
        changed = [each for each in after.promotions if before.promotion(each.id) != each]
        wake = wake_at(after)
        # Serialise everything before the transaction, because others wait for it.
        lane = (lane_document(after), sortable(wake) if wake else None, key.route, key.model, version)
        rows = [_row(each) for each in changed]
        jobs, jobs_before = awaited(after), awaited(before)
        lines = [(e.promotion, e.number, sortable(e.at), e.stage, e.step, e.what, e.text, e.who) for e in journal]
        with self._writing, self._file.transaction() as connection:
            if connection.execute(_CHANGE_LANE if version else _ADD_LANE, lane).rowcount == 0:
                raise VersionConflictError(f"lane {key.route}/{key.model} is no longer at version {version}")
            connection.executemany(
                "insert into promotions values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do update set"
                " status = excluded.status, under_way = excluded.under_way, in_line = excluded.in_line,"
                " document = excluded.document",
                rows,
            )
            connection.executemany("insert into journal values (?, ?, ?, ?, ?, ?, ?, ?)", lines)
            if jobs != jobs_before:
                connection.executemany(
                    "delete from awaited where workspace = ? and job = ? and route = ? and model = ?",
                    _awaited_rows(jobs_before - jobs, key),
                )
                connection.executemany(
                    "insert or ignore into awaited values (?, ?, ?, ?)", _awaited_rows(jobs - jobs_before, key)
                )

    def overdue(self, now: datetime) -> Sequence[LaneKey]:
        rows = self._file.rows("select route, model from lanes where wake_at <= ? order by wake_at", (sortable(now),))
        return [LaneKey(route, model) for route, model in rows]

    def awaiting(self, job: AwaitedJob) -> Sequence[LaneKey]:
        rows = self._file.rows(
            "select route, model from awaited where workspace = ? and job = ?", (job.workspace.lower(), job.job)
        )
        return [LaneKey(route, model) for route, model in rows]

    def watching_since(self, now: datetime) -> datetime:
        with self._file.transaction() as connection:
            row = connection.execute("select since from watching").fetchone()
            if row is None:
                connection.execute("insert into watching values (?)", (sortable(now),))
        return datetime.fromisoformat(row[0]) if row else now

    def promotion(self, promotion: str) -> tuple[Promotion, Sequence[JournalEntry]] | None:
        with self._file.transaction("deferred") as connection:
            row = connection.execute("select document from promotions where id = ?", (promotion,)).fetchone()
            lines = connection.execute(
                "select number, at, stage, step, what, text, who from journal where promotion = ? order by number",
                (promotion,),
            ).fetchall()
        if row is None:
            return None
        return read_promotion(row[0]), [
            JournalEntry(datetime.fromisoformat(at), promotion, number, *rest) for number, at, *rest in lines
        ]

    def promotions(self, wanted: PromotionFilter, most: int, following: str | None) -> Page:
        asked = {
            "route = ?": wanted.route,
            "model = ?": wanted.model,
            "status = ?": wanted.status,
            "instr(environments, ?)": f"\n{wanted.environment}\n" if wanted.environment else None,
        }
        conditions = [condition for condition, value in asked.items() if value is not None]
        values: list[object] = [value for value in asked.values() if value is not None]
        if following is not None:
            conditions.append("(created, id) < (?, ?)")
            created, promotion = promotion_position(following)
            values += [sortable(created), promotion]
        where = f"where {' and '.join(conditions)}" if conditions else ""
        rows = self._file.rows(
            f"select document from promotions {where} order by created desc, id desc limit ?", (*values, most + 1)
        )
        found = [read_promotion(document) for (document,) in rows]
        last = found[most - 1] if len(found) > most else None
        return Page(found[:most], after_promotion(last.created, last.id) if last else None)

    def lanes(self, route: str | None, model: str | None, most: int, following: str | None) -> LanePage:
        asked = {"route = ?": route, "model = ?": model}
        conditions = ["route <> ''", *(condition for condition, value in asked.items() if value is not None)]
        values: list[object] = [value for value in asked.values() if value is not None]
        if following is not None:
            conditions.append("(route, model) > (?, ?)")
            after = lane_position(following)
            values += [after.route, after.model]
        with self._file.transaction("deferred") as connection:
            rows = connection.execute(
                f"select route, model, document from lanes where {' and '.join(conditions)}"
                " order by route, model limit ?",
                (*values, most + 1),
            ).fetchall()
            keys = [LaneKey(*row[:2]) for row in rows[:most]]
            found = [
                read_lane(key, row[2], _promotions_of(connection, key)) for key, row in zip(keys, rows, strict=False)
            ]
        return LanePage(found, after_lane(keys[-1]) if len(rows) > most else None)

    def publishing(self) -> Publishing | None:
        rows = self._file.rows("select at, trouble from publishing")
        return Publishing(datetime.fromisoformat(rows[0][0]), rows[0][1]) if rows else None

    def keep_publishing(self, publishing: Publishing) -> None:
        with self._file.transaction() as connection:
            values = sortable(publishing.at), publishing.trouble
            connection.execute("insert or replace into publishing values (1, ?, ?)", values)

    def holds(self) -> tuple[Holds, int]:
        rows = self._file.rows("select document, version from holds")
        return (read_holds(rows[0][0]), rows[0][1]) if rows else (NO_HOLDS, 0)

    def save_holds(self, holds: Holds, version: int) -> None:
        document = holds_document(holds)
        with self._file.transaction() as connection:
            row = connection.execute("select version from holds").fetchone()
            if (row[0] if row else 0) != version:
                raise VersionConflictError(f"the holds are no longer at version {version}")
            connection.execute("insert or replace into holds values (1, ?, ?)", (version + 1, document))

    def claim(self, key: str, content: str) -> str:
        with self._file.transaction() as connection:
            connection.execute("insert or ignore into claims values (?, ?)", (key, content))
            (kept,) = connection.execute("select content from claims where key = ?", (key,)).fetchone()
        return str(kept)


def _promotions_of(
    connection: sqlite3.Connection, key: LaneKey, named: str | None = None, most_in_line: int = -1
) -> tuple[Promotion, ...]:
    """The promotions that are at work, up to `most_in_line` of those in line (-1: all), and the named one, in order of
    request."""
    asked = {"route": key.route, "model": key.model, "most_in_line": most_in_line, "named": named}
    rows: dict[int, str] = dict(connection.execute(_LANES_PROMOTIONS, asked).fetchall())
    return tuple(read_promotion(document) for _, document in sorted(rows.items()))


def _awaited_rows(jobs: Collection[AwaitedJob], lane: LaneKey) -> list[tuple[str, ...]]:
    return [(each.workspace.lower(), each.job, lane.route, lane.model) for each in jobs]


def _row(promotion: Promotion) -> tuple[object, ...]:
    environments = "\n" + "".join(f"{stage.environment}\n" for stage in promotion.stages)
    return (
        promotion.id,
        promotion.lane.route,
        promotion.lane.model,
        environments,
        promotion.status,
        promotion.at_work,
        promotion.in_line,
        sortable(promotion.created),
        promotion_document(promotion),
    )
