"""Decides whether the candidate may be deployed in this stage, and checks that it can be before anything is spent.

Its evidence has a digest of everything that would be deployed. People approve that digest, and `deploy` deploys nothing
else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.core.messages import Failed, FailureKind, Outcome, Succeeded, as_evidence
from shared.worker import analysis_job, batch_endpoints, evaluation, manifest
from shared.worker.gates import Verdict
from shared.worker.manifest import Manifest
from shared.worker.order import Step
from shared.worker.review import Review, review
from shared.worker.target import Target


@dataclass(frozen=True)
class Validated:
    """What would be deployed, and how the gates were decided."""

    gates: tuple[Verdict, ...]
    manifest: Manifest
    #: What `deploy` changes of the endpoint that exists, by setting: `is → will be`.
    endpoint_changes: Mapping[str, str] = field(default_factory=dict)


def run(target: Target) -> Outcome:
    found = review(target)
    if isinstance(found, Failed):
        return found
    obstacle = evaluation.obstacle(target) if target.stage.evaluate is not None else None
    obstacle = obstacle or analysis_job.obstacle(target) or batch_endpoints.obstacle(target)
    return obstacle or Succeeded(as_evidence(validated(found)))


def validated(found: Review) -> Validated:
    return Validated(tuple(found.verdicts), found.manifest, found.endpoint_changes)


def still_as_validated(target: Target) -> Review | Failed:
    """What would be deployed now, if it is byte for byte what `validate` saw."""
    before = target.if_seen(STEP)
    found = review(target)
    if isinstance(found, Failed):
        return found
    if before is None:
        return Failed(
            f"Nothing was validated for {target.command.stage}, so nothing was deployed. Start a new promotion.",
            FailureKind.CHANGED,
        )
    changed = list(manifest.what_changed(before.manifest, found.manifest))
    if not changed:
        return found
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return Failed(
        f"What would be deployed is not what was validated. Changed since: {'; '.join(changed[:3])}{more}. Nothing was "
        "deployed. Retry to validate it again; the stage asks for approval again if it requires one.",
        FailureKind.CHANGED,
        diagnosis="\n".join(changed[: manifest.MOST_FILES]),
    )


STEP = Step("validate", run, Validated, Target)
