"""Applies an environment's own rules to a deployment or a run."""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

from shared.config.policy import Policy
from shared.core.approval import APPROVE, ApprovalEvidence, Author, digest
from shared.core.messages import Failed, FailureKind, Kind
from shared.core.plan import KINDS
from shared.core.wire import from_json
from shared.ports import DeploymentFile, Model, same_asset
from shared.worker import entitled, origins
from shared.worker.gates import Verdict
from shared.worker.order import Order
from shared.worker.steps import share
from shared.worker.target import Target

#: What an approval lets happen, as a noun and as a verb.
_ACTED = {
    Kind.MODEL: ("deployment", "deployed"),
    Kind.JOB: ("registration", "registered"),
    Kind.PIPELINE: ("run of a pipeline", "started"),
}


def _before_approval(kind: Kind) -> frozenset[str]:
    """An approval that the coordinator takes is bound to the evidence of these steps."""
    before = takewhile(lambda step: step.name != APPROVE, KINDS[kind].plan)
    return frozenset(step.name for step in before if not step.informs)


def authors(target: Target, copy: Model) -> Sequence[Author]:
    """Who made the candidate: read at its source if this environment may, else as the source's worker reported it."""
    source, candidate = target.rules.source, target.command.candidate
    if not target.uses_registry:
        return target.workspace.authors(copy)
    if target.is_born_in_registry:
        return origins.registry_authors([target.workspace, *([source] if source else [])], copy)
    if source is None:
        return target.seen(share.STEP).authors
    model = source.model(candidate.name, candidate.version)
    known = model is not None and same_asset(model.asset_id, copy.origin)
    return source.authors(model) if model is not None and known else []


def judge(target: Target, described: DeploymentFile, made_by: Sequence[Author]) -> Iterator[Verdict]:
    """Judge each rule of the environment's policy, before anybody is asked to approve."""
    policy = target.rules.policy
    if policy.instance_types:
        seen = described.instance_type
        asked = " or ".join(policy.instance_types)
        yield Verdict("policy: instance type", asked, seen or "none named", _is_among(seen, policy.instance_types))
    if policy.max_instances is not None:
        most = described.instances
        holds = most is not None and most <= policy.max_instances
        yield Verdict("policy: instances", f"at most {policy.max_instances}", str(most or "none named"), holds)
    approval = target.stage.approval
    yield from judge_people(policy, approval.least if approval else 0, made_by)


def judge_people(policy: Policy, asked_for: int, made_by: Sequence[Author]) -> Iterator[Verdict]:
    """How the rules about people are kept; `asked_for`: how many approvals the stage asks for."""
    if policy.approvals is not None:
        holds = asked_for >= policy.approvals.least
        yield Verdict(
            "policy: approvals", f"at least {policy.approvals.least}", f"the stage requires {asked_for}", holds
        )
    if policy.not_author:
        known = bool(made_by) and all(each.is_person for each in made_by)
        seen = ", ".join(each.name if each.is_person else f"{each.name} (no person)" for each in made_by) or "unknown"
        holds = known or policy.unknown_author == "allow"
        yield Verdict("policy: author", "a known person, who may not approve", seen, holds)


def unapproved(target: Order[Any], manifest_digest: str, made_by: Sequence[Author], of_stage: int = 0) -> Failed | None:
    """Why too few people have approved this deployment or run; None if enough have. The environment's own record
    decides if it keeps one, else what the coordinator passes on. `of_stage`: how many the stage itself requires."""
    policy = target.rules.policy
    least = max(policy.approvals.least if policy.approvals else 0, of_stage)
    if not least:
        return None
    people = _recorded(target, manifest_digest) if policy.taken_by_environment else _passed_on(target)
    kept_out = {each.id for each in made_by} if policy.not_author else set()
    count = len(people - kept_out)
    if count >= least:
        return None
    what, done = _ACTED[target.command.candidate.kind]
    return Failed(
        f"{target.command.environment} requires {least} approvals of exactly this {what}, and {count} "
        f"count. Nothing was {done}. The coordinator should not have sent this command: find out who did, and "
        "start a new promotion.",
        FailureKind.PERMISSION,
    )


def _recorded(target: Order[Any], manifest_digest: str) -> set[str]:
    command, approvals = target.command, target.rules.approvals
    if approvals is None:
        return set()
    said = approvals.decisions(command.promotion, command.stage, manifest_digest)
    if any(not each.approves for each in said):
        return set()
    return {each.person for each in said if entitled.counts(target.rules.policy.approvals, each)}


def _passed_on(target: Order[Any]) -> set[str]:
    evidence = target.command.evidence
    approved = from_json(ApprovalEvidence, evidence.get(APPROVE, {}))
    before = _before_approval(target.command.candidate.kind)
    seen = {step: saw for step, saw in evidence.items() if step in before}
    if approved.on != digest(seen):
        return set()
    policy = target.rules.policy.approvals
    return {each.id for each in approved.given if each.id and entitled.counts(policy, each)}


def _is_among(name: str | None, names: Sequence[str]) -> bool:
    """Whether the name is listed. The case is ignored, since Azure does not preserve it in sizes."""
    return name is not None and name.casefold() in {each.casefold() for each in names}
