"""The approvals that an environment takes itself, on one machine: SQLite."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from shared.cloud.documents import (
    approval_decision,
    approval_decision_document,
    approval_request,
    approval_request_document,
    sortable,
)
from shared.cloud.sqlite_file import SqliteFile
from shared.ports import ApprovalDecision, ApprovalRequest, Approvals

_SCHEMA = """
create table if not exists approval_requests (
    promotion text, stage text, until text not null, document text not null,
    primary key (promotion, stage)
) without rowid;
create index if not exists approval_requests_by_end on approval_requests (until);
create table if not exists approval_decisions (
    promotion text, stage text, digest text, person text, at text not null, document text not null,
    primary key (promotion, stage, digest, person)
) without rowid;
"""


class SqliteApprovals:
    """The `Approvals` port in the file at `path`, which is created if missing. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, _SCHEMA)

    def ask(self, request: ApprovalRequest) -> None:
        row = (request.promotion, request.stage, sortable(request.until), approval_request_document(request))
        with self._file.transaction() as connection:
            connection.execute("insert or replace into approval_requests values (?, ?, ?, ?)", row)

    def request(self, promotion: str, stage: str) -> ApprovalRequest | None:
        with self._file.transaction("deferred") as connection:
            row = connection.execute(
                "select document from approval_requests where promotion = ? and stage = ?", (promotion, stage)
            ).fetchone()
        return approval_request(row[0]) if row else None

    def requests(self, now: datetime) -> Sequence[ApprovalRequest]:
        with self._file.transaction("deferred") as connection:
            rows = connection.execute(
                "select document from approval_requests where until > ? order by until, promotion, stage",
                (sortable(now),),
            ).fetchall()
        return [approval_request(document) for (document,) in rows]

    def decide(self, promotion: str, stage: str, digest: str, decision: ApprovalDecision) -> ApprovalDecision:
        key = (promotion, stage, digest, decision.person)
        row = (*key, sortable(decision.at), approval_decision_document(decision))
        with self._file.transaction() as connection:
            connection.execute("insert or ignore into approval_decisions values (?, ?, ?, ?, ?, ?)", row)
            (kept,) = connection.execute(
                "select document from approval_decisions where promotion = ? and stage = ? and digest = ?"
                " and person = ?",
                key,
            ).fetchone()
        return approval_decision(kept)

    def decisions(self, promotion: str, stage: str, digest: str) -> Sequence[ApprovalDecision]:
        with self._file.transaction("deferred") as connection:
            rows = connection.execute(
                "select document from approval_decisions where promotion = ? and stage = ? and digest = ?"
                " order by at, person",
                (promotion, stage, digest),
            ).fetchall()
        return [approval_decision(document) for (document,) in rows]


_: type[Approvals] = SqliteApprovals  # lets the type checker prove that it implements the port
