"""Approvals that an environment's own app takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class ApprovalRequest:
    """What an environment's worker asks people to approve: kept by that environment's app."""

    promotion: str
    stage: str
    environment: str
    model: str
    version: str
    digest: str  #: of all that would be deployed, as the worker read it: what an approval is bound to
    shown: Mapping[str, Any]  #: the manifest and the gates: what people look at
    authors: tuple[str, ...]  #: object ids of those who made the model
    requester: str  #: object id of who asked for the promotion, by the coordinator's word; empty if unknown
    asked: datetime
    until: datetime


@dataclass(frozen=True)
class ApprovalDecision:
    """What one person said to one digest."""

    person: str  #: object id
    name: str
    approves: bool
    reason: str
    at: datetime


class Approvals(Protocol):
    """An environment's own record of what it asked people to approve, and of what they said."""

    def ask(self, request: ApprovalRequest) -> None:
        """Keep the request as the one of its promotion and stage; an earlier one of another digest is replaced."""

    def request(self, promotion: str, stage: str) -> ApprovalRequest | None: ...

    def requests(self, now: datetime) -> Sequence[ApprovalRequest]:
        """Those whose time has not run out, in the order in which they end."""

    def decide(self, promotion: str, stage: str, digest: str, decision: ApprovalDecision) -> ApprovalDecision:
        """Keep the decision, and return the person's first one for this digest, which stays."""

    def decisions(self, promotion: str, stage: str, digest: str) -> Sequence[ApprovalDecision]:
        """What people said to this digest, the earliest first."""
