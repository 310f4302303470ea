"""Gives the traffic back to the champion's deployment. Undoes `shift` and the steps of a rollout."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.core.messages import Failed, FailureKind, Outcome, Running, Succeeded, as_evidence
from shared.core.wire import from_json
from shared.ports import Capability, Endpoint, ForbiddenError, RejectedError, UnavailableError
from shared.worker import analysis_job, monitors
from shared.worker.order import Step
from shared.worker.rollout_splits import all_left, shared_with, steps_of
from shared.worker.steps import reinstate
from shared.worker.target import SETTLED, Target
from shared.worker.traffic import Split, give_all, moved_by_somebody, predecessor, present, split_of

#: The traffic is back: the rollback does not wait for a monitor after this poll.
_LAST_WAIT = 10


@dataclass(frozen=True)
class Restored:
    """The deployments that take the traffic now, in per cent."""

    traffic: Mapping[str, int] = field(default_factory=dict)
    monitor_left: str | None = None  #: why the stage's monitor may watch another deployment; None if it does not
    job_left: str | None = None  #: why a job of the rollout may run on; None if it does not


@dataclass(frozen=True)
class Undone:
    """The options of the last step that was begun."""

    entry: int | None = None  #: its number in the rollout; None for the step that gives all traffic


def run(target: Target) -> Outcome:
    """Once the traffic is back, cancel what still measures it. A rollback does not fail for that."""
    outcome = _restored(target)
    left = analysis_job.call_off(target) if isinstance(outcome, Succeeded) else None
    if left is None or not isinstance(outcome, Succeeded):
        return outcome
    return Succeeded(as_evidence(replace(from_json(Restored, outcome.evidence), job_left=left)), outcome.says)


def _restored(target: Target) -> Outcome:
    """Give the traffic to no deployment if none served before. Traffic on a third deployment stays there."""
    endpoint = target.workspace.endpoint(target.endpoint)
    if endpoint is None:
        return Succeeded(as_evidence(Restored()))
    served = predecessor(target)
    moved_since = _moved_since(target, endpoint)
    if moved_since is not None:
        return moved_since
    if endpoint.state in SETTLED and _is_not_ours_to_move(target, endpoint, served):
        return Succeeded(as_evidence(Restored(present(endpoint))))
    # `reinstate` found it ready, but maybe a while ago.
    again = reinstate.run(target)
    if not isinstance(again, Succeeded):
        return again
    deployment = from_json(reinstate.Reinstated, again.evidence).deployment or served
    moved = give_all(target, endpoint, deployment)
    if not isinstance(moved, Succeeded):
        return moved
    return _with_monitor(target, deployment, Restored({deployment: 100} if deployment else {}))


def _with_monitor(target: Target, deployment: str | None, restored: Restored) -> Outcome:
    """Point the stage's monitor back, too. A rollback does not fail for it."""
    try:
        watched = monitors.watch(target, deployment) if deployment else Succeeded()
    except UnavailableError as fault:
        if target.command.poll < _LAST_WAIT:
            raise
        watched = Failed(str(fault), FailureKind.UNKNOWN)
    except (ForbiddenError, RejectedError) as fault:
        watched = Failed(str(fault), FailureKind.BAD_CONFIG)
    if isinstance(watched, Running) and target.command.poll < _LAST_WAIT:
        return watched
    left = watched.reason if isinstance(watched, Failed) else watched.says if isinstance(watched, Running) else None
    return Succeeded(as_evidence(replace(restored, monitor_left=left)))


def _is_not_ours_to_move(target: Target, endpoint: Endpoint, served: str | None) -> bool:
    """Whether the traffic goes neither to this promotion's deployment nor to the one that served before."""
    serving = present(endpoint)
    if served is None:
        return target.deployment not in serving
    return bool(serving) and not serving.keys() & {target.deployment, served}


def _moved_since(target: Target, endpoint: Endpoint) -> Outcome | None:
    """The answer if the stage has a rollout and somebody has moved the traffic since: it stays where it is."""
    champion = shared_with(target) if steps_of(target) else None
    if champion is None or endpoint.state not in SETTLED:
        return None
    found = split_of(endpoint)
    if found in _may_have_left(target, champion):
        return None
    if target.deployment not in found.deployments:
        return Succeeded(as_evidence(Restored(found.traffic)))
    return moved_by_somebody(endpoint, found)


def _may_have_left(target: Target, champion: str) -> list[Split]:
    """What the steps that were begun may have left, and what this step leaves."""
    entries = target.options(Undone).entry
    if entries is not None:
        return [*all_left(target, champion, entries)]
    return [*all_left(target, champion, len(steps_of(target))), Split({target.deployment: 100})]


STEP = Step("restore", run, Restored, Target, Capability.DEPLOY)
