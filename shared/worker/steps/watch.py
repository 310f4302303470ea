"""Watches the new deployment once it has all traffic. If this fails, the stage is rolled back and held."""

from dataclasses import dataclass, field

from shared.core.messages import Failed, FailureKind, Outcome, Running, Succeeded, as_evidence
from shared.core.plan import entry_name
from shared.worker import traffic, watching
from shared.worker.analysis import Analysed
from shared.worker.measured import Measured
from shared.worker.order import Step
from shared.worker.polls import poll_again
from shared.worker.rollout_splits import steps_of
from shared.worker.steps import rollout
from shared.worker.target import SETTLED, Target
from shared.worker.watching import Seen, Watch


@dataclass(frozen=True)
class Watched:
    """What was seen of the new deployment."""

    seen: Seen = field(default_factory=Seen)


def run(target: Target) -> Outcome | Measured:
    asked = target.stage.rollout
    if asked is None or asked.watch is None:
        return Succeeded(as_evidence(Watched()))
    endpoint = target.workspace.endpoint(target.endpoint)
    if endpoint is None:
        return Failed(f"Endpoint {target.endpoint} no longer exists. Start a new promotion.", FailureKind.NOT_FOUND)
    if endpoint.state not in SETTLED:
        waits = poll_again(watching.at_own_pace(target).command, f"endpoint {endpoint.name}: {endpoint.state}")
        return Running(waits.poll_again_after, waits.says, target.command.state, only_reads=True)
    found = traffic.split_of(endpoint)
    if found.traffic != {target.deployment: 100}:
        return traffic.moved_by_somebody(endpoint, found)
    watch = Watch(
        says=f"{target.deployment} gets all traffic",
        lasts=asked.watch,
        asked=asked.model_copy(update={"too_few": "pass"}),
        champion=None,
        before=_before(target),
        ends_without_verdict=True,
    )
    return watching.watched(target, watch, Watched())


def _before(target: Target) -> Analysed | None:
    """What the last step of the rollout saw: the champion has answered nothing since."""
    entries = len(steps_of(target))
    seen = target.if_seen(rollout.STEP, entry_name(rollout.STEP.name, entries)) if entries else None
    return seen.seen.live if seen is not None else None


STEP = Step("watch", run, Watched, Target)
