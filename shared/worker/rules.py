"""The rules of an environment, as its own worker has them, and what they make of a deployment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from shared.config.policy import Policy
from shared.core.approval import APPROVE, digest
from shared.core.messages import Failed, FailureKind, RunStep
from shared.core.plan import MODEL_PLAN
from shared.core.wire import UndecodableError, from_json
from shared.ports import Approvals, Author, DeploymentFile, Model, RejectedError, Workspace, same_asset
from shared.worker.gates import Verdict
from shared.worker.manifest import Manifest
from shared.worker.target import Target

#: The steps whose evidence an approval that the coordinator takes is bound to.
_BEFORE_APPROVAL = frozenset(step.name for step in takewhile(lambda step: step.name != APPROVE, MODEL_PLAN))


@dataclass(frozen=True)
class Rules:
    """What holds in an environment whatever a command says."""

    policy: Policy = field(default_factory=Policy)
    approvals: Approvals | None = None  #: where the environment's own app takes approvals
    source: Workspace | None = None  #: where models come from, if this environment's identity may read it
    url: str = ""  #: address of this app, for people


def authors(command: RunStep, copy: Model, rules: Rules) -> list[Author]:
    """Who made the candidate: read at its source where this environment may, else as the source's worker told it."""
    if rules.source is not None:
        model = rules.source.model(command.candidate.name, command.candidate.version)
        known = model is not None and same_asset(model.asset_id, copy.origin)
        return list(rules.source.authors(model)) if model is not None and known else []
    told = command.evidence.get("share", {}).get("authors") or []
    try:
        return [from_json(Author, each) for each in told]
    except (UndecodableError, TypeError) as fault:
        raise RejectedError(f"The authors that share told cannot be read: {fault}") from fault


def judge(target: Target, described: DeploymentFile, made_by: Sequence[Author], policy: Policy) -> Iterator[Verdict]:
    """How each rule of the policy is kept, before anybody is asked for approval."""
    if policy.instance_types:
        seen = described.instance_type
        asked = " or ".join(policy.instance_types)
        yield Verdict("policy: instance type", asked, seen or "none named", _is_among(seen, policy.instance_types))
    if policy.max_instances is not None:
        most = described.instances
        holds = most is not None and most <= policy.max_instances
        yield Verdict("policy: instances", f"at most {policy.max_instances}", str(most or "none named"), holds)
    if policy.approvals is not None:
        approval = target.settings.approval
        asked_for = approval.least if approval else 0
        holds = asked_for >= policy.approvals.least
        yield Verdict(
            "policy: approvals", f"at least {policy.approvals.least}", f"the stage asks for {asked_for}", holds
        )
    if policy.not_author:
        known = bool(made_by) and all(each.is_person for each in made_by)
        seen = ", ".join(each.name if each.is_person else f"{each.name} (no person)" for each in made_by) or "unknown"
        holds = known or policy.unknown_author == "allow"
        yield Verdict("policy: author", "a known person, who is kept from approving", seen, holds)


def unapproved(command: RunStep, manifest_digest: str, made_by: Sequence[Author], rules: Rules) -> Failed | None:
    """Why too few people have approved what is about to be deployed, if so: the environment's own record decides where
    it keeps one, else what the coordinator passes on."""
    asked = rules.policy.approvals
    if asked is None:
        return None
    people = _recorded(command, manifest_digest, rules) if rules.policy.taken_by_environment else _passed_on(command)
    kept_out = {each.id for each in made_by} if rules.policy.not_author else set()
    count = len(people - kept_out)
    if count >= asked.least:
        return None
    return Failed(
        f"{command.environment} asks for {asked.least} approvals of exactly this, and {count} count. Nothing was "
        "deployed. Look who sent the command, which the coordinator should not have done, and start a new promotion.",
        FailureKind.PERMISSION,
    )


def approved_then(command: RunStep, rules: Rules) -> Manifest | None:
    """What people looked at when the command's promotion came to its stage: from the environment's own record where it
    keeps one, else as the coordinator passes it on."""
    if not rules.policy.taken_by_environment:
        return Manifest.of(command.evidence)
    found = rules.approvals.request(command.promotion, command.stage) if rules.approvals else None
    return Manifest.of({"validate": found.shown}) if found else None


def _recorded(command: RunStep, manifest_digest: str, rules: Rules) -> set[str]:
    if rules.approvals is None:
        return set()
    said = rules.approvals.decisions(command.promotion, command.stage, manifest_digest)
    return set() if any(not each.approves for each in said) else {each.person for each in said}


def _passed_on(command: RunStep) -> set[str]:
    approve = command.evidence.get(APPROVE, {})
    seen = {step: evidence for step, evidence in command.evidence.items() if step in _BEFORE_APPROVAL}
    if approve.get("on") != digest(seen):
        return set()
    return {each["id"] for each in approve.get("given", ()) if isinstance(each, dict) and each.get("id")}


def _is_among(name: str | None, names: Sequence[str]) -> bool:
    """Azure does not keep the case of sizes."""
    return name is not None and name.casefold() in {each.casefold() for each in names}
