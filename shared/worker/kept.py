"""The deployments that earlier promotions of a lane replaced and keep. The next one removes them before it deploys."""

from collections.abc import Sequence

from shared.ports import Deployment, Endpoint
from shared.worker.target import Target
from shared.worker.traffic import predecessor, split_of


def by_others(target: Target, endpoint: Endpoint) -> Sequence[Deployment]:
    """The lane's deployments that get no requests and that nobody would return the traffic to."""
    serving = predecessor(target)
    if serving is None:
        return ()
    needed = {serving, target.deployment, *split_of(endpoint).deployments}
    found = target.workspace.deployments(target.endpoint)
    return [each for each in found if target.is_of_this_lane(each) and each.name not in needed]
