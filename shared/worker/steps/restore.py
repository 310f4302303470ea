"""Gives the traffic back to the champion's deployment. Undoes `shift`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.core.messages import Outcome, Succeeded, as_evidence
from shared.core.wire import from_json
from shared.ports import Capability, Endpoint
from shared.worker.order import Step
from shared.worker.steps import reinstate
from shared.worker.target import SETTLED, Target
from shared.worker.traffic import give_all, predecessor, present


@dataclass(frozen=True)
class Restored:
    """The deployments that take the traffic now, in per cent."""

    traffic: Mapping[str, int] = field(default_factory=dict)


def run(target: Target) -> Outcome:
    """Give the traffic to no deployment if none served before. Traffic on a third deployment stays there."""
    endpoint = target.workspace.endpoint(target.endpoint)
    if endpoint is None:
        return Succeeded(as_evidence(Restored()))
    served = predecessor(target)
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
    return Succeeded(as_evidence(Restored({deployment: 100} if deployment else {})))


def _is_not_ours_to_move(target: Target, endpoint: Endpoint, served: str | None) -> bool:
    """Whether the traffic goes neither to this promotion's deployment nor to the one that served before."""
    serving = present(endpoint)
    if served is None:
        return target.deployment not in serving
    return bool(serving) and not serving.keys() & {target.deployment, served}


STEP = Step("restore", run, Restored, Target, Capability.DEPLOY)
