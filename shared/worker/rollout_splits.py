"""What each step of a rollout leaves behind: how the endpoint's requests are divided after it."""

from collections.abc import Iterator

from shared.config.rollout import RolloutStep
from shared.worker.steps import deploy
from shared.worker.target import Target
from shared.worker.traffic import Split, predecessor


def steps_of(target: Target) -> tuple[RolloutStep, ...]:
    """The steps of the stage's rollout; none if it has no rollout."""
    return target.stage.rollout.steps if target.stage.rollout is not None else ()


def shared_with(target: Target) -> str | None:
    """The deployment that the traffic is divided with: what served when this promotion deployed its own. None if
    nothing served then, or the endpoint was new: nothing can be divided."""
    return predecessor(target) if target.seen(deploy.STEP).traffic_before else None


def left_after(target: Target, champion: str, entry: int) -> Split:
    """How the requests are divided after a step of the rollout, by its number. Before the first, 0, the champion takes
    all of them."""
    if not entry:
        return Split({champion: 100})
    step = steps_of(target)[entry - 1]
    mirror = {target.deployment: step.of_copies} if step.of_copies else {}
    traffic = {champion: 100 - step.of_live, **({target.deployment: step.of_live} if step.of_live else {})}
    return Split(traffic, mirror)


def all_left(target: Target, champion: str, entries: int) -> Iterator[Split]:
    """What this promotion may have left until the step with this number has ended."""
    return (left_after(target, champion, entry) for entry in range(entries + 1))
