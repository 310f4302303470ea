"""What must survive: the messages and remembered message ids of all queues, in one SQLite file.

Changes are gathered and written together by `commit`. SQLite's write-ahead log with `synchronous=NORMAL` keeps every
commit through `kill -9` of the broker; a power cut may lose the last ones, which a local cloud can bear.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.servicebus import decoding, encoding
from localcloud.servicebus.amqp_types import UByte
from localcloud.servicebus.message import Message, State

FILE_NAME = "servicebus.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    queue TEXT NOT NULL,
    sequence_number INTEGER NOT NULL,
    state INTEGER NOT NULL,
    delivery_count INTEGER NOT NULL,
    enqueued_time REAL NOT NULL,
    scheduled_time REAL,
    expires_at REAL,
    time_to_live REAL,
    dead_letter_source TEXT,
    durable INTEGER,
    priority INTEGER,
    annotations BLOB NOT NULL,
    content BLOB NOT NULL,
    session_id TEXT,
    PRIMARY KEY (queue, sequence_number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS queues (
    queue TEXT PRIMARY KEY,
    last_sequence_number INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS message_ids (
    queue TEXT NOT NULL,
    message_id TEXT NOT NULL,
    sequence_number INTEGER NOT NULL,
    forget_at REAL NOT NULL,
    PRIMARY KEY (queue, message_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS session_states (
    queue TEXT NOT NULL,
    session_id TEXT NOT NULL,
    state BLOB NOT NULL,
    updated_at REAL NOT NULL,
    PRIMARY KEY (queue, session_id)
) WITHOUT ROWID;
"""

_COLUMNS = (
    "sequence_number, state, delivery_count, enqueued_time, scheduled_time, expires_at, time_to_live,"
    " dead_letter_source, durable, priority, annotations, content, session_id"
)


class StoreError(RuntimeError):
    """The file cannot be used, for instance because another broker runs on the same data."""


@dataclass(frozen=True, slots=True)
class SessionState:
    """What an app keeps with a session, and when it did, in seconds since 1970."""

    content: bytes
    updated_at: float


