"""What a worker did after the lane had given up on its step is undone, whatever the lane has done since."""

from datetime import timedelta

import pytest

from shared.core.lane import Decision, decide
from shared.core.late import MOST_LATE_POLLS
from shared.core.messages import FIRST_LATE_POLL, Running, RunStep, StepReported, Succeeded
from shared.core.promotion import Lane
from shared.core.replacing import replace
from tests.core.driver import LaneDriver
from tests.core.world import BROKEN, KEY, NOW, answer, requested

ONE_STAGE: dict[str, tuple[str, ...]] = {"prod": ()}
LATER = NOW + timedelta(minutes=30)


def deployed_late(lane: Lane) -> tuple[LaneDriver, StepReported]:
    """A lane whose deployment is polled a second time, and the report of the first poll, whose worker had paused."""
    driver = LaneDriver(decide(lane, requested("1", ONE_STAGE), NOW).lane)
    driver.run(lambda command: command.step == "deploy")
    [first] = driver.in_flight()
    driver.apply(answer(first, Running(timedelta(seconds=1), "being made")))
    return driver, answer(first, Succeeded({"saw": "deploy"}))


def failed_at(step: str) -> tuple[LaneDriver, StepReported]:
    """The same once this step has failed, at the start of the way back."""
    driver, late = deployed_late(Lane(KEY))
    driver.run(lambda command: command.step == step)
    [command] = driver.in_flight()
    driver.apply(answer(command, BROKEN))
    return driver, late


def undoing(decision: Decision) -> list[tuple[str, bool]]:
    """The commands beyond those in flight before: each step, and whether it cleans up a late effect."""
    return [(command.step, command.poll > FIRST_LATE_POLL) for command in decision.commands]


def test_an_effect_that_comes_while_it_is_being_undone_is_undone_once_more() -> None:
    """The undo may have looked before the effect was there."""
    driver, late = failed_at("smoke")
    decision = decide(driver.lane, late, LATER)
    assert decision.stale
    assert undoing(decision) == [("remove", False), ("remove", True)]
    assert len({command.message_id for command in decision.commands}) == 2


def test_an_effect_whose_undo_is_still_to_come_is_left_to_it() -> None:
    driver, late = failed_at("shift")
    assert undoing(decide(driver.lane, late, LATER)) == [("reinstate", False)]


def test_an_effect_that_comes_after_the_way_back_is_undone() -> None:
    driver, late = failed_at("smoke")
    driver.run()
    assert undoing(decide(driver.lane, late, LATER)) == [("remove", True)]


@pytest.mark.parametrize("until", ["smoke", "nothing"])
def test_an_effect_that_is_wanted_stays(until: str) -> None:
    driver, late = deployed_late(Lane(KEY))
    driver.run(lambda command: command.step == until)
    in_flight = [command.step for command in driver.in_flight()]
    assert undoing(decide(driver.lane, late, LATER)) == [(step, False) for step in in_flight]


def test_the_clean_up_of_a_late_effect_goes_on_until_it_is_done() -> None:
    driver, late = failed_at("smoke")
    driver.run()
    [removing] = decide(driver.lane, late, LATER).commands
    assert isinstance(removing, RunStep)
    [again] = decide(driver.lane, answer(removing, Running(timedelta(seconds=1), "going")), LATER).commands
    assert (again.step, again.poll) == ("remove", removing.poll + 1)
    assert again.not_before > removing.not_before
    assert decide(driver.lane, answer(again), LATER).commands == ()


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_clean_up_that_does_not_end_is_given_up(beyond: int) -> None:
    driver, late = failed_at("smoke")
    driver.run()
    [removing] = decide(driver.lane, late, LATER).commands
    last = replace(removing, poll=FIRST_LATE_POLL + MOST_LATE_POLLS + beyond)
    assert decide(driver.lane, answer(last, Running(timedelta(seconds=1), "going")), LATER).commands == ()
