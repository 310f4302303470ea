"""Lengths of time in words."""

from datetime import timedelta

import pytest

from shared.core.durations import in_words


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(milliseconds=500), "500 ms"),
        (timedelta(seconds=20), "20 s"),
        (timedelta(seconds=90), "90 s"),
        (timedelta(minutes=15), "15 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=72), "72 h"),
        (timedelta(days=30), "30 d"),
        (timedelta(hours=100), "100 h"),
    ],
)
def test_a_length_is_said_in_the_largest_unit_that_people_count_it_in(length: timedelta, words: str) -> None:
    assert in_words(length) == words
