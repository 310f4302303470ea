"""Determines what would run in this environment, and whether it may, before anybody is asked or anything is spent.

Its evidence has a digest of everything. People approve that digest, and `run` runs nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.core.messages import Champion, Failed, FailureKind, Outcome, Succeeded, as_evidence
from shared.worker.gates import Verdict
from shared.worker.order import Step
from shared.worker.pipeline_order import PipelineOrder
from shared.worker.pipeline_review import PipelineReview, RunManifest, review
from shared.worker.steps import register_components


@dataclass(frozen=True)
class Inspected:
    """What would run, the verdicts of the environment's rules, and what people need to know before they approve."""

    gates: tuple[Verdict, ...]
    manifest: RunManifest
    changed: tuple[str, ...] = ()  #: since the champion's run here
    champion: str | None = None  #: the champion's source job, if there is a champion
    metrics: Mapping[str, float] = field(default_factory=dict)  #: of the source's run, on the source's data


def run(order: PipelineOrder) -> Outcome:
    found = review(order)
    return found if isinstance(found, Failed) else Succeeded(as_evidence(inspected(order, found)))


def inspected(order: PipelineOrder, found: PipelineReview) -> Inspected:
    champion: Champion | None = order.command.champion
    return Inspected(
        tuple(found.verdicts),
        found.manifest,
        tuple(found.changed),
        champion.candidate.version if champion else None,
        order.seen(register_components.STEP).figures.metrics,
    )


def still_as_inspected(order: PipelineOrder) -> PipelineReview | Failed:
    """Return what would run now, if every byte of code and every version of the data is what `inspect` saw."""
    before = order.if_seen(STEP)
    if before is None:
        return Failed(
            f"Nothing was inspected for {order.command.stage}, so nothing was run. Start a new promotion.",
            FailureKind.CHANGED,
        )
    found = review(order, before.manifest)
    if isinstance(found, Failed) or found.manifest.digest == before.manifest.digest:
        return found
    changed = "; ".join(_differences(before.manifest, found.manifest))
    return Failed(
        f"What would run is not what was inspected. Changed since: {changed}. Nothing was run. Retry to inspect it "
        "again; the stage asks for approval again if it requires one.",
        FailureKind.CHANGED,
    )


def _differences(before: RunManifest, now: RunManifest) -> list[str]:
    steps = sorted(before.components.keys() | now.components.keys())
    found = [f"step {name}" for name in steps if before.components.get(name) != now.components.get(name)]
    inputs = sorted(before.inputs.keys() | now.inputs.keys())
    found += [f"input {name}" for name in inputs if before.inputs.get(name) != now.inputs.get(name)]
    found += ["the compute"] if before.compute != now.compute else []
    found += ["the identity"] if before.identity != now.identity else []
    return found or ["a setting, a rule of the environment or the pipeline's author"]


STEP = Step("inspect", run, Inspected, PipelineOrder)
