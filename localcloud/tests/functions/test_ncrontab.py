"""NCRONTAB expressions and intervals."""

from datetime import datetime, timedelta

import pytest

from localcloud.functions.ncrontab import fires_more_than_once_a_minute, parse_schedule

# A Friday.
NOW = datetime(2026, 11, 20, 10, 30, 15, 500_000)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("0 */5 * * * *", datetime(2026, 11, 20, 10, 35)),
        ("*/5 * * * *", datetime(2026, 11, 20, 10, 35)),
        ("* * * * * *", datetime(2026, 11, 20, 10, 30, 16)),
        ("15 30 10 * * *", datetime(2026, 11, 21, 10, 30, 15)),
        ("0 0 9-17 * * Mon-Fri", datetime(2026, 11, 20, 11)),
        ("0 0 9 * * 1", datetime(2026, 11, 23, 9)),
        ("0 0 9 * * SUN,sat", datetime(2026, 11, 21, 9)),
        ("0 0 0 29 2 *", datetime(2028, 2, 29)),
        ("0 0 0 1 Jan *", datetime(2027, 1, 1)),
        ("0 0 0 31 12 *", datetime(2026, 12, 31)),
        # Both the day of the month and of the week must match, unlike in cron.
        ("0 0 0 13 * 5", datetime(2027, 8, 13)),
        ("30 10/20 * * * *", datetime(2026, 11, 20, 10, 30, 30)),
        ("01:30:00", NOW + timedelta(minutes=90)),
    ],
)
def test_next_occurrence(schedule: str, expected: datetime) -> None:
    assert parse_schedule(schedule).next_after(NOW) == expected


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ("* * *", "six fields"),
        ("60 * * * * *", "second '60'.*0 to 59"),
        ("0 0 0 * * 7", "day-of-week '7'.*0 to 6"),
        ("0 */0 * * * *", "step must be at least 1"),
        ("0 x * * * *", "minute 'x'"),
        ("0 30-10 * * * *", "minute '30-10'"),
        ("00:00:00", "must be positive"),
        ("24:00:00", "hh:mm:ss"),
    ],
)
def test_wrong_schedule_is_named(schedule: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_schedule(schedule)


def test_date_that_never_comes_is_an_error() -> None:
    with pytest.raises(ValueError, match="never fires"):
        parse_schedule("0 0 0 30 2 *").next_after(NOW)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("*/30 * * * * *", True), ("0 * * * * *", False), ("00:00:59", False), ("00:00:10", True)],
)
def test_frequent_schedules_are_not_monitored(schedule: str, expected: bool) -> None:
    assert fires_more_than_once_a_minute(parse_schedule(schedule), NOW) is expected