class Store:
    """Gathers changes until `commit`. A sequence number is never used twice in a queue, so that inserts, updates and
    deletes can be written in this order whatever order they came in."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._inserted: dict[tuple[str, int], Message] = {}
        self._updated: dict[tuple[str, int], Message] = {}
        self._deleted: list[tuple[str, int]] = []
        self._sequence_numbers: dict[str, int] = {}
        self._remembered: list[tuple[str, str, int, float]] = []
        self._forgotten: list[tuple[str, str]] = []
        self._session_states: dict[tuple[str, str], SessionState | None] = {}

    @classmethod
    def open(cls, directory: Path) -> "Store":
        """Opens or makes the file in `directory`. Raises `StoreError`, also while another process has it open."""
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{directory} cannot be used as a data folder: {error.strerror}") from error
        return cls._prepared(str(directory / FILE_NAME))

    @classmethod
    def in_memory(cls) -> "Store":
        return cls._prepared(":memory:")

    @classmethod
    def _prepared(cls, name: str) -> "Store":
        try:
            database = sqlite3.connect(name, isolation_level=None, timeout=0)
        except sqlite3.OperationalError as error:
            raise StoreError(f"{name}: {error}") from error
        try:
            # Exclusive: a second broker on the same data would deliver every message twice.
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.executescript(_SCHEMA)
            if not any(column[1] == "session_id" for column in database.execute("PRAGMA table_info(messages)")):
                database.execute("ALTER TABLE messages ADD COLUMN session_id TEXT")  # a file from before sessions
        except sqlite3.DatabaseError as error:
            database.close()
            locked = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            hint = "is another broker running on this data?" if locked else "choose another folder, or remove the file"
            raise StoreError(f"{name}: {error}; {hint}") from error
        database.row_factory = sqlite3.Row
        return cls(database)

    def close(self) -> None:
        """Without committing: what is not committed was not acknowledged either."""
        self._database.close()

    # ---------------------------------------------------------------------------------------------------- reading

    def messages(self, queue: str) -> Iterator[Message]:
        """The messages of a queue by sequence number."""
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM messages WHERE queue = ? ORDER BY sequence_number", (queue,)
        )
        for row in rows:
            yield _message(row)

    def last_sequence_number(self, queue: str) -> int:
        row = self._database.execute("SELECT last_sequence_number FROM queues WHERE queue = ?", (queue,)).fetchone()
        return int(row[0]) if row else 0

    def message_ids(self, queue: str) -> list[tuple[str, int, float]]:
        """Remembered message ids with their sequence numbers and when to forget them, the first to forget first."""
        return self._database.execute(
            "SELECT message_id, sequence_number, forget_at FROM message_ids WHERE queue = ? ORDER BY forget_at",
            (queue,),
        ).fetchall()

    def session_states(self, queue: str) -> dict[str, "SessionState"]:
        """The states of a queue's sessions, by session id."""
        rows = self._database.execute(
            "SELECT session_id, state, updated_at FROM session_states WHERE queue = ?", (queue,)
        )
        return {row["session_id"]: SessionState(row["state"], row["updated_at"]) for row in rows}

    # ---------------------------------------------------------------------------------------------------- changing

    def insert(self, queue: str, message: Message) -> None:
        self._inserted[queue, message.sequence_number] = message
        self._sequence_numbers[queue] = message.sequence_number

    def update(self, queue: str, message: Message) -> None:
        """Notes a new state or delivery count."""
        key = queue, message.sequence_number
        if key not in self._inserted:
            self._updated[key] = message

    def delete(self, queue: str, message: Message) -> None:
        key = queue, message.sequence_number
        self._updated.pop(key, None)
        if self._inserted.pop(key, None) is None:
            self._deleted.append(key)

    def remember(self, queue: str, message_id: str, sequence_number: int, forget_at: float) -> None:
        self._remembered.append((queue, message_id, sequence_number, forget_at))

    def forget(self, queue: str, message_id: str) -> None:
        self._forgotten.append((queue, message_id))

    def set_session_state(self, queue: str, session_id: str, state: "SessionState | None") -> None:
        """Notes a session's state; None removes it."""
        self._session_states[queue, session_id] = state

    def commit(self) -> None:
        """Writes all changes in one transaction; when it returns, they survive the process."""
        if not any(self._gathered()):
            return
        self._database.execute("BEGIN IMMEDIATE")
        self._write(
            f"INSERT INTO messages (queue, {_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            [_row(queue, message) for (queue, _), message in self._inserted.items()],
        )
        self._write(
            "UPDATE messages SET state = ?, delivery_count = ? WHERE queue = ? AND sequence_number = ?",
            [(int(message.state), message.delivery_count, *key) for key, message in self._updated.items()],
        )
        self._write("DELETE FROM messages WHERE queue = ? AND sequence_number = ?", self._deleted)
        self._write("INSERT OR REPLACE INTO queues VALUES (?, ?)", list(self._sequence_numbers.items()))
        self._write("DELETE FROM message_ids WHERE queue = ? AND message_id = ?", self._forgotten)
        self._write("INSERT OR REPLACE INTO message_ids VALUES (?, ?, ?, ?)", self._remembered)
        self._write("DELETE FROM session_states WHERE queue = ? AND session_id = ?", list(self._session_states))
        self._write(
            "INSERT INTO session_states VALUES (?, ?, ?, ?)",
            [(*key, state.content, state.updated_at) for key, state in self._session_states.items() if state],
        )
        self._database.execute("COMMIT")
        for gathered in self._gathered():
            gathered.clear()

    def _gathered(self) -> "tuple[dict[Any, Any] | list[Any], ...]":
        return (
            self._inserted,
            self._updated,
            self._deleted,
            self._sequence_numbers,
            self._remembered,
            self._forgotten,
            self._session_states,
        )

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        if rows:
            self._database.executemany(statement, rows)


def _row(queue: str, message: Message) -> tuple[object, ...]:
    return (
        queue,
        message.sequence_number,
        int(message.state),
        message.delivery_count,
        message.enqueued_time,
        message.scheduled_time,
        message.expires_at,
        message.time_to_live,
        message.dead_letter_source,
        message.durable,
        message.priority,
        encoding.encode(message.annotations),
        message.content,
        message.session_id,
    )


def _message(row: sqlite3.Row) -> Message:
    return Message(
        content=row["content"],
        annotations=decoding.decode(row["annotations"])[0],
        durable=None if row["durable"] is None else bool(row["durable"]),
        priority=None if row["priority"] is None else UByte(row["priority"]),
        time_to_live=row["time_to_live"],
        scheduled_time=row["scheduled_time"],
        sequence_number=row["sequence_number"],
        enqueued_time=row["enqueued_time"],
        expires_at=row["expires_at"],
        state=State(row["state"]),
        delivery_count=row["delivery_count"],
        dead_letter_source=row["dead_letter_source"],
        session_id=row["session_id"],
    )
