"""Asks people in the environment's own app to approve exactly what would be deployed, and waits for their decision.

Runs only if the environment's policy says so. Otherwise the coordinator asks, and no worker takes part.
"""

from shared.core.approval import ApprovalEvidence
from shared.core.messages import Failed, Outcome, as_evidence
from shared.worker import asking
from shared.worker.evaluation import approved_digest
from shared.worker.order import Step
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
    shown = as_evidence(validated(found))
    if evaluated is not None:
        shown = {**shown, "evaluation": as_evidence(evaluated)}
    taken = target.if_seen(check_capacity.STEP)
    if taken is not None:
        shown = {**shown, "capacity": as_evidence(taken)}
    digest = approved_digest(found.manifest.digest, evaluated)
    return asking.ask(target, asking.request(target, digest, shown, found.authors), least)


STEP = Step("approve", run, ApprovalEvidence, Target)
