"""Each violation of what must hold of stages that wait is reported as what it is, and nothing else is."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.core.replacing import replace
from tests.chaos.invariants import violations
from tests.chaos.test_invariants import CHAMPION, REPLACED, SECOND, SOUND, STAGE
from tests.chaos.wait_invariants import OPEN_SECONDS, SOAKED, WINDOWED
from tests.chaos.world import Hold, Line, Promotion, Stage, Step, World

OPEN = datetime(2026, 11, 22, 12, 0, 10, tzinfo=UTC)
CLOSED = OPEN + timedelta(seconds=OPEN_SECONDS)
SECONDS = timedelta(seconds=1)


def world(route: str, promotion: Promotion, **more: object) -> World:
    """Of one lane of a route, whose champion is in the last of its stages."""
    champion, replaced = replace(promotion, route=route), replace(REPLACED, route=route, journal=REPLACED.journal[:1])
    known = tuple(replace(each, route=route) for each in SOUND.serving)
    found = replace(SOUND, promotions=(champion, replaced), serving=known, requests=(), told=())
    return replace(found, **more)  # type: ignore[arg-type]


def windowed(began: datetime, *lines: Line, **more: object) -> World:
    stage = Stage(STAGE, "succeeded", steps=(Step("validate", started=CLOSED), Step("deploy", started=began)))
    journal = (*CHAMPION.journal[:2], *lines, *CHAMPION.journal[2:5], CHAMPION.journal[-1])
    return world(WINDOWED, replace(CHAMPION, stages=(stage,), journal=journal), **more)


def soaked(*lines: Line, other: Line | None = None, again: Line | None = None, **more: object) -> World:
    """`other`: what the promotion of another version did; `again`: what another of the same version did."""
    promotion = replace(CHAMPION, stages=(Stage("test", "succeeded"), Stage(STAGE, "succeeded")), journal=lines)
    found = world(SOAKED, promotion, **more)
    champion, replaced = found.promotions
    if other is not None:
        replaced = replace(replaced, journal=(*replaced.journal, other))
    repeated = replace(replaced, id="again", version=champion.version, requested_by="alice")
    more_of_it = [replace(repeated, journal=(*repeated.journal, again))] if again is not None else []
    return replace(found, promotions=(champion, replaced, *more_of_it))


def line(what: str, stage: str, step: str, seconds: float) -> Line:
    return Line(what, "", stage, step, OPEN + seconds * SECONDS)


REQUESTED = CHAMPION.journal[0]
SERVED, SOAK_ENDED = line("step-succeeded", "test", "shift", 0), line("step-succeeded", STAGE, "soak", 9)
WAITED = line("waits", STAGE, "deploy", -30)
HELD = (Hold((WINDOWED, "", ""), OPEN - 20 * SECONDS, None),)
SOAK_HELD = (Hold((SOAKED, "", STAGE), OPEN - 20 * SECONDS, None),)

BROKEN = {
    f"unsafe: {SECOND} began prod.deploy at {CLOSED}, outside of its window": windowed(CLOSED),
    f"unsafe: {SECOND} ended its wait for a window in front of prod at {OPEN} under the hold": windowed(
        OPEN, WAITED, holds=HELD
    ),
    f"unsafe: the soak of {SECOND} ended 0:00:07 after test came to serve it": soaked(
        REQUESTED, SERVED, line("step-succeeded", STAGE, "soak", 7)
    ),
    f"unsafe: the soak of {SECOND} ended, and test did not serve it then": soaked(
        REQUESTED, SERVED, line("rolled-back", "test", "", 3), SOAK_ENDED
    ),
    f"unsafe: {SECOND} has done prod.validate, and its soak had not ended": soaked(
        REQUESTED, SERVED, line("step-succeeded", STAGE, "validate", 8.5), SOAK_ENDED
    ),
    f"unsafe: {REPLACED.id} took test at {OPEN + SECONDS}, during the soak of {SECOND}": soaked(
        REQUESTED, SERVED, SOAK_ENDED, other=line("step-succeeded", "test", "shift", 1)
    ),
    f"unsafe: {SECOND} ended its soak in front of prod at {SOAK_ENDED.at} under the hold": soaked(
        REQUESTED, SERVED, SOAK_ENDED, holds=SOAK_HELD
    ),
}
SOUNDS = {
    "in the window": windowed(OPEN),
    "it met the hold on its way, and had not waited": windowed(OPEN, holds=HELD),
    "the hold is on another stage": windowed(OPEN, WAITED, holds=(replace(HELD[0], scope=(WINDOWED, "", "other")),)),
    "the hold ended before": windowed(OPEN, WAITED, holds=(replace(HELD[0], until=OPEN - SECONDS),)),
    "the soak was kept": soaked(REQUESTED, SERVED, SOAK_ENDED, line("step-succeeded", STAGE, "validate", 10)),
    "another took the stage before the soak began": soaked(
        REQUESTED, SERVED, SOAK_ENDED, other=line("step-succeeded", "test", "shift", -1)
    ),
    "another promotion of the same version took the stage before": soaked(
        REQUESTED, SERVED, SOAK_ENDED, again=line("step-succeeded", "test", "shift", 1)
    ),
    "it soaked again": soaked(
        REQUESTED,
        SERVED,
        line("rolled-back", "test", "", 3),
        line("step-succeeded", "test", "shift", 5),
        line("step-succeeded", STAGE, "soak", 13),
    ),
}


@pytest.mark.parametrize("text", BROKEN)
def test_each_violation_is_reported_as_what_it_is(text: str) -> None:
    (found,) = violations(BROKEN[text])
    assert str(found).startswith(text)


@pytest.mark.parametrize("case", SOUNDS)
def test_what_waited_for_long_enough_is_no_violation(case: str) -> None:
    assert violations(SOUNDS[case]) == []
