"""A SQLite file that several threads and processes may use at once."""

import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: How long a process waits for another one's transaction.
PATIENCE_SECONDS = 20


class SqliteFile:
    """The file at `path`, which is made if it is missing, with the tables of `schema`."""

    def __init__(self, path: Path, schema: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._idle: list[sqlite3.Connection] = []  # taken and given back by several threads: both are atomic
        weakref.finalize(self, _close, self._idle)
        with self.transaction() as connection:
            for statement in schema.split(";"):
                connection.execute(statement)

    @contextmanager
    def transaction(self, kind: str = "immediate") -> Iterator[sqlite3.Connection]:
        """A connection that nobody else has meanwhile, in a transaction that is rolled back if the block raises."""
        connection = self._taken()
        try:
            connection.execute(f"begin {kind}")
            try:
                yield connection
            except BaseException:
                connection.execute("rollback")
                raise
            connection.execute("commit")
        finally:
            self._idle.append(connection)

    def _taken(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = normal")  # survives the death of any process; not of the machine
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def _close(connections: list[sqlite3.Connection]) -> None:
    for connection in connections:
        connection.close()
