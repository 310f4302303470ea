"""What must hold of stages that wait: nothing is deployed outside of a window, a soak is kept to its end, and no wait
ends under a hold."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tests.chaos.rule_invariants import DECIDES_WITHIN
from tests.chaos.world import Line, Promotion, Stage, World

#: The routes of `team/promotion.yml` with a window, and with a soak.
WINDOWED, SOAKED = "chaos/windowed", "chaos/careful"
SOAK, SOAKED_IN, SOAKED_BY = timedelta(seconds=8), "prod", "test"
#: The steps that begin in a window only, as docs/waiting.md has them; a rollout's have a number, too.
IN_WINDOW = ("make_room", "deploy", "smoke", "rollout", "shift", "retire")
#: A minute is a day of windows: this part of it, from its beginning, is the window.
OPEN_SECONDS = 30


def is_open(moment: datetime) -> bool:
    """Whether the window of `WINDOWED` is open."""
    return moment.astimezone(UTC).second < OPEN_SECONDS


def steps_begun_outside_a_window(world: World) -> Iterator[str]:
    for promotion in world.promotions:
        for stage in promotion.stages if promotion.route == WINDOWED else ():
            for step in stage.steps:
                is_bound = step.name.partition("-")[0] in IN_WINDOW
                if is_bound and step.started is not None and not is_open(step.started):
                    yield f"{promotion.id} began {stage.name}.{step.name} at {step.started}, outside of its window"


def soaks_that_were_cut_short(world: World) -> Iterator[str]:
    """Counted from the line that made it the champion there. No other step of the stage ends before."""
    for promotion in world.promotions:
        if promotion.route != SOAKED:
            continue
        served: datetime | None = None
        is_soaked = False
        for line in promotion.journal:
            if (line.what, line.stage, line.step) == ("step-succeeded", SOAKED_BY, "shift"):
                served = line.at
            elif line.what == "rolled-back" and line.stage == SOAKED_BY:
                served = None
            elif (line.what, line.stage, line.step) == ("step-succeeded", SOAKED_IN, "soak"):
                is_soaked = True
                if served is None:
                    yield f"the soak of {promotion.id} ended, and {SOAKED_BY} did not serve it then"
                elif line.at < served + SOAK:
                    yield f"the soak of {promotion.id} ended {line.at - served} after {SOAKED_BY} came to serve it"
            elif (line.what, line.stage) == ("step-succeeded", SOAKED_IN) and not is_soaked:
                yield f"{promotion.id} has done {SOAKED_IN}.{line.step}, and its soak had not ended"


def soaks_that_another_interrupted(world: World) -> Iterator[str]:
    """Until the soak ended, no other version came to serve the stage before."""
    for promotion in world.promotions:
        served, soaked = _soak_of(promotion)
        if promotion.route != SOAKED or served is None or soaked is None:
            continue
        for other in world.promotions:
            if other.model != promotion.model or other.version == promotion.version:
                continue
            for line in other.journal:
                if _crowns(line) and served < line.at < soaked:
                    yield f"{other.id} took {SOAKED_BY} at {line.at}, during the soak of {promotion.id}"


def _soak_of(promotion: Promotion) -> tuple[datetime | None, datetime | None]:
    """From when the stage before served it, and when the soak had ended."""
    served = [line.at for line in promotion.journal if _crowns(line)]
    soaked = [line.at for line in promotion.journal if (line.what, line.step) == ("step-succeeded", "soak")]
    ended = soaked[-1] if soaked else None
    before = [at for at in served if ended is None or at <= ended]
    return (before[-1] if before else None, ended)


def _crowns(line: Line) -> bool:
    return (line.what, line.stage, line.step) == ("step-succeeded", SOAKED_BY, "shift")


def waits_that_ended_under_a_hold(world: World) -> Iterator[str]:
    for promotion in world.promotions:
        for stage in promotion.stages:
            ended = _ends_of_waits(promotion, stage)
            for what, at in ended:
                for hold in world.holds:
                    begins, ends = hold.since + DECIDES_WITHIN, hold.until
                    is_held = begins <= at and (ends is None or at < ends)
                    if is_held and hold.covers(promotion.route, promotion.model, stage.name):
                        yield f"{promotion.id} ended its {what} in front of {stage.name} at {at} under the hold {hold}"


def _ends_of_waits(promotion: Promotion, stage: Stage) -> Iterator[tuple[str, datetime]]:
    """Each wait of the last attempt that a hold prolongs: a soak, and a window before anything has been deployed."""
    for line in promotion.journal:
        if (line.what, line.stage, line.step) == ("step-succeeded", stage.name, "soak"):
            yield "soak", line.at
    begun = [step for step in stage.steps if step.name in IN_WINDOW and step.started is not None]
    first = min(begun, key=lambda step: step.started or datetime.max.replace(tzinfo=UTC), default=None)
    if first is None or first.started is None:
        return
    entered = max((line.at for line in promotion.journal if _enters(line, stage)), default=first.started)
    waited = any(
        line.what == "waits" and (line.stage, line.step) == (stage.name, first.name) and line.at >= entered
        for line in promotion.journal
    )
    if waited:
        yield "wait for a window", first.started


def _enters(line: Line, stage: Stage) -> bool:
    return line.what == "stage-started" and line.stage == stage.name
