"""Gives the new deployment its share of one step of the rollout, and watches it there for the step's time.

The same step may be in a plan several times, with a growing share. `restore` gives the traffic back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.core.messages import Failed, FailureKind, Outcome, Running, Succeeded, as_evidence
from shared.core.replacing import replace
from shared.core.wire import UndecodableError
from shared.ports import Capability, Endpoint
from shared.worker import traffic, watching
from shared.worker.measured import Measured
from shared.worker.order import Step
from shared.worker.rollout_splits import left_after, shared_with, steps_of
from shared.worker.target import Target
from shared.worker.watching import Progress, Seen, Watch


@dataclass(frozen=True)
class RolledOut:
    """What the step gave the new deployment, and what was seen of it."""

    traffic: Mapping[str, int] = field(default_factory=dict)  #: per cent by deployment, during the step
    mirror: Mapping[str, int] = field(default_factory=dict)  #: per cent of the requests that were copied
    seen: Seen = field(default_factory=Seen)
    left_out: str = ""  #: why nothing was divided, in a sentence; empty if it was


@dataclass(frozen=True)
class Entry:
    """The step's options in the plan."""

    entry: int  #: its number in the rollout, from 1


def run(target: Target) -> Outcome | Measured:
    entry = target.options(Entry).entry
    endpoint = target.workspace.endpoint(target.endpoint)
    if endpoint is None:
        return Failed(f"Endpoint {target.endpoint} no longer exists. Start a new promotion.", FailureKind.NOT_FOUND)
    champion = shared_with(target)
    if champion is None:
        return _left_out(target, endpoint)
    progress = target.state(Progress)
    wanted = left_after(target, champion, entry)
    # Once it has been read back, nothing else is ours any more.
    left = () if progress is not None else (left_after(target, champion, entry - 1),)
    moved = traffic.give(watching.at_own_pace(target), endpoint, wanted, left)
    if isinstance(moved, Running) and progress is not None:
        return replace(moved, state=as_evidence(progress), only_reads=True)
    if not isinstance(moved, Succeeded):
        return moved
    return watching.watched(target, _watch(target, entry, champion), RolledOut(wanted.traffic, wanted.mirror))


def _watch(target: Target, entry: int, champion: str) -> Watch:
    step, asked = steps_of(target)[entry - 1], target.stage.rollout
    if asked is None:
        raise UndecodableError("the stage's settings have no rollout")
    what = f"{step.of_live} % of the traffic" if step.of_live else f"copies of {step.of_copies} % of the requests"
    says = f"{target.deployment} gets {what}"
    return Watch(says, step.lasts, asked, champion, counts=bool(step.of_live))


def _left_out(target: Target, endpoint: Endpoint) -> Outcome:
    """Where nothing serves, there is nothing to divide: `shift` gives the new deployment everything."""
    strangers = {name: share for name, share in traffic.present(endpoint).items() if name != target.deployment}
    if strangers:
        return traffic.moved_by_somebody(endpoint, traffic.split_of(endpoint))
    why = "Nothing served here before, so there is nothing to divide the traffic with."
    return Succeeded(as_evidence(RolledOut(left_out=why)))


STEP = Step("rollout", run, RolledOut, Target, Capability.DEPLOY)
