"""The approvals that an environment takes itself, in Azure Table Storage, in that environment's own account.

A stage of a promotion is a partition: its request is one row, and each person's decision on a digest is another, which
is created once and never changed. One more partition lists all requests by expiry, so that open ones are found without
reading the others. Entries for another digest than the request's are skipped.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableClient, UpdateMode

from shared.cloud.documents import (
    approval_decision,
    approval_decision_document,
    approval_request,
    approval_request_document,
    sortable,
)
from shared.cloud.table_keys import LAST
from shared.ports import ApprovalDecision, ApprovalRequest, Approvals

_REQUEST = "request"
_WAITING = "waiting"


class TableApprovals:
    """The `Approvals` port in a table, which must exist. Thread-safe."""

    def __init__(self, client: TableClient) -> None:
        self._client = client

    def ask(self, request: ApprovalRequest) -> None:
        partition = _partition(request.promotion, request.stage)
        row = {"PartitionKey": partition, "RowKey": _REQUEST, **_parts(approval_request_document(request))}
        self._client.upsert_entity(row, mode=UpdateMode.REPLACE)
        # Write the entry before the request: an entry without a request is skipped, but a request without an entry is
        # not listed.
        listed = {"PartitionKey": _WAITING, "RowKey": f"{_until(request.until)}!{partition}"}
        self._client.upsert_entity(listed, mode=UpdateMode.REPLACE)

    def request(self, promotion: str, stage: str) -> ApprovalRequest | None:
        return self._request(_partition(promotion, stage))

    def requests(self, now: datetime) -> Sequence[ApprovalRequest]:
        first = f"{_until(now)}!{LAST}"
        listed = self._client.query_entities(
            "PartitionKey eq @waiting and RowKey gt @first", parameters={"waiting": _WAITING, "first": first}
        )
        keys = [entry["RowKey"].partition("!") for entry in listed]
        found = [(until, self._request(partition)) for until, _, partition in keys]
        return sorted(
            (each for until, each in found if each is not None and _until(each.until) == until),
            key=lambda each: (each.until, each.promotion, each.stage),
        )

    def decide(self, promotion: str, stage: str, digest: str, decision: ApprovalDecision) -> ApprovalDecision:
        partition, name = _partition(promotion, stage), f"{_decisions(digest)}{_hashed(decision.person)}"
        document = approval_decision_document(decision)
        row = {"PartitionKey": partition, "RowKey": name, **_parts(document)}
        try:
            self._client.create_entity(row)
        except ResourceExistsError:
            document = _joined(self._client.get_entity(partition, name))
        return approval_decision(document)

    def decisions(self, promotion: str, stage: str, digest: str) -> Sequence[ApprovalDecision]:
        first = _decisions(digest)
        rows = self._client.query_entities(
            "PartitionKey eq @partition and RowKey gt @first and RowKey lt @last",
            parameters={"partition": _partition(promotion, stage), "first": first, "last": first + LAST},
        )
        return sorted((approval_decision(_joined(row)) for row in rows), key=lambda each: (each.at, each.person))

    def _request(self, partition: str) -> ApprovalRequest | None:
        rows = self._client.query_entities(
            "PartitionKey eq @partition and RowKey eq @request",
            parameters={"partition": partition, "request": _REQUEST},
        )
        return next((approval_request(_joined(row)) for row in rows), None)


def _partition(promotion: str, stage: str) -> str:
    return f"stage-{_hashed(promotion, stage)}"


def _hashed(*texts: str) -> str:
    """Other parties' names as part of a key, which may not contain every character."""
    return sha256("\0".join(texts).encode()).hexdigest()[:40]


def _decisions(digest: str) -> str:
    """The prefix of the keys of the decisions on a digest."""
    return f"decision!{_hashed(digest)}!"


def _until(moment: datetime) -> str:
    return sortable(moment)


#: A property can hold 64 KiB in UTF-16.
_CHUNK = 30_000


def _parts(document: str) -> dict[str, str]:
    chunks = [document[start : start + _CHUNK] for start in range(0, len(document), _CHUNK)]
    return {f"document{number:02}": chunk for number, chunk in enumerate(chunks)}


def _joined(row: dict[str, object]) -> str:
    return "".join(str(row[name]) for name in sorted(row) if name.startswith("document"))


_: type[Approvals] = TableApprovals  # lets the type checker prove that it implements the port
