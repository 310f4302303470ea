"""Watches the new deployment once it has all traffic. If this fails, the stage is rolled back and held."""

from dataclasses import dataclass
from datetime import datetime

from shared.core.messages import Failed, FailureKind, Outcome, Running, Succeeded
from shared.worker import traffic, watching
from shared.worker.order import Step
from shared.worker.polls import poll_again
from shared.worker.rollout_splits import shared_with
from shared.worker.target import SETTLED, Target
from shared.worker.traffic import Split


@dataclass(frozen=True)
class Watched:
    """What was seen of the new deployment."""

    since: datetime | None = None


def run(target: Target) -> Outcome:
    rollout = target.stage.rollout
    if rollout is None or rollout.watch is None:
        return Succeeded()
    endpoint = target.workspace.endpoint(target.endpoint)
    if endpoint is None:
        return Failed(f"Endpoint {target.endpoint} no longer exists. Start a new promotion.", FailureKind.NOT_FOUND)
    if endpoint.state not in SETTLED:
        waits = poll_again(watching.at_own_pace(target).command, f"endpoint {endpoint.name}: {endpoint.state}")
        return Running(waits.poll_again_after, waits.says, target.command.state)
    found = traffic.split_of(endpoint)
    if found.traffic != Split({target.deployment: 100}).traffic:
        return traffic.moved_by_somebody(endpoint, found)
    seen = Watched(watching.since(target))
    says = f"{target.deployment} has all traffic and is watched"
    return watching.watched(target, rollout.watch, says, seen, shared_with(target), ends_without_verdict=True)


STEP = Step("watch", run, Watched, Target)
