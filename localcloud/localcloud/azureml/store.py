"""The state of the control plane, in one SQLite file that survives `kill -9`."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.azureml.wire import Json, timestamp

SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    collection TEXT NOT NULL,
    path TEXT NOT NULL,
    body TEXT NOT NULL,
    private TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS resources_of_collection ON resources (collection);
CREATE TABLE IF NOT EXISTS operations (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, path TEXT NOT NULL, details TEXT NOT NULL, started REAL NOT NULL,
    status TEXT NOT NULL, ended REAL, error TEXT
);
CREATE INDEX IF NOT EXISTS operations_with_status ON operations (status);
CREATE TABLE IF NOT EXISTS outbox (
    id TEXT PRIMARY KEY, workspace TEXT NOT NULL, event TEXT NOT NULL, attempts INTEGER NOT NULL, due REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS blob_metadata (blob TEXT PRIMARY KEY, headers TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS traffic_figures (
    endpoint TEXT NOT NULL, deployment TEXT NOT NULL, start REAL NOT NULL, seconds REAL NOT NULL, figures TEXT NOT NULL,
    PRIMARY KEY (endpoint, deployment, seconds, start)
);
CREATE INDEX IF NOT EXISTS traffic_figures_by_start ON traffic_figures (start);
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass
class Resource:
    """Anything with an ARM path. `body` is what a GET answers, `private` what no answer shows."""

    path: str
    body: Json
    private: Json = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[1]

    @property
    def properties(self) -> Json:
        properties: Json = self.body["properties"]
        return properties


class Store:
    """Resources by ARM path, compared without regard to case as ARM does, oldest first in lists.

    The other tables belong to the files that use them, by way of `database`. Writes are committed one by one, but for
    those in a `transaction`.
    """

    def __init__(self, file: Path) -> None:
        self.database = sqlite3.connect(file, isolation_level=None)
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute("PRAGMA synchronous = NORMAL")  # safe when the process dies, which is what we promise
        self.database.executescript(SCHEMA)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Writes to any table inside the block are kept together or not at all. Nothing may be awaited there.

        A change and the event that reports it belong in one block: a process that dies between two commits would never
        report it. A nested block is part of the outer one.
        """
        if self.database.in_transaction:
            yield
            return
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")

    def get(self, path: str) -> Resource | None:
        row = self.database.execute(
            "SELECT path, body, private FROM resources WHERE key = ?", (path.lower(),)
        ).fetchone()
        return _resource(row) if row else None

    def put(self, resource: Resource) -> None:
        key = resource.path.lower()
        self.database.execute(
            "INSERT INTO resources (key, collection, path, body, private) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (key) DO UPDATE SET body = excluded.body, private = excluded.private",
            (key, key.rsplit("/", 1)[0], resource.path, json.dumps(resource.body), json.dumps(resource.private)),
        )

    def delete(self, path: str) -> None:
        """Removes the resource and all that is below it."""
        key = path.lower()
        self.database.execute(
            "DELETE FROM resources WHERE key = ? OR substr(key, 1, ?) = ?", (key, len(key) + 1, key + "/")
        )

    def collection(self, path: str) -> list[Resource]:
        """The direct members of a collection such as `…/models` or `…/models/iris/versions`."""
        rows = self.database.execute(
            "SELECT path, body, private FROM resources WHERE collection = ? ORDER BY position", (path.lower(),)
        )
        return [_resource(row) for row in rows]

    def matching(self, glob: str) -> list[Resource]:
        """All resources whose lower-case path matches the SQLite GLOB pattern."""
        rows = self.database.execute(
            "SELECT path, body, private FROM resources WHERE key GLOB ? ORDER BY position", (glob,)
        )
        return [_resource(row) for row in rows]

    def secret(self, name: str, new: str) -> str:
        """The secret of this name; `new` is stored if there is no such secret yet."""
        self.database.execute("INSERT OR IGNORE INTO secrets VALUES (?, ?)", (name, new))
        row = self.database.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
        return str(row[0])

    def close(self) -> None:
        self.database.close()


def system_data(old: Resource | None, created_by: str = "", kind: str = "Application") -> Json:
    """Who made a resource and when: kept from the old one, if there is one, with the time of the change."""
    now = timestamp()
    made = {"createdAt": now, "createdBy": created_by, "createdByType": kind}
    return {**(old.body["systemData"] if old else made), "lastModifiedAt": now}


def _resource(row: tuple[str, str, str]) -> Resource:
    return Resource(row[0], json.loads(row[1]), json.loads(row[2]))
