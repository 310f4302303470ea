"""Asks people in the environment's own app to approve exactly one run of a pipeline, and waits for their decision.

Runs only if the environment's policy says so. Otherwise the coordinator asks, and no worker takes part.
"""

from shared.core.approval import ApprovalEvidence
from shared.core.messages import Failed, Outcome, as_evidence
from shared.ports import ApprovalRequest
from shared.worker import asking
from shared.worker.order import Step
from shared.worker.pipeline_order import PipelineOrder
from shared.worker.pipeline_review import PipelineReview, least_of
from shared.worker.steps import register_components
from shared.worker.steps.inspect import inspected, still_as_inspected


def run(order: PipelineOrder) -> Outcome:
    found = still_as_inspected(order)
    return found if isinstance(found, Failed) else asking.ask(order, _request(order, found), least_of(order))


def _request(order: PipelineOrder, found: PipelineReview) -> ApprovalRequest:
    """Show people the code of each step, file by file."""
    command = order.command
    made_of = as_evidence(order.seen(register_components.STEP))
    shown = {**as_evidence(inspected(order, found)), "components": made_of["components"], "job": made_of["job"]}
    return ApprovalRequest(
        promotion=command.promotion,
        stage=command.stage,
        environment=command.environment,
        model=command.candidate.name,
        version=command.candidate.version,
        digest=found.manifest.digest,
        shown=shown,
        authors=tuple(each.id for each in found.authors),
        requester=command.requester,
        asked=command.started,
        until=command.deadline,
    )


STEP = Step("approve_run", run, ApprovalEvidence, PipelineOrder)
