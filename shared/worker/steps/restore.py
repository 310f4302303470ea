"""Gives the traffic back to the champion's deployment. Undoes `shift`."""

from pathlib import Path

from shared.core.messages import Outcome, RunStep, Succeeded
from shared.ports import Endpoint, Workspace
from shared.worker.rules import Rules
from shared.worker.steps import reinstate
from shared.worker.target import SETTLED, Target
from shared.worker.traffic import give_all, predecessor, present


def run(command: RunStep, workspace: Workspace, folder: Path, rules: Rules) -> Outcome:
    """To no deployment where none served before. Traffic that somebody gave to a third deployment is left there."""
    target = Target.of(command, folder)
    endpoint = workspace.endpoint(target.endpoint)
    if endpoint is None:
        return Succeeded({"traffic": {}})
    served = predecessor(target, workspace)
    if endpoint.state in SETTLED and _is_not_ours_to_move(target, endpoint, served):
        return Succeeded({"traffic": present(endpoint)})
    # `reinstate` found it ready, but that may have been a while ago.
    again = reinstate.run(command, workspace, folder, rules)
    if not isinstance(again, Succeeded):
        return again
    deployment = again.evidence.get("deployment", served)
    return give_all(target, workspace, endpoint, deployment, {"traffic": {deployment: 100} if deployment else {}})


def _is_not_ours_to_move(target: Target, endpoint: Endpoint, served: str | None) -> bool:
    """Whether the traffic goes neither to this promotion's deployment nor, as it should, to the one that served."""
    serving = present(endpoint)
    if served is None:
        return target.deployment not in serving
    return bool(serving) and not serving.keys() & {target.deployment, served}
