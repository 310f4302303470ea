"""Asks people in the environment's own app to approve exactly what would be deployed, and waits for their decision.

Runs only if the environment's policy says so. Otherwise the coordinator asks, and no worker takes part.
"""

from collections.abc import Sequence
from datetime import timedelta

from shared.core.approval import Approval, ApprovalEvidence, GivenApproval
from shared.core.durations import in_words
from shared.core.messages import Failed, FailureKind, Outcome, Running, RunStep, Succeeded, as_evidence
from shared.ports import ApprovalDecision, ApprovalRequest
from shared.worker.evaluation import Evaluated, approved_digest
from shared.worker.order import Step
from shared.worker.review import Review
from shared.worker.steps import evaluate
from shared.worker.steps.validate import still_as_validated, validated
from shared.worker.target import Target

#: The pause between two polls is a tenth of the time waited so far, within these limits.
SHORTEST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=5)


def run(target: Target) -> Outcome:
    command, rules = target.command, target.rules
    asked = rules.policy.approvals
    if rules.approvals is None or asked is None:
        return Failed(
            f"The app of {command.environment} is not configured to take approvals. Give both apps the same "
            f"`policy` of {command.environment} in promotion.yml, then retry.",
            FailureKind.BAD_CONFIG,
        )
    found = still_as_validated(target)
    if isinstance(found, Failed):
        return found
    evaluated = evaluate.passed(target)
    if isinstance(evaluated, Failed):
        return evaluated
    least = max(asked.least, target.stage.approval.least if target.stage.approval else 0)
    request = _request(command, found, evaluated)
    kept = rules.approvals.request(request.promotion, request.stage)
    if kept is None or (kept.digest, kept.until) != (request.digest, request.until):
        rules.approvals.ask(request)
    said = rules.approvals.decisions(command.promotion, command.stage, request.digest)
    return _outcome(command, request.digest, said, least, rules.url)


def _outcome(command: RunStep, digest: str, said: Sequence[ApprovalDecision], least: int, url: str) -> Outcome:
    for each in said:
        if not each.approves:
            return Failed(f"rejected by {each.name}: {each.reason}", FailureKind.REJECTED)
    if len(said) >= least:
        given = tuple(GivenApproval(each.person, each.name, each.at, each.reason) for each in said)
        return Succeeded(as_evidence(ApprovalEvidence(digest, given, command.environment)))
    if command.not_before >= command.deadline:
        who = f"only {len(said)} of {least} approved" if said else "nobody decided"
        limit = in_words(command.deadline - command.started)
        return Failed(f"{who} within {limit}: start a new promotion", FailureKind.REJECTED)
    waited = command.not_before - command.started
    pause = min(max(waited / 10, SHORTEST_PAUSE), LONGEST_PAUSE)
    where = f"the app of {command.environment}{f' ({url})' if url else ''}"
    return Running(pause, f"{Approval.waits_for(len(said), least)}, in {where}")


def _request(command: RunStep, found: Review, evaluated: Evaluated | None) -> ApprovalRequest:
    shown = as_evidence(validated(found))
    if evaluated is not None:
        shown = {**shown, "evaluation": as_evidence(evaluated)}
    return ApprovalRequest(
        promotion=command.promotion,
        stage=command.stage,
        environment=command.environment,
        model=command.candidate.name,
        version=command.candidate.version,
        digest=approved_digest(found.manifest.digest, evaluated),
        shown=shown,
        authors=tuple(each.id for each in found.authors),
        requester=command.requester,
        asked=command.started,
        until=command.deadline,
    )


STEP = Step("approve", run, ApprovalEvidence, Target)
