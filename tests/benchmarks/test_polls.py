"""The promises about polls hold in the simulation that the benchmark prints."""

from datetime import timedelta
from statistics import median

import pytest

from benchmarks.polls import MOST_POLLS, MOST_SECONDS, polled

QUARTER = timedelta(minutes=15)


@pytest.mark.parametrize("spread", [0.02, 0.05, 0.1])
def test_a_deployment_of_a_quarter_of_an_hour_costs_few_polls_and_its_end_is_known_soon(spread: float) -> None:
    found = polled(QUARTER, spread, knows=True)
    assert median(found.polls) <= MOST_POLLS
    assert median(found.unnoticed) <= MOST_SECONDS


def test_without_what_the_lane_knows_it_took_three_times_as_many() -> None:
    assert median(polled(QUARTER, 0.05, knows=False).polls) > 3 * MOST_POLLS
