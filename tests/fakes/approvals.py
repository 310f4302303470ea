"""Approvals that an environment takes itself, in memory: implements the `Approvals` port for fast tests."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.ports import ApprovalDecision, ApprovalRequest, Approvals


@dataclass
class FakeApprovals:
    """What was asked, and the answers."""

    asked: dict[tuple[str, str], ApprovalRequest] = field(default_factory=dict)
    said: dict[tuple[str, str, str], dict[str, ApprovalDecision]] = field(default_factory=dict)

    def ask(self, request: ApprovalRequest) -> None:
        self.asked[request.promotion, request.stage] = request

    def request(self, promotion: str, stage: str) -> ApprovalRequest | None:
        return self.asked.get((promotion, stage))

    def requests(self, now: datetime) -> Sequence[ApprovalRequest]:
        waiting = [each for each in self.asked.values() if each.until > now]
        return sorted(waiting, key=lambda each: (each.until, each.promotion, each.stage))

    def decide(self, promotion: str, stage: str, digest: str, decision: ApprovalDecision) -> ApprovalDecision:
        return self.said.setdefault((promotion, stage, digest), {}).setdefault(decision.person, decision)

    def decisions(self, promotion: str, stage: str, digest: str) -> Sequence[ApprovalDecision]:
        return sorted(self.said.get((promotion, stage, digest), {}).values(), key=lambda each: (each.at, each.person))


_: type[Approvals] = FakeApprovals  # lets the type checker prove that it implements the port
