"""Asks people in the environment's own app to approve exactly what would be deployed, and waits for their decision.

Runs only if the environment's policy says so. Otherwise the coordinator asks, and no worker takes part.
"""

from dataclasses import replace

from shared.core.approval import ApprovalEvidence
from shared.core.messages import Failed, Outcome, RunStep, as_evidence
from shared.ports import ApprovalRequest
from shared.worker import asking
from shared.worker.evaluation import Evaluated, approved_digest
from shared.worker.order import Step
from shared.worker.review import Review
from shared.worker.steps import check_capacity, evaluate
from shared.worker.steps.validate import still_as_validated, validated
from shared.worker.target import Target


def run(target: Target) -> Outcome:
    found = still_as_validated(target)
    if isinstance(found, Failed):
        return found
    evaluated = evaluate.passed(target)
    if isinstance(evaluated, Failed):
        return evaluated
    least = target.stage.approval.least if target.stage.approval else 0
    request = _request(target.command, found, evaluated)
    taken = target.if_seen(check_capacity.STEP)
    if taken is not None:
        request = replace(request, shown={**request.shown, "capacity": as_evidence(taken)})
    return asking.ask(target, request, least)


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
