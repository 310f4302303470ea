"""Keeps every accepted event in SQLite, once for each subscription that wants it, until it is delivered or
dead-lettered.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from localcloud.eventgrid.events import Event, Schema
from localcloud.eventgrid.retries import Outcome

_TABLES = """
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY,
    subscription TEXT NOT NULL,
    schema TEXT NOT NULL,
    body TEXT NOT NULL,
    published REAL NOT NULL,
    expires REAL NOT NULL,
    due REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_attempt REAL,
    last_outcome TEXT,
    last_status INTEGER
);
CREATE INDEX IF NOT EXISTS deliveries_by_due ON deliveries (subscription, due, id);
CREATE INDEX IF NOT EXISTS deliveries_by_expiry ON deliveries (subscription, expires);
"""
# One parameter however many there are: SQLite limits the number of parameters.
_NOT_UNDER_WAY = "id NOT IN (SELECT value FROM json_each(?))"
_COLUMNS = "id, schema, body, published, expires, attempts, last_attempt, last_outcome, last_status"


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one subscription. Times are seconds since 1970."""

    id: int
    event: Event
    size: int
    published: float
    expires: float
    attempts: int
    last_attempt: float | None
    last_outcome: Outcome | None

    def after_attempt(self, outcome: Outcome, now: float) -> "Delivery":
        """This delivery with one more attempt behind it."""
        return replace(self, attempts=self.attempts + 1, last_attempt=now, last_outcome=outcome)


class DeliveryStore:
    """The deliveries not yet done. What a method has written survives the end of the process, however it ends."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        # With NORMAL the end of the process loses nothing; only a power cut could.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_TABLES)

    def close(self) -> None:
        """Closes the file; nothing may be called afterwards."""
        self._connection.close()

    def add(self, events: Iterable[tuple[str, Event, float]], now: float) -> None:
        """Keeps events, each with its subscription and its time to live in seconds: all of them or none."""
        rows = [
            (subscription, event.schema, json.dumps(event.body), now, now + time_to_live, now)
            for subscription, event, time_to_live in events
        ]
        with self._connection:
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "INSERT INTO deliveries (subscription, schema, body, published, expires, due)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )

    def due(self, subscription: str, now: float, *, limit: int, without: Collection[int]) -> list[Delivery]:
        """The deliveries to try now, longest due first, at most `limit` and none of those under way (`without`)."""
        return self._select("due <= ?", subscription, now, limit, without, order="due, id")

    def expired(self, subscription: str, now: float, *, limit: int, without: Collection[int]) -> list[Delivery]:
        """The deliveries whose time to live is over."""
        return self._select("expires <= ?", subscription, now, limit, without, order="expires")

    def next_time(self, subscription: str, column: Literal["due", "expires"], without: Collection[int]) -> float | None:
        """The earliest `due` or `expires` of a subscription, or None if nothing waits."""
        query = f"SELECT min({column}) FROM deliveries WHERE subscription = ? AND {_NOT_UNDER_WAY}"
        row = self._connection.execute(query, (subscription, _numbers(without))).fetchone()
        return None if row[0] is None else float(row[0])

    def postpone(self, deliveries: Iterable[Delivery], due: float) -> None:
        """Keeps what a failed attempt has changed, and when the next one is due."""
        rows = [
            (due, one.attempts, one.last_attempt, one.last_outcome.name, one.last_outcome.status, one.id)
            for one in deliveries
            if one.last_outcome is not None
        ]
        with self._connection:
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "UPDATE deliveries SET due = ?, attempts = ?, last_attempt = ?, last_outcome = ?, last_status = ?"
                " WHERE id = ?",
                rows,
            )

    def remove(self, deliveries: Iterable[Delivery]) -> None:
        """Forgets deliveries that are done or dead-lettered."""
        with self._connection:
            self._connection.execute("BEGIN")
            self._connection.executemany("DELETE FROM deliveries WHERE id = ?", [(one.id,) for one in deliveries])

    def remove_others(self, subscriptions: Collection[str]) -> int:
        """Deletes the events of subscriptions that no longer exist, as Event Grid does; returns how many."""
        marks = ", ".join("?" * len(subscriptions))
        query = f"DELETE FROM deliveries WHERE subscription NOT IN ({marks})"
        return self._connection.execute(query, tuple(subscriptions)).rowcount

    def waiting(self, subscription: str) -> int:
        """How many events a subscription has not yet got."""
        query = "SELECT count(*) FROM deliveries WHERE subscription = ?"
        return int(self._connection.execute(query, (subscription,)).fetchone()[0])

    def _select(
        self, condition: str, subscription: str, now: float, limit: int, without: Collection[int], *, order: str
    ) -> list[Delivery]:
        query = (
            f"SELECT {_COLUMNS} FROM deliveries WHERE subscription = ? AND {condition} AND {_NOT_UNDER_WAY}"
            f" ORDER BY {order} LIMIT ?"
        )
        return [
            _delivery(row) for row in self._connection.execute(query, (subscription, now, _numbers(without), limit))
        ]


def _numbers(ids: Collection[int]) -> str:
    return json.dumps(list(ids))


def _delivery(row: tuple[Any, ...]) -> Delivery:
    """The delivery in a row of `_COLUMNS`."""
    number, schema, body, published, expires, attempts, last_attempt, last_outcome, last_status = row
    outcome = None if last_outcome is None else Outcome(last_outcome, last_status)
    event = Event(Schema(schema), json.loads(body))
    return Delivery(number, event, len(body), published, expires, attempts, last_attempt, outcome)
