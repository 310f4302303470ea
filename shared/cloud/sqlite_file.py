"""A SQLite file that several threads and processes may use at once."""

import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.ports import StoreUnavailableError

#: Primary result codes that a statement does not cause: https://sqlite.org/rescode.html
_NOT_NOW = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)

#: How long a process waits for the transaction of another.
PATIENCE_SECONDS = 20


class SqliteFile:
    """The file at `path` with the tables of `schema`. It is created if missing."""

    def __init__(self, path: Path, schema: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._idle: list[sqlite3.Connection] = []  # shared by threads: append and pop are atomic
        weakref.finalize(self, _close, self._idle)
        with self.transaction() as connection:
            for statement in schema.split(";"):
                connection.execute(statement)

    @contextmanager
    def transaction(self, kind: str = "immediate") -> Iterator[sqlite3.Connection]:
        """A connection that is not shared meanwhile, in a transaction that is rolled back if the block raises.

        Raises `StoreUnavailableError` if the file cannot be read or written now.
        """
        with self._connection() as connection:
            connection.execute(f"begin {kind}")
            try:
                yield connection
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:  # a full disk may have ended it
                    connection.execute("rollback")
                raise

    def rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query. One statement reads one state of the file, so it needs no transaction, which would take
        as long again. Raises `StoreUnavailableError` as `transaction` does."""
        with self._connection() as connection:
            return connection.execute(query, values).fetchall()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection that is not shared meanwhile. Errors are those of `transaction`."""
        try:
            connection = self._taken()
            try:
                yield connection
            finally:
                self._idle.append(connection)
        except sqlite3.OperationalError as fault:
            if getattr(fault, "sqlite_errorcode", 0) & 0xFF not in _NOT_NOW:
                raise
            raise StoreUnavailableError(f"the store's file cannot be used: {fault}") from fault

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
            connection.execute("pragma synchronous = normal")  # survives a crash of the process, but not of the machine
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def _close(connections: list[sqlite3.Connection]) -> None:
    for connection in connections:
        connection.close()
