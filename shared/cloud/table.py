"""What the store needs of a table in Azure Table Storage: rows in ranges, transactions, and long documents."""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableClient, TableEntity, TableErrorCode, TableTransactionError, UpdateMode

from shared.cloud.table_keys import LAST
from shared.ports import VersionConflictError

Row = dict[str, Any]  #: an entity to write: `PartitionKey`, `RowKey` and properties

#: Limits of a transaction: https://learn.microsoft.com/azure/storage/tables/scalability-targets
MOST_OPERATIONS = 100
MOST_BYTES = 4 * 1024 * 1024
#: Overhead per operation of a transaction: headers, keys and property names.
_BYTES_AROUND = 2_000

#: The limits are 64 KiB per property and 1 MiB per entity. Azurite applies them to the length on the wire, in base64.
_CHUNK = 60_000
_CHUNKS = 12

#: How often to read a document again that others change meanwhile.
_MOST_LOOKS = 20

_LOST_RACES = frozenset(
    {
        TableErrorCode.UPDATE_CONDITION_NOT_SATISFIED,
        TableErrorCode.CONDITION_NOT_MET,
        TableErrorCode.ENTITY_ALREADY_EXISTS,
        TableErrorCode.RESOURCE_NOT_FOUND,
        TableErrorCode.ENTITY_NOT_FOUND,
    }
)


class TooLargeError(ValueError):
    """The changes do not fit into one transaction, so none was made."""


class Write(Enum):
    """How a row of a transaction is written."""

    CREATE = "create"  #: fails if the row exists
    MERGE = "merge"  #: creates a missing row; other properties stay
    MERGE_UNCHANGED = "merge unchanged"  #: fails if the ETag does not match
    DELETE = "delete"


@dataclass(frozen=True)
class Operation:
    """One change of a transaction."""

    write: Write
    row: Row
    etag: str | None = None


class Table:
    """Reads and writes rows. Thread-safe. A text that is stored with a row is its document."""

    def __init__(self, client: TableClient) -> None:
        self._client = client

    def row(self, partition: str, row: str) -> TableEntity | None:
        """One row, or None."""
        try:
            return self._client.get_entity(partition, row)
        except ResourceNotFoundError:
            return None

    def rows(self, partition: str, first: str, last: str, at_once: int | None = None) -> Iterator[TableEntity]:
        """Rows from `first` to `last`, both included, in order. `at_once` is the page size."""
        return iter(
            self._client.query_entities(
                "PartitionKey eq @partition and RowKey ge @first and RowKey le @last",
                parameters={"partition": partition, "first": first, "last": last},
                results_per_page=at_once,
            )
        )

    def commit(self, operations: Sequence[Operation]) -> list[str | None]:
        """Make all changes or none, in one partition. Returns the rows' new ETags.

        Raises `VersionConflictError` if a row is not as expected, `TooLargeError` for more than a transaction can hold.
        """
        size = sum(_BYTES_AROUND + _size(operation.row) for operation in operations)
        if len(operations) > MOST_OPERATIONS or size > MOST_BYTES:
            raise TooLargeError(
                f"{len(operations)} changes with {size:,} bytes in {operations[0].row['PartitionKey']} exceed"
                f" the limits of one transaction, {MOST_OPERATIONS} and {MOST_BYTES:,}; nothing was changed"
            )
        try:
            answers = self._client.submit_transaction([_as_the_sdk_has_it(each) for each in operations])
        except TableTransactionError as fault:
            code = getattr(fault, "error_code", None)  # the SDK sets it, although its types do not say so
            if code in _LOST_RACES:
                raise VersionConflictError(f"{operations[0].row['PartitionKey']}: {code}") from fault
            raise
        return [answer.get("etag") for answer in answers]

    def create(self, row: Row) -> bool:
        """Create a row. False if it exists already."""
        try:
            self._client.create_entity(row)
        except ResourceExistsError:
            return False
        return True

    def put(self, row: Row) -> None:
        """Write the row, whatever was there."""
        self._client.upsert_entity(row, mode=UpdateMode.REPLACE)

    def change(self, seen: TableEntity, **properties: Any) -> bool:
        """Change properties of a row if it is unchanged since it was read; else return False."""
        row = {"PartitionKey": seen["PartitionKey"], "RowKey": seen["RowKey"], **properties}
        try:
            self._client.update_entity(
                row,
                mode=UpdateMode.MERGE,
                etag=seen.metadata["etag"],
                match_condition=MatchConditions.IfNotModified,
            )
        except (ResourceModifiedError, ResourceNotFoundError):
            return False
        return True

    def remove(self, seen: TableEntity) -> None:
        """Remove a row if it is unchanged since it was read."""
        try:
            self._client.delete_entity(seen, etag=seen.metadata["etag"], match_condition=MatchConditions.IfNotModified)
        except (ResourceModifiedError, ResourceNotFoundError):
            return

    # --- documents ---

    def document(self, partition: str, row: str) -> tuple[TableEntity, str] | None:
        """A row with its document, or None if there is no such row."""
        head = self.row(partition, row)
        if head is None or head["parts"] == 1:
            return (head, _joined([head])) if head is not None else None
        found = self.documents(partition, row, f"{row}!document!{LAST}")
        return found[0] if found else None

    def documents(self, partition: str, first: str, last: str) -> list[tuple[TableEntity, str]]:
        """The rows of a range that have documents, with their documents."""
        for _ in range(_MOST_LOOKS):
            groups = _groups(self.rows(partition, first, last))
            if all(_is_whole(group) for group in groups):
                return [(group[0], _joined(group)) for group in groups]
        raise VersionConflictError(f"{first} in {partition} was changed {_MOST_LOOKS} times while it was read")


