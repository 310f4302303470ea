"""When a step is polled again: according to what its lane knows about it, otherwise less and less often."""

import itertools
from datetime import timedelta

import pytest

from shared.core.messages import Expectation, RunStep
from shared.core.replacing import replace
from shared.worker.polls import FIRST_PAUSE, LONGEST_PAUSE, pause
from tests.steps.promotion import Stage

QUARTER = Expectation(timedelta(minutes=15), timedelta(seconds=40))


def polls(command: RunStep, ends: float) -> list[float]:
    """The seconds at which a step that ends after this many is polled, up to the poll that finds it ended."""
    found, at = [0.0], 0.0
    while at < ends:
        command = replace(command, poll=len(found), not_before=command.started + timedelta(seconds=at))
        at += pause(command).total_seconds()
        found.append(at)
    return found


@pytest.fixture
def known(stage: Stage) -> RunStep:
    return replace(stage.command("deploy", 1), expects=QUARTER)


def test_few_polls_come_until_shortly_before_the_end_and_many_around_it(known: RunStep) -> None:
    found = polls(known, 1000)
    assert [at for at in found if at < 830] == [0.0, 10.0, 60.0, 360.0, 780.0]
    inside = [at for at in found if 840 <= at <= 960]
    assert max(after - before for before, after in itertools.pairwise(inside)) <= 10


def test_what_takes_its_usual_time_is_known_soon(known: RunStep) -> None:
    for ends, most in ((870, 9), (900, 12), (930, 16)):
        found = polls(known, ends)
        assert found[-1] - ends <= 10
        assert len(found) <= most


def test_what_takes_far_longer_is_polled_less_and_less_often(known: RunStep) -> None:
    found = polls(known, 3000)
    late = [after - before for before, after in itertools.pairwise(found) if before > 960]
    assert late == sorted(late)
    assert late[-1] == LONGEST_PAUSE


@pytest.mark.parametrize("usual", [2.5, 30, 60, 7200])
@pytest.mark.parametrize("spread", [0, 1, 10000])
def test_no_pause_is_shorter_than_the_shortest_whatever_is_expected(stage: Stage, usual: float, spread: float) -> None:
    expects = Expectation(timedelta(seconds=usual), timedelta(seconds=spread))
    found = polls(replace(stage.command("deploy", 1), expects=expects), usual * 2)
    assert all(after - before > FIRST_PAUSE - 0.001 for before, after in itertools.pairwise(found))
