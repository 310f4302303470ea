"""Watching a deployment while it takes traffic: for how long, and what becomes of what is seen."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from shared.core.messages import Outcome, Running, Succeeded, as_evidence
from shared.worker.target import Target

#: Between two polls: a tenth of the time that is watched, within these limits.
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=1)


@dataclass(frozen=True)
class Progress:
    """State for the next poll: the step has found its share in place."""

    since: datetime


def since(target: Target) -> datetime:
    """Since when the share is known to be in place."""
    progress = target.state(Progress)
    return progress.since if progress is not None else target.command.not_before


def at_own_pace(target: Target) -> Target:
    """The target for a part of the step whose duration says nothing about the step's."""
    return replace(target, command=replace(target.command, expects=None))


def watched(
    target: Target,
    lasts: timedelta,
    says: str,
    seen: Any,
    champion: str | None,
    counts: bool = True,
    ends_without_verdict: bool = False,
) -> Outcome:
    """The step's answer at this poll. `seen`: its evidence, a dataclass. `champion`: the deployment to compare with."""
    begun, now = since(target), target.command.not_before
    ends = begun + lasts
    if now >= ends:
        return Succeeded(as_evidence(seen))
    pause = min(max(lasts / 10, SHORTEST_PAUSE), LONGEST_PAUSE, max(ends - now, SHORTEST_PAUSE))
    return Running(pause, f"{says} until {ends:%Y-%m-%d %H:%M:%S} UTC", as_evidence(Progress(begun)))
