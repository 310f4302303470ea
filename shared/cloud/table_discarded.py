"""The journal of discarded dead letters, in one partition of the store's table in Azure Table Storage.

The key of a row is derived from the letter, so that a process that dies between recording and removing a letter does
not record it twice. What is stored of a letter fits into one row.
"""

import re
from hashlib import sha256
from itertools import islice
from zlib import crc32

from azure.data.tables import TableClient

from shared.cloud.documents import discarded_document, discarded_letter
from shared.cloud.table import Operation, Table, Write, split
from shared.cloud.table_keys import LAST, newest_first
from shared.ports import DiscardedLetter, DiscardedLetters, DiscardedPage

_PARTITION = "discarded"
_ROW = re.compile(r"[0-9]{18}![0-9a-z-]+~")


class TableDiscarded:
    """The `DiscardedLetters` port in a table, which must exist. Thread-safe."""

    def __init__(self, client: TableClient) -> None:
        self._table = Table(client)

    def keep(self, letter: DiscardedLetter) -> None:
        document = discarded_document(letter)
        row = newest_first(letter.enqueued, sha256(letter.id.encode()).hexdigest()[:40])
        rows = split(_PARTITION, row, document, crc32(document.encode()) >> 1, {})
        self._table.commit([Operation(Write.MERGE, each) for each in rows])

    def page(self, most: int, following: str | None) -> DiscardedPage:
        if following is not None and not _ROW.fullmatch(following):
            raise ValueError("unknown continuation token")
        # `!` makes this the smallest key after the last row of the page: it sorts before any other character.
        first = f"{following}!" if following else ""
        keys = [row["RowKey"] for row in islice(self._table.rows(_PARTITION, first, LAST, most + 1), most + 1)]
        found = [self._table.document(_PARTITION, key) for key in keys[:most]]
        letters = [discarded_letter(each[1]) for each in found if each is not None]
        return DiscardedPage(letters, keys[most - 1] if len(keys) > most else None)


_: type[DiscardedLetters] = TableDiscarded  # lets the type checker prove that it implements the port
