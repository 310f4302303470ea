"""Asks people in the environment's own app, and waits for what they say to exactly what they were shown."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from shared.core.approval import Approval, ApprovalEvidence, Author, GivenApproval
from shared.core.durations import in_words
from shared.core.messages import Evidence, Failed, FailureKind, Outcome, Running, RunStep, Succeeded, as_evidence
from shared.ports import ApprovalDecision, ApprovalRequest
from shared.worker import entitled
from shared.worker.order import Order

#: Between two polls: a tenth of the time that it has waited, within these.
SHORTEST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=5)


def request(order: Order[Any], digest: str, shown: Evidence, authors: Sequence[Author]) -> ApprovalRequest:
    """Return what people are asked: `shown` is what they see, and they approve its digest."""
    command = order.command
    return ApprovalRequest(
        promotion=command.promotion,
        stage=command.stage,
        environment=command.environment,
        model=command.candidate.name,
        version=command.candidate.version,
        digest=digest,
        shown=shown,
        authors=tuple(each.id for each in authors),
        requester=command.requester,
        asked=command.started,
        until=command.deadline,
    )


def ask(order: Order[Any], request: ApprovalRequest, of_stage: int) -> Outcome:
    """One poll for what people say to the request; `of_stage`: how many the stage itself asks for."""
    command, rules = order.command, order.rules
    if rules.approvals is None or rules.policy.approvals is None:
        return Failed(
            f"The app of {command.environment} is not configured to take approvals. Give both apps the same "
            f"`policy` of {command.environment} in promotion.yml, then retry.",
            FailureKind.BAD_CONFIG,
        )
    kept = rules.approvals.request(request.promotion, request.stage)
    if kept is None or (kept.digest, kept.until) != (request.digest, request.until):
        rules.approvals.ask(request)
    said = rules.approvals.decisions(command.promotion, command.stage, request.digest)
    for each in said:
        if not each.approves:
            return Failed(f"rejected by {each.name}: {each.reason}", FailureKind.REJECTED)
    count = [each for each in said if entitled.counts(rules.policy.approvals, each)]
    return _outcome(command, request.digest, count, max(rules.policy.approvals.least, of_stage), rules.url)


def _outcome(command: RunStep, digest: str, said: Sequence[ApprovalDecision], least: int, url: str) -> Outcome:
    """`said`: the approvals that count."""
    if len(said) >= least:
        given = tuple(
            GivenApproval(each.person, each.name, each.at, each.reason, each.roles, each.groups) for each in said
        )
        return Succeeded(as_evidence(ApprovalEvidence(digest, given, command.environment)))
    if command.not_before >= command.deadline:
        who = f"only {len(said)} of {least} approved" if said else "nobody decided"
        limit = in_words(command.deadline - command.started)
        return Failed(f"{who} within {limit}: start a new promotion", FailureKind.REJECTED)
    waited = command.not_before - command.started
    pause = min(max(waited / 10, SHORTEST_PAUSE), LONGEST_PAUSE)
    where = f"the app of {command.environment}{f' ({url})' if url else ''}"
    return Running(pause, f"{Approval.waits_for(len(said), least)}, in {where}")
