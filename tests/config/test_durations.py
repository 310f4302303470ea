"""Durations: what is read is what was written."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import durations


@pytest.mark.parametrize(
    ("written", "length"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("20m", timedelta(minutes=20)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("365d", timedelta(days=365)),
    ],
)
def test_each_unit_is_read(written: str, length: timedelta) -> None:
    assert durations.parse(written) == length


@given(st.integers(1, 365 * 24 * 3600 * 1000))
def test_what_is_written_is_read_back(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert durations.parse(durations.text(duration)) == duration


@given(st.integers(1, 365), st.sampled_from(list(durations.UNITS)))
def test_a_duration_is_written_in_the_largest_unit_that_is_exact(number: int, unit: str) -> None:
    duration = durations.parse(f"{number}{unit}")
    written = durations.text(duration)
    assert len(written) <= len(f"{number}{unit}")
    assert durations.parse(written) == duration


@given(st.one_of(st.integers(), st.floats(), st.none(), st.booleans(), st.text("+-.,: 0", max_size=5)))
def test_anything_without_a_unit_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        durations.parse(value)


@pytest.mark.parametrize(
    "written", ["", "5", "ms", "1.5h", "-3s", "3 s", "3S", "1h30m", "٣s", "3s\n", "0s", "366d", "9" * 13 + "s"]
)
def test_a_slip_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="must "):
        durations.parse(written)
