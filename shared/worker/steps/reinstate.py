"""Makes sure that the champion's deployment can take the traffic back, and deploys it again if it was retired.

Runs before `restore` when `shift` is undone. It judges no gates, since the champion has passed them, and brings back
only what was approved then.
"""

from dataclasses import dataclass

from shared.core.asset_names import is_of_registry
from shared.core.messages import Failed, FailureKind, Outcome, Succeeded, as_evidence
from shared.core.replacing import replace
from shared.core.wire import from_json
from shared.ports import Capability
from shared.worker.manifest import Manifest, model_to_deploy
from shared.worker.order import Step
from shared.worker.rules import authors, unapproved
from shared.worker.steps import deploy, evaluate, validate
from shared.worker.target import READY, Target
from shared.worker.traffic import predecessor


@dataclass(frozen=True)
class Reinstated:
    """The champion's deployment, which is ready; None if nothing served before."""

    deployment: str | None = None


def run(target: Target) -> Outcome:
    champion = target.command.champion
    if champion is None:
        return Succeeded(as_evidence(Reinstated()))
    command = replace(
        target.command, promotion=champion.promotion, candidate=champion.candidate, evidence=champion.evidence
    )
    # The files that it was deployed from, if they were in a bundle.
    folder = target.bundles(champion.bundle) if champion.bundle else target.folder
    theirs = replace(target, command=command, folder=folder)
    found = target.workspace.deployment(theirs.endpoint, predecessor(theirs) or theirs.deployment)
    if found is not None and found.state == READY:
        return Succeeded(as_evidence(Reinstated(found.name)))
    made = deploy.deployed(theirs, _as_it_served)
    return Succeeded(as_evidence(Reinstated(theirs.deployment))) if isinstance(made, Succeeded) else made


def _as_it_served(target: Target) -> deploy.Permitted | Failed:
    """The same assets, as approved then, for the same endpoint. Its files may have been fixed since:
    whoever may deploy this app may fix them, and blocking the rollback would be worse."""
    command = target.command
    then, digest = _approved_then(target)
    if then is not None:  # it came to serve under the settings of then
        whose = None if is_of_registry(then.model) else "workspace"
        target = replace(target, settings=target.settings.model_copy(update={"asset": whose}))
    copy = model_to_deploy(target)
    if isinstance(copy, Failed):
        return copy
    if then is None or (then.model, then.origin, then.endpoint) != (copy.asset_id, copy.origin or "", target.endpoint):
        return Failed(
            f"{command.candidate.name}, version {command.candidate.version}, is not what was validated when it started "
            f"to serve {command.stage}. Promote it again.",
            FailureKind.CHANGED,
        )
    refusal = evaluate.passed_then(target) or unapproved(target, digest, authors(target, copy))
    return refusal or deploy.Permitted(copy.asset_id, then.environment)


def _approved_then(target: Target) -> tuple[Manifest | None, str]:
    """What people reviewed when the command's promotion was in its stage, and its digest: from the environment's own
    record if it keeps one, else as the coordinator passes it on."""
    command, rules = target.command, target.rules
    if not rules.policy.taken_by_environment:
        seen = target.if_seen(validate.STEP)
        return (seen.manifest, seen.manifest.digest) if seen is not None else (None, "")
    found = rules.approvals.request(command.promotion, command.stage) if rules.approvals else None
    return (from_json(validate.Validated, found.shown).manifest, found.digest) if found else (None, "")


STEP = Step("reinstate", run, Reinstated, Target, Capability.DEPLOY)
