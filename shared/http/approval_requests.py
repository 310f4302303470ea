"""Requests to an environment that takes its own approvals: list what waits, approve, reject.

The coordinator has no part in it. People see what this environment's worker has read, and their decisions are kept
here, each for the digest that was shown.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.core.events import Person
from shared.http import bodies, refusals
from shared.http.bodies import Body, Text
from shared.ports import ApprovalDecision, ApprovalRequest, Approvals

if TYPE_CHECKING:
    from shared.config import Policy
    from shared.config.policy import ApprovalPolicy


class Decide(Body):
    """The body of a decision; `evidence` is the digest of what the person saw."""

    reason: Text
    evidence: Text


#: By the last part of the address: whether it approves.
DECISIONS: Mapping[str, bool] = {"approve": True, "reject": False}


class ApprovalRequests:
    """Answers requests. May be used by several threads; `clock` gives the time with its zone, `policy_for` the policy
    of an environment whose worker runs here, and None for any other."""

    def __init__(
        self, approvals: Approvals, policy_for: Callable[[str], "Policy | None"], clock: Callable[[], datetime]
    ) -> None:
        self._approvals = approvals
        self._policy_for = policy_for
        self._clock = clock

    def waiting(self) -> dict[str, Any]:
        """Return every request that has not expired, in order of expiry."""
        shown = [self._shown(each) for each in self._approvals.requests(self._clock()) if self._asked(each)]
        return {"value": shown}

    def one(self, promotion: str, stage: str) -> dict[str, Any]:
        """Return what a stage of a promotion asks people to approve, and their decisions."""
        return self._shown(self._found(promotion, stage))

    def decide(self, decision: str, promotion: str, stage: str, body: bytes, person: Person) -> dict[str, Any]:
        """Decide, and return what was done, in words, with the request. `decision`: a key of `DECISIONS`."""
        said = bodies.read(Decide, body)
        request, approves, now = self._found(promotion, stage), DECISIONS[decision], self._clock()
        asked = self._check_may_decide(person, request, approves)
        if said.evidence != request.digest:
            says = "The evidence has changed since you saw it. Review it again."
            raise refusals.ConflictError(says, self._shown(request))
        if now >= request.until:
            raise refusals.ConflictError(f"This request expired at {request.until:%Y-%m-%d %H:%M:%S} UTC.")
        mine = _said(person, asked, approves, said.reason, now)
        kept = self._approvals.decide(promotion, stage, request.digest, mine)
        if kept.approves != approves:
            before = "approved" if kept.approves else "rejected"
            says = f"You already {before} it at {kept.at:%Y-%m-%d %H:%M:%S} UTC; that decision stands."
            raise refusals.ConflictError(says)
        new = f"{_VERBS[approves]} by {person.name}: {said.reason}"
        done = new if kept == mine else "nothing: this was already done"
        return {"done": done, "request": self._shown(request)}

    def _check_may_decide(self, by: Person, request: ApprovalRequest, approves: bool) -> "ApprovalPolicy":
        """The policy under which the person may. Raises `NotPermittedError`, and `ConflictError` if there is none."""
        policy, asked = self._policy_for(request.environment), self._asked(request)
        if policy is None or asked is None:
            raise refusals.ConflictError(f"{request.environment} no longer takes approvals here.")
        if not set(by.roles) & set(asked.roles):
            raise refusals.NotPermittedError(f"{by.name} needs the role {' or '.join(asked.roles)}")
        if asked.groups and not set(by.groups) & set(asked.groups):
            says = f"{by.name} is in none of the groups that may approve this: {', '.join(asked.groups)}"
            raise refusals.NotPermittedError(by.groups_left_out or says)
        if approves and policy.not_author and by.id in request.authors:
            raise refusals.NotPermittedError(f"{by.name} made this model and so may not approve it")
        if approves and request.requester and by.id == request.requester:
            raise refusals.NotPermittedError(f"{by.name} requested this promotion and so may not approve it")
        return asked

    def _found(self, promotion: str, stage: str) -> ApprovalRequest:
        found = self._approvals.request(promotion, stage)
        if found is None:
            text = f"There is no approval request for stage {stage[:100]} of promotion {promotion[:100]} here."
            raise refusals.NotThereError(text, {"see": "/api/approvals"})
        return found

    def _asked(self, request: ApprovalRequest) -> "ApprovalPolicy | None":
        policy = self._policy_for(request.environment)
        return policy.approvals if policy and policy.taken_by_environment else None

    def _shown(self, request: ApprovalRequest) -> dict[str, Any]:
        asked = self._asked(request)
        said = self._approvals.decisions(request.promotion, request.stage, request.digest)
        return {
            "promotion": request.promotion,
            "stage": request.stage,
            "environment": request.environment,
            "model": request.model,
            "version": request.version,
            "evidence": request.digest,
            "shown": dict(request.shown),
            "min": asked.least if asked else None,
            "roles": list(asked.roles) if asked else [],
            "asked": request.asked.isoformat(),
            "until": request.until.isoformat(),
            "decisions": [_decision(each) for each in said],
        }


def _said(by: Person, asked: "ApprovalPolicy", approves: bool, reason: str, now: datetime) -> ApprovalDecision:
    """The decision, with what let the person take it: the worker compares that with its policy of then."""
    roles = tuple(each for each in by.roles if each in asked.roles)
    groups = tuple(each for each in by.groups if each in (asked.groups or ()))
    return ApprovalDecision(by.id, by.name, approves, reason, now, roles, groups)


_VERBS = {True: "approved", False: "rejected"}


def _decision(decision: ApprovalDecision) -> dict[str, Any]:
    return {
        "id": decision.person,
        "name": decision.name,
        "decision": _VERBS[decision.approves],
        "reason": decision.reason,
        "at": decision.at.isoformat(),
    }
