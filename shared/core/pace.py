"""How long the steps of a lane took before, and what that lets expect. Part of the rules in `lane.py`.

Only what succeeded counts, and only what was waited for: a step that answers at its first poll needs no plan. A step
that waited for somebody else's job says nothing about the step.

Nobody sees the end itself. It lies between the last poll that found the step under way and the one that found it done,
so both times are remembered: rare polls are then not taken for slow steps.

Times count from the answer of the first poll, which has Azure begin its work. What no poll found under way for long is
not remembered: a process that has just started takes long for its polls, since it imports the SDK first.
"""

from datetime import datetime, timedelta
from statistics import median

from shared.core.messages import Expectation
from shared.core.promotion import Lane, StageRun, StepRun
from shared.core.replacing import replace

#: So many times of a step are remembered, and so many steps.
TIMES, STEPS = 9, 60
#: Nothing is expected of what was not seen under way for so long: it is polled again that soon anyway.
SHORTEST = timedelta(seconds=10)


def remembered(lane: Lane, stage: StageRun, step: StepRun, now: datetime) -> Lane:
    """The lane once it knows how long the step took, which has succeeded now."""
    began, last = step.first_running, step.seen_running
    if began is None or last is None or last - began < SHORTEST or _waited_for_others(step):
        return lane
    name = _name(stage, step)
    bounds = tuple(round((at - began).total_seconds(), 1) for at in (last, now))
    times = (*lane.durations.get(name, ()), (bounds[0], bounds[1]))[-TIMES:]
    others = {other: kept for other, kept in lane.durations.items() if other != name}
    latest = list({**others, name: times}.items())[-STEPS:]
    return replace(lane, durations=dict(latest))


def expectation(lane: Lane, stage: StageRun, step: StepRun) -> Expectation | None:
    """What can be expected of the step; None where it was never waited for."""
    times = lane.durations.get(_name(stage, step))
    if not times:
        return None
    bounds = [bound for each in times for bound in each]
    usual = median(bounds)
    return Expectation(timedelta(seconds=usual), timedelta(seconds=median(abs(each - usual) for each in bounds)))


def _name(stage: StageRun, step: StepRun) -> str:
    return f"{stage.name}.{step.plan.name}"


def _waited_for_others(step: StepRun) -> bool:
    """Whether the step has another deadline than it began with: `awaiting.py` gives it one."""
    return step.started is not None and step.deadline != step.started + step.plan.limit
