"""Asks people in the environment's own app to approve exactly one run of a pipeline, and waits for their decision.

Runs only if the environment's policy says so. Otherwise the coordinator asks, and no worker takes part.
"""

from shared.core.approval import ApprovalEvidence
from shared.core.messages import Failed, Outcome, as_evidence
from shared.worker import asking
from shared.worker.order import Step
from shared.worker.pipeline_order import PipelineOrder
from shared.worker.pipeline_review import least_of
from shared.worker.steps import register_components
from shared.worker.steps.inspect import inspected, still_as_inspected


def run(order: PipelineOrder) -> Outcome:
    found = still_as_inspected(order)
    if isinstance(found, Failed):
        return found
    # People see the code of each step, file by file.
    made_of = as_evidence(order.seen(register_components.STEP))
    shown = {**as_evidence(inspected(order, found)), "components": made_of["components"], "job": made_of["job"]}
    asked = asking.request(order, found.manifest.digest, shown, found.authors)
    return asking.ask(order, asked, least_of(order))


STEP = Step("approve_run", run, ApprovalEvidence, PipelineOrder)
