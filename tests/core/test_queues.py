"""The queues of an app by name, and what a sequence number looks like."""

import pytest

from shared.core.queues import MOST_NUMBER, all_queues, environment_of, number_in, reports_queue, steps_queue


def test_every_environment_has_a_queue_each_way_beside_that_of_events() -> None:
    assert all_queues(["dev", "prod"]) == ["promotion-events", "steps-dev", "steps-prod", "reports-dev", "reports-prod"]


def test_a_queue_says_whose_it_is() -> None:
    assert environment_of(steps_queue("dev")) == environment_of(reports_queue("dev")) == "dev"
    assert environment_of("promotion-events") is None


@pytest.mark.parametrize("number", [1, 7, 10, MOST_NUMBER])
def test_a_sequence_number_is_read_as_it_is_written(number: int) -> None:
    assert number_in(str(number)) == number


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "+1", "01", " 1", "1.0", "x", "²", "٣", str(MOST_NUMBER + 1), "9" * 5000]
)
def test_what_no_sequence_number_is_written_as_is_none(text: str) -> None:
    assert number_in(text) is None
