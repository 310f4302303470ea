"""Each violation of what must hold of pipelines that run again is reported as what it is, and nothing else is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.chaos.invariants import violations
from tests.chaos.rerun_invariants import MOST_FOR_DRIFT
from tests.chaos.test_invariants import BUNDLE, SOUND
from tests.chaos.training import AGAIN_ROUTE
from tests.chaos.world import Breach, Hold, Line, Promotion, Stage, World

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
STAGE = "prod"
RUN = "monitors-1"


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def promotion(name: str, asked: float, by: str, crowned: float | None, *lines: Line) -> Promotion:
    text = "chaos/again, as it ran in job 1 from dev, by event-grid"
    if by != "event-grid":
        text = f"chaos/again runs again, by {by}: drift (run {RUN})"
    crowns = [Line("step-succeeded", "done", STAGE, "register_model", at(crowned))] if crowned is not None else []
    journal = (Line("requested", text, at=at(asked)), *crowns, *lines)
    status = "succeeded" if crowned is not None else "failed"
    stage = Stage(STAGE, status)
    return Promotion(name, AGAIN_ROUTE, AGAIN_ROUTE, "1", status, by, (stage,), journal, BUNDLE)


FIRST = promotion("first", 0, "event-grid", 5)
BY_SCHEDULE = promotion("slot", 36, "the schedule", 40)


def world(*runs: Promotion, **more: object) -> World:
    made = tuple((f"again-one {number}", each.id) for number, each in enumerate(runs) if each.status == "succeeded")
    found = replace(SOUND, promotions=(*SOUND.promotions, *runs), made=made)
    return replace(found, **more)  # type: ignore[arg-type]


def drift(number: int, asked: float) -> Promotion:
    return promotion(f"drift-{number}", asked, "monitor chaos-drift", asked + 3)


HELD = Hold((AGAIN_ROUTE, "", ""), at(20), None)
BREACH = Breach("monitors-2", at(60))
BROKEN = {
    f"doubled: slot ran by schedule at {at(36)}, and again had run at {at(36)}": world(
        FIRST, BY_SCHEDULE, promotion("again", 36, "the schedule", None, Line("step-failed", "x", STAGE, at=at(37)))
    ),
    f"doubled: early ran by schedule at {at(30)}, and first had come to serve at {at(5)}": world(
        FIRST, promotion("early", 30, "the schedule", 33)
    ),
    "doubled: drift-2 ran for drift 0:00:10 after drift-1": world(FIRST, drift(1, 20), drift(2, 30)),
    f"doubled: {MOST_FOR_DRIFT + 1} runs for drift in a month": world(
        FIRST, *(drift(number, 20 + number * 30) for number in range(MOST_FOR_DRIFT + 1))
    ),
    f"unsafe: slot ran again at {at(36)} under the hold": world(FIRST, BY_SCHEDULE, holds=(HELD,)),
    f"lost: nothing ran by schedule from {at(5)} to {at(200)}": world(FIRST, scheduled=((at(0), at(200)),)),
    f"lost: nothing ran by schedule from {at(40)} to {at(220)}": world(
        FIRST, BY_SCHEDULE, scheduled=((at(0), at(220)),)
    ),
    "lost: run monitors-2 of the monitor found drift": world(FIRST, breaches=(BREACH,)),
    "doubled: first has registered 2 models: again-one 0, again-one 1": world(
        FIRST, made=(("again-one 0", "first"), ("again-one 1", "first"))
    ),
    "lost: first has succeeded, and no model names it": world(FIRST, made=()),
    "orphaned: job left-over of prod still runs": world(unfinished=("left-over",)),
}
SOUNDS = {
    "the schedule": world(FIRST, BY_SCHEDULE),
    "what came in between was rolled back": world(
        FIRST,
        promotion("undone", 20, "alice", 22, Line("rolled-back", "alice: why", STAGE, at=at(25))),
        promotion("slot", 51, "the schedule", 55),
    ),
    "the schedule was published": world(FIRST, BY_SCHEDULE, scheduled=((at(0), at(180)),)),
    "the schedule was held": world(FIRST, scheduled=((at(0), at(200)),), may_hold=(replace(HELD, until=at(60)),)),
    "nothing served by schedule": world(scheduled=((at(0), at(300)),)),
    "drift again after a while": world(FIRST, drift(1, 20), drift(2, 40)),
    "the breach has run": world(FIRST, drift(1, 20), breaches=(Breach(RUN, at(19)),)),
    "the breach came within a pause": world(FIRST, drift(1, 45), breaches=(BREACH,)),
    "nothing served yet": world(FIRST, breaches=(replace(BREACH, at=at(4)),)),
    "it may have been held": world(FIRST, breaches=(BREACH,), may_hold=(HELD,)),
    "a rollback held it": world(
        replace(FIRST, journal=(*FIRST.journal, Line("rolled-back", "alice: why", STAGE, at=at(50)))),
        breaches=(BREACH,),
    ),
}


@pytest.mark.parametrize("text", BROKEN)
def test_each_violation_is_reported_as_what_it_is(text: str) -> None:
    found = [str(each) for each in violations(BROKEN[text])]
    assert found
    assert found[0].startswith(text)
    assert len(found) <= 2, "a slot that ran twice is noticed from both sides"


@pytest.mark.parametrize("case", SOUNDS)
def test_what_ran_when_it_should_is_no_violation(case: str) -> None:
    assert violations(SOUNDS[case]) == []
