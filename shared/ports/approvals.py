"""The port of approvals that an environment's own app takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from shared.core.wire import Moment


@dataclass(frozen=True)
class ApprovalRequest:
    """What an environment's worker asks people to approve. That environment's app stores it."""

    promotion: str
    stage: str
    environment: str
    model: str
    version: str
    digest: str  #: of everything that would be deployed, as the worker read it; approvals are bound to it
    shown: Mapping[str, Any]  #: the manifest and the gates, for people to review
    authors: tuple[str, ...]  #: object ids of the model's authors
    requester: str  #: object id of the requester, as the coordinator reports it; empty if unknown
    asked: Moment
    until: Moment


@dataclass(frozen=True)
class ApprovalDecision:
    """One person's decision on one digest."""

    person: str  #: object id
    name: str
    approves: bool
    reason: str
    at: Moment
    #: Those in the person's token that let them decide. None: recorded by a version that did not keep them.
    roles: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None


class Approvals(Protocol):
    """An environment's own record of approval requests and decisions."""

    def ask(self, request: ApprovalRequest) -> None:
        """Store the request of a promotion and stage. It replaces an earlier one with another digest."""

    def request(self, promotion: str, stage: str) -> ApprovalRequest | None: ...

    def requests(self, now: datetime) -> Sequence[ApprovalRequest]:
        """The requests that have not expired, the earliest to expire first."""

    def decide(self, promotion: str, stage: str, digest: str, decision: ApprovalDecision) -> ApprovalDecision:
        """Store the decision unless the person has already decided on this digest. Return their first decision."""

    def decisions(self, promotion: str, stage: str, digest: str) -> Sequence[ApprovalDecision]:
        """People's decisions on this digest, the earliest first."""
