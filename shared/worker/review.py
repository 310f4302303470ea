"""Looks at everything that would be deployed, and decides on gates and rules: for `validate`, and again for the steps
that act on that later."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.core.messages import Failed, FailureKind, RunStep
from shared.ports import Author, Workspace
from shared.worker import gates, manifest, rules, smoke_file
from shared.worker.gates import Verdict
from shared.worker.manifest import Manifest
from shared.worker.rules import Rules
from shared.worker.target import Target


@dataclass(frozen=True)
class Review:
    """A candidate that may be deployed here, as far as nobody has to be asked."""

    verdicts: Sequence[Verdict]
    manifest: Manifest
    authors: Sequence[Author]


def review(target: Target, workspace: Workspace, ours: Rules) -> Review | Failed:
    """Raises `RejectedError` for a wrong file. A gate that does not hold is found out before anything is read."""
    command = target.command
    shared = command.evidence.get("share", {})
    verdicts = gates.judge(target.settings.gates, target.require_tags, shared, command.champion)
    if refusal := _refusal(command, verdicts):
        return refusal
    found = _obstacle_or_review(target, workspace, ours, verdicts)
    return found if isinstance(found, Review) or found.evidence else replace(found, evidence=evidence_of(verdicts))


def _obstacle_or_review(
    target: Target, workspace: Workspace, ours: Rules, verdicts: Sequence[Verdict]
) -> Review | Failed:
    described = workspace.deployment_file(target.deployment_file)
    if target.smoke_file and target.settings.smoke:
        smoke_file.read(target.smoke_file, target.settings.smoke.tolerance)
    endpoint = workspace.endpoint(target.endpoint)
    if endpoint and not target.owns(endpoint):
        return Failed(target.not_ours(), FailureKind.CONFLICT)
    copy = manifest.registry_copy(target.command, workspace)
    if isinstance(copy, Failed):
        return copy
    if region := workspace.missing_region():  # Azure refuses to use a registry in a region that it is not replicated to
        return Failed(
            f"The registry is not replicated to {region}, where the workspace of {target.command.environment} is, so "
            "nothing in it can be deployed there. Add the region to the registry, then retry.",
            FailureKind.NOT_FOUND,
        )
    made_by = rules.authors(target.command, copy, ours)
    verdicts = [*verdicts, *rules.judge(target, described, made_by, ours.policy)]
    if refusal := _refusal(target.command, verdicts):
        return refusal
    return Review(verdicts, manifest.read(target, copy, described, verdicts, made_by), made_by)


def still_as_validated(target: Target, workspace: Workspace, ours: Rules) -> Review | Failed:
    """What would be deployed now, if that is what `validate` saw to the last byte."""
    before = Manifest.of(target.command.evidence)
    found = review(target, workspace, ours)
    if isinstance(found, Failed):
        return found
    if before is None:
        return Failed(
            f"Nothing was validated for {target.command.stage}, so nothing is deployed. Start a new promotion.",
            FailureKind.CHANGED,
        )
    changed = list(manifest.what_changed(before, found.manifest))
    if not changed:
        return found
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return Failed(
        f"What would be deployed is not what was validated: changed since: {'; '.join(changed[:3])}{more}. Nothing was "
        "deployed. Retry: that validates it anew, and asks for approval again where the stage does.",
        FailureKind.CHANGED,
        diagnosis="\n".join(changed[: manifest.MOST_FILES]),
    )


def evidence_of(verdicts: Sequence[Verdict]) -> dict[str, object]:
    return {"gates": [verdict.as_evidence() for verdict in verdicts]}


def _refusal(command: RunStep, verdicts: Sequence[Verdict]) -> Failed | None:
    refused = [verdict for verdict in verdicts if not verdict.holds]
    if not refused:
        return None
    reasons = "; ".join(f"{each.gate}: asked for {each.asked}, seen {each.seen}" for each in refused)
    text = f"Refused for {command.stage}: {reasons}."
    return Failed(text, FailureKind.REFUSED, gates.table(verdicts), evidence_of(verdicts))
