"""The journal of discarded dead letters, on one machine: SQLite."""

from pathlib import Path

from shared.cloud.documents import discarded_document, discarded_letter, sortable
from shared.cloud.sqlite_file import SqliteFile
from shared.ports import DiscardedLetter, DiscardedLetters, DiscardedPage

_SCHEMA = """
create table if not exists discarded (
    enqueued text, id text, document text not null,
    primary key (enqueued, id)
) without rowid;
"""


class SqliteDiscarded:
    """The `DiscardedLetters` port in the file at `path`, which is created if missing. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, _SCHEMA)

    def keep(self, letter: DiscardedLetter) -> None:
        row = (sortable(letter.enqueued), letter.id, discarded_document(letter))
        with self._file.transaction() as connection:
            connection.execute("insert or replace into discarded values (?, ?, ?)", row)

    def page(self, most: int, following: str | None) -> DiscardedPage:
        where, values = "", []
        if following is not None:
            enqueued, separator, named = following.partition("~")
            if not separator:
                raise ValueError("unknown continuation token")
            where, values = "where (enqueued, id) < (?, ?)", [enqueued, named]
        with self._file.transaction("deferred") as connection:
            rows = connection.execute(
                f"select enqueued, id, document from discarded {where} order by enqueued desc, id desc limit ?",
                (*values, most + 1),
            ).fetchall()
        last = rows[most - 1] if len(rows) > most else None
        letters = [discarded_letter(document) for _, _, document in rows[:most]]
        return DiscardedPage(letters, f"{last[0]}~{last[1]}" if last else None)


_: type[DiscardedLetters] = SqliteDiscarded  # lets the type checker prove that it implements the port