def split(partition: str, row: str, document: str, version: int, properties: Mapping[str, Any]) -> list[Row]:
    """The rows that store a compressed document: the first has the properties, the others follow it directly.

    `version` differs between any two documents of the row, so that parts of two are never combined.
    """
    packed = zlib.compress(document.encode())
    chunks = [packed[start : start + _CHUNK] for start in range(0, len(packed), _CHUNK)]
    groups = [chunks[start : start + _CHUNKS] for start in range(0, len(chunks), _CHUNKS)]
    rows: list[Row] = []
    for number, group in enumerate(groups):
        below = f"{row}!document!{number:03}" if number else row
        own = {**properties, "parts": len(groups)} if not number else {}
        content = {f"document_{position:02}": chunk for position, chunk in enumerate(group)}
        rows.append(
            {"PartitionKey": partition, "RowKey": below, "version": version, "chunks": len(group)} | own | content
        )
    return rows


def _groups(rows: Iterable[TableEntity]) -> list[list[TableEntity]]:
    """The first row of each document, with the rows that follow it."""
    groups: list[list[TableEntity]] = []
    for row in rows:
        if "parts" in row:
            groups.append([row])
        elif groups:
            groups[-1].append(row)
    return groups


def _is_whole(group: Sequence[TableEntity]) -> bool:
    """Whether the document is complete. Rows left over from a longer, earlier one do not count."""
    wanted: int = group[0]["parts"]
    return wanted <= len(group) and len({part["version"] for part in group[:wanted]}) == 1


def _joined(group: Sequence[TableEntity]) -> str:
    kept = group[: group[0]["parts"]]
    chunks = (part[f"document_{position:02}"] for part in kept for position in range(part["chunks"]))
    return zlib.decompress(b"".join(chunks)).decode()


def _size(row: Row) -> int:
    """Size of the values on the wire in bytes: binary values travel as base64."""
    return sum(
        len(value) * 4 // 3 + 4 if isinstance(value, bytes) else len(str(value).encode()) for value in row.values()
    )


def _as_the_sdk_has_it(operation: Operation) -> Any:
    match operation.write:
        case Write.CREATE:
            return ("create", operation.row)
        case Write.MERGE:
            return ("upsert", operation.row, {"mode": UpdateMode.MERGE})
        case Write.MERGE_UNCHANGED:
            unchanged = {"etag": operation.etag, "match_condition": MatchConditions.IfNotModified}
            return ("update", operation.row, {"mode": UpdateMode.MERGE, **unchanged})
        case Write.DELETE:
            return ("delete", operation.row)
