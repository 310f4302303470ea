"""Lets the environment's own worker decide whether a pipeline may run again under the approval of an earlier run.

The approval covers everything except the versions of the data, since the run is for fresh data. It expires when the
environment's policy says.
"""

from dataclasses import replace

from shared.core.approval import APPROVE, ApprovalEvidence, digest
from shared.core.durations import in_words
from shared.core.messages import Failed, FailureKind
from shared.core.rerunning import INSPECT, ApprovedBefore, approved_before
from shared.core.wire import from_json
from shared.ports import ApprovalDecision
from shared.worker import entitled, rules
from shared.worker.pipeline_order import PipelineOrder
from shared.worker.pipeline_review import PipelineReview, RunManifest, least_of
from shared.worker.steps import register_components
from shared.worker.steps.inspect import Inspected


def unapproved(order: PipelineOrder, found: PipelineReview) -> Failed | None:
    """Return why this run is not approved, whether people approved this run or an earlier one; None if it is."""
    before = approved_before(order.command.evidence)
    if before is None:
        return rules.unapproved(order, found.manifest.digest, found.authors, least_of(order))
    policy = order.rules.policy
    least = max(policy.approvals.least if policy.approvals else 0, least_of(order))
    if not least:
        return None
    seen, given = _recorded(order, before) if policy.taken_by_environment else _passed_on(order, before)
    if seen is None or _but_for_data(seen) != _but_for_data(found.manifest):
        return _failed(order, before, "What would run now is not what was approved", FailureKind.CHANGED)
    kept_out = {each.id for each in found.authors} if policy.not_author else set()
    people = {each.person for each in given if each.person} - kept_out
    if len(people) < least:
        says = f"{order.command.environment} requires {least} approvals of it, and {len(people)} count"
        return _failed(order, before, says, FailureKind.PERMISSION)
    if order.command.not_before - max(each.at for each in given) > policy.rerun_for:
        says = f"It is more than {in_words(policy.rerun_for)} old (`rerun_for` of the environment's policy)"
        return _failed(order, before, says, FailureKind.REFUSED)
    return None


def _failed(order: PipelineOrder, before: ApprovedBefore, says: str, kind: FailureKind) -> Failed:
    return Failed(
        f"{order.command.candidate.name} may not run again in {order.command.stage} under the approval of "
        f"{before.promotion}. {says}. Nothing was run. Promote the pipeline again to ask for approval.",
        kind,
    )


def _but_for_data(manifest: RunManifest) -> RunManifest:
    """Only the version of the data may differ, not the asset itself."""
    inputs = {
        name: replace(each, version="", data=each.data.rpartition("/versions/")[0])
        for name, each in manifest.inputs.items()
    }
    return replace(manifest, digest="", inputs=inputs)


def _recorded(order: PipelineOrder, before: ApprovedBefore) -> tuple[RunManifest | None, list[ApprovalDecision]]:
    """Return what people were shown in the environment's own app, and their decisions."""
    approvals, stage = order.rules.approvals, order.command.stage
    request = approvals.request(before.promotion, stage) if approvals else None
    if approvals is None or request is None:
        return None, []
    said = list(approvals.decisions(before.promotion, stage, request.digest))
    shown = from_json(Inspected, request.shown).manifest
    policy = order.rules.policy.approvals
    counting = [each for each in said if entitled.counts(policy, each)]
    return shown, [] if any(not each.approves for each in said) else counting


def _passed_on(order: PipelineOrder, before: ApprovedBefore) -> tuple[RunManifest | None, list[ApprovalDecision]]:
    """Return the same from the coordinator's evidence. An approval counts only for the evidence that it is bound to."""
    evidence = order.command.evidence
    approved = from_json(ApprovalEvidence, evidence[APPROVE])
    name = register_components.STEP.name
    if approved.on != digest({name: evidence.get(name, {}), INSPECT: before.inspected}):
        return None, []
    policy = order.rules.policy.approvals
    given = [each for each in approved.given if entitled.counts(policy, each)]
    said = [ApprovalDecision(each.id, each.name, True, each.reason, each.at) for each in given]
    return from_json(Inspected, before.inspected).manifest, said
