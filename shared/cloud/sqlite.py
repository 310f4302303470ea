"""The store on one machine: SQLite. Several processes may use the file at once.

A lane is saved in one transaction together with its promotions and journal; its version number shows a lost race.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import local

from shared.core.journal import JournalEntry
from shared.core.lane import wake_at
from shared.core.messages import Champion, LaneKey
from shared.core.promotion import PROMOTION_UNDER_WAY, Hold, Lane, Promotion
from shared.core.wire import from_json, to_json
from shared.ports import LanePage, Page, PromotionFilter, VersionConflictError

#: How long a process waits for another one's transaction.
PATIENCE_SECONDS = 20

_SCHEMA = """
create table if not exists lanes (
    route text, model text, version integer not null, document text not null, wake_at text,
    primary key (route, model)
) without rowid;
create index if not exists lanes_by_wake_at on lanes (wake_at) where wake_at is not null;
create table if not exists promotions (
    id text primary key, route text not null, model text not null, environments text not null,
    status text not null, under_way integer not null, created text not null, document text not null
);
create index if not exists promotions_under_way on promotions (route, model) where under_way;
create index if not exists promotions_by_age on promotions (created, id);
create index if not exists promotions_by_status on promotions (status, created, id);
create table if not exists journal (
    promotion text not null, number integer not null, at text not null, stage text not null, step text not null,
    what text not null, text text not null, who text not null default '',
    primary key (promotion, number)
) without rowid;
create table if not exists watching (since text not null);
create table if not exists claims (key text primary key, content text not null) without rowid;
"""


@dataclass(frozen=True)
class _LaneDocument:
    """What is kept of a lane beside its promotions."""

    champions: Mapping[str, Champion] = field(default_factory=dict)
    holds: Mapping[str, Hold] = field(default_factory=dict)


class SqliteStore:
    """The `Store` port in the file at `path`, which is made if it is missing. May be used by several threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._of_thread = local()
        with self._transaction() as connection:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            if "who" not in {column[1] for column in connection.execute("pragma table_info(journal)")}:
                connection.execute("alter table journal add column who text not null default ''")  # of an older file

    def load(self, key: LaneKey, promotion: str | None) -> tuple[Lane, int]:
        with self._transaction("deferred") as connection:
            row = connection.execute(
                "select version, document from lanes where route = ? and model = ?", (key.route, key.model)
            ).fetchone()
            promotions = _promotions_of(connection, key, promotion)
        version, document = row if row else (0, "{}")
        return _lane(key, document, promotions), version

    def save(self, before: Lane, after: Lane, version: int, journal: Sequence[JournalEntry]) -> None:
        key = after.key
        changed = [each for each in after.promotions if before.promotion(each.id) != each]
        wake = wake_at(after)
        document = _written(to_json(_LaneDocument(after.champions, after.holds)))
        with self._transaction() as connection:
            row = connection.execute(
                "select version from lanes where route = ? and model = ?", (key.route, key.model)
            ).fetchone()
            if (row[0] if row else 0) != version:
                raise VersionConflictError(f"lane {key.route}/{key.model} is no longer at version {version}")
            connection.execute(
                "insert or replace into lanes values (?, ?, ?, ?, ?)",
                (key.route, key.model, version + 1, document, _text(wake) if wake else None),
            )
            connection.executemany(
                "insert into promotions values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do update set"
                " status = excluded.status, under_way = excluded.under_way, document = excluded.document",
                [_row(each) for each in changed],
            )
            connection.executemany(
                "insert into journal values (?, ?, ?, ?, ?, ?, ?, ?)",
                [(e.promotion, e.number, _text(e.at), e.stage, e.step, e.what, e.text, e.who) for e in journal],
            )

    def overdue(self, now: datetime) -> Sequence[LaneKey]:
        with self._transaction("deferred") as connection:
            rows = connection.execute(
                "select route, model from lanes where wake_at <= ? order by wake_at", (_text(now),)
            ).fetchall()
        return [LaneKey(route, model) for route, model in rows]

    def watching_since(self, now: datetime) -> datetime:
        with self._transaction() as connection:
            row = connection.execute("select since from watching").fetchone()
            if row is None:
                connection.execute("insert into watching values (?)", (_text(now),))
        return datetime.fromisoformat(row[0]) if row else now

    def promotion(self, promotion: str) -> tuple[Promotion, Sequence[JournalEntry]] | None:
        with self._transaction("deferred") as connection:
            row = connection.execute("select document from promotions where id = ?", (promotion,)).fetchone()
            lines = connection.execute(
                "select number, at, stage, step, what, text, who from journal where promotion = ? order by number",
                (promotion,),
            ).fetchall()
        if row is None:
            return None
        return _read(row[0]), [
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
            values += _position(following)
        where = f"where {' and '.join(conditions)}" if conditions else ""
        with self._transaction("deferred") as connection:
            rows = connection.execute(
                f"select document from promotions {where} order by created desc, id desc limit ?", (*values, most + 1)
            ).fetchall()
        found = [_read(document) for (document,) in rows]
        last = found[most - 1] if len(found) > most else None
        return Page(found[:most], f"{_text(last.created)}~{last.id}" if last else None)

    def lanes(self, route: str | None, model: str | None, most: int, following: str | None) -> LanePage:
        asked = {"route = ?": route, "model = ?": model}
        conditions = ["route <> ''", *(condition for condition, value in asked.items() if value is not None)]
        values: list[object] = [value for value in asked.values() if value is not None]
        if following is not None:
            conditions.append("(route, model) > (?, ?)")
            values += _after(following)
        with self._transaction("deferred") as connection:
            rows = connection.execute(
                f"select route, model, document from lanes where {' and '.join(conditions)}"
                " order by route, model limit ?",
                (*values, most + 1),
            ).fetchall()
            keys = [LaneKey(*row[:2]) for row in rows[:most]]
            found = [_lane(key, row[2], _promotions_of(connection, key)) for key, row in zip(keys, rows, strict=False)]
        return LanePage(found, json.dumps([keys[-1].route, keys[-1].model]) if len(rows) > most else None)

    def claim(self, key: str, content: str) -> str:
        with self._transaction() as connection:
            connection.execute("insert or ignore into claims values (?, ?)", (key, content))
            (kept,) = connection.execute("select content from claims where key = ?", (key,)).fetchone()
        return str(kept)

    @contextmanager
    def _transaction(self, kind: str = "immediate") -> Iterator[sqlite3.Connection]:
        """A connection of this thread, in a transaction that is rolled back if the block raises."""
        connection: sqlite3.Connection | None = getattr(self._of_thread, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, timeout=PATIENCE_SECONDS, isolation_level=None)
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = normal")  # survives the death of any process; not of the machine
            self._of_thread.connection = connection
        connection.execute(f"begin {kind}")
        try:
            yield connection
        except BaseException:
            connection.execute("rollback")
            raise
        connection.execute("commit")


def _promotions_of(connection: sqlite3.Connection, key: LaneKey, named: str | None = None) -> tuple[Promotion, ...]:
    """Those under way, and the named one, in the order in which they were requested."""
    rows = connection.execute(
        "select document from promotions where route = ? and model = ? and (under_way or id = ?) order by rowid",
        (key.route, key.model, named),
    )
    return tuple(_read(document) for (document,) in rows)


def _lane(key: LaneKey, document: str, promotions: tuple[Promotion, ...]) -> Lane:
    kept = from_json(_LaneDocument, json.loads(document))
    return Lane(key, kept.champions, kept.holds, promotions)


def _row(promotion: Promotion) -> tuple[object, ...]:
    environments = "\n" + "".join(f"{stage.environment}\n" for stage in promotion.stages)
    return (
        promotion.id,
        promotion.lane.route,
        promotion.lane.model,
        environments,
        promotion.status,
        promotion.status in PROMOTION_UNDER_WAY,
        _text(promotion.created),
        _written(to_json(promotion)),
    )


def _read(document: str) -> Promotion:
    return from_json(Promotion, json.loads(document))


def _written(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _text(moment: datetime) -> str:
    """In UTC and of one length, so that texts sort as times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _position(following: str) -> tuple[str, str]:
    created, separator, promotion = following.partition("~")
    if not separator:
        raise ValueError("the continuation is none that was given here")
    return _text(datetime.fromisoformat(created)), promotion


def _after(following: str) -> tuple[str, str]:
    """The lane that a page of lanes ended with."""
    try:
        lane = json.loads(following)
    except RecursionError:
        lane = None
    if not (isinstance(lane, list) and len(lane) == 2 and all(isinstance(name, str) for name in lane)):
        raise ValueError("the continuation is none that was given here")
    return lane[0], lane[1]
