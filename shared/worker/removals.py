"""Removes several deployments of an endpoint, one after the other: Azure ML runs one operation on an endpoint at a
time."""

from collections.abc import Sequence

from shared.ports import Deployment
from shared.worker.target import DELETING, Target


def start_one(target: Target, deployments: Sequence[Deployment]) -> None:
    """Start to remove one of the deployments, unless one of them is being removed already."""
    waiting = [each for each in deployments if each.state != DELETING]
    if len(waiting) == len(deployments):
        target.workspace.start_removal(target.endpoint, waiting[0].name)


def says(names: Sequence[str]) -> str:
    """What is happening, in words."""
    return f"being removed: {', '.join(names)}"
