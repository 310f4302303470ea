"""Published bundles on one machine: SQLite."""

from pathlib import Path

from shared.cloud import pointer_document
from shared.cloud.sqlite_file import SqliteFile
from shared.ports import Bundles, Pointer, PointerMovedError, Publication

_SCHEMA = """
create table if not exists bundles (digest text primary key, archive blob not null);
create table if not exists sources (source text primary key, version integer not null, document blob not null)
"""


class SqliteBundles:
    """The `Bundles` port in the file at `path`, which is created if missing. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, _SCHEMA)

    def keep(self, digest: str, archive: bytes) -> None:
        with self._file.transaction() as connection:
            connection.execute("insert or replace into bundles values (?, ?)", (digest, archive))

    def archive(self, digest: str) -> bytes | None:
        with self._file.transaction("deferred") as connection:
            row = connection.execute("select archive from bundles where digest = ?", (digest,)).fetchone()
        return bytes(row[0]) if row else None

    def pointer(self, source: str) -> Pointer | None:
        with self._file.transaction("deferred") as connection:
            row = connection.execute("select version, document from sources where source = ?", (source,)).fetchone()
        return Pointer(pointer_document.read(bytes(row[1])), str(row[0])) if row else None

    def publish(self, source: str, publication: Publication, before: Pointer | None) -> Pointer:
        publications = pointer_document.moved(publication, before.publications if before else ())
        version = int(before.version) if before else 0
        with self._file.transaction() as connection:
            row = connection.execute("select version from sources where source = ?", (source,)).fetchone()
            if (row[0] if row else 0) != version:
                raise PointerMovedError(f"somebody else has published to {source} meanwhile")
            document = pointer_document.written(publications)
            connection.execute("insert or replace into sources values (?, ?, ?)", (source, version + 1, document))
        return Pointer(publications, str(version + 1))


_: type[Bundles] = SqliteBundles  # lets the type checker prove that it implements the port
