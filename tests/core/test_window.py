"""When a window is open, and when it opens next, through changes of the clocks."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.window import MINUTES_OF_DAY, Window, in_zone, opens

MINUTE = timedelta(minutes=1)
BERLIN = "Europe/Berlin"
OFFICE = Window((0, 1, 2, 3), 9 * 60, 16 * 60, BERLIN)
FRIDAY_NIGHT = Window((4,), 22 * 60, 2 * 60, BERLIN)
ALL_OF_SUNDAY = Window((6,), 0, MINUTES_OF_DAY, BERLIN)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("window", "now", "expected"),
    [
        (OFFICE, "2026-11-23T09:00+01:00", "2026-11-23T09:00+01:00"),  # a Monday: open
        (OFFICE, "2026-11-23T15:59:59+01:00", "2026-11-23T15:59:59+01:00"),
        (OFFICE, "2026-11-23T08:59:59+01:00", "2026-11-23T09:00+01:00"),
        (OFFICE, "2026-11-23T16:00+01:00", "2026-11-24T09:00+01:00"),  # the end is outside
        (OFFICE, "2026-11-26T16:00+01:00", "2026-11-30T09:00+01:00"),  # over the weekend
        (OFFICE, "2026-11-23T07:59+00:00", "2026-11-23T08:00+00:00"),  # the zone is the window's, not the clock's
        (OFFICE, "2026-03-26T16:00+01:00", "2026-03-30T09:00+02:00"),  # summer time begins on the 29th
        (OFFICE, "2026-10-22T16:00+02:00", "2026-10-26T09:00+01:00"),  # and ends on the 25th of October
        (FRIDAY_NIGHT, "2026-11-27T23:00+01:00", "2026-11-27T23:00+01:00"),
        (FRIDAY_NIGHT, "2026-11-28T01:59+01:00", "2026-11-28T01:59+01:00"),  # on Saturday it is still Friday's
        (FRIDAY_NIGHT, "2026-11-28T02:00+01:00", "2026-12-04T22:00+01:00"),
        (FRIDAY_NIGHT, "2026-11-27T01:00+01:00", "2026-11-27T22:00+01:00"),  # Thursday's night is none
        (ALL_OF_SUNDAY, "2026-11-28T12:00+01:00", "2026-11-29T00:00+01:00"),
        (ALL_OF_SUNDAY, "2026-11-29T23:59:59+01:00", "2026-11-29T23:59:59+01:00"),
        # 02:00 to 03:00 does not exist on the 29th of March: a window that begins in it opens when it is over.
        (Window((6,), 150, 300, BERLIN), "2026-03-29T00:00+01:00", "2026-03-29T03:00+02:00"),
        # One that lies in it does not open that day.
        (Window((6,), 120, 180, BERLIN), "2026-03-29T00:00+01:00", "2026-04-05T02:00+02:00"),
        # 02:00 to 03:00 comes twice on the 25th of October.
        (Window((6,), 150, 165, BERLIN), "2026-10-25T02:45+02:00", "2026-10-25T02:30+01:00"),
        (Window((6,), 60, 150, BERLIN), "2026-10-25T02:30+02:00", "2026-10-25T02:00+01:00"),
        # Half an hour of summer time, and a midnight that does not exist.
        (Window((6,), 90, 135, "Australia/Lord_Howe"), "2026-10-03T15:15+00:00", "2026-10-03T15:15+00:00"),
        (Window((4,), 0, 120, "Africa/Cairo"), "2026-04-23T12:00+00:00", "2026-04-23T22:00+00:00"),
    ],
)
def test_a_window_opens_next(window: Window, now: str, expected: str) -> None:
    assert opens([window], at(now)) == at(expected)


def test_of_several_windows_the_first_to_open_counts() -> None:
    now = at("2026-11-27T12:00+01:00")
    assert opens([OFFICE, FRIDAY_NIGHT], now) == at("2026-11-27T22:00+01:00")
    assert opens([ALL_OF_SUNDAY, OFFICE], now) == at("2026-11-29T00:00+01:00")


def test_a_moment_is_told_in_the_windows_zone() -> None:
    assert in_zone(at("2026-11-23T08:00+00:00"), [OFFICE]) == "Mon 2026-11-23 09:00 Europe/Berlin"


def test_a_window_is_told_as_people_write_it() -> None:
    assert str(OFFICE) == "mon,tue,wed,thu 09:00–16:00 Europe/Berlin"


WINDOWS = st.builds(
    Window,
    days=st.lists(st.integers(0, 6), min_size=1, max_size=7, unique=True).map(lambda days: tuple(sorted(days))),
    begins=st.integers(0, MINUTES_OF_DAY - 1),
    ends=st.integers(1, MINUTES_OF_DAY),
    zone=st.sampled_from([BERLIN, "America/St_Johns", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu", "UTC"]),
).filter(lambda window: window.begins != window.ends)
#: Around the changes of clocks of these zones, and anywhere else.
CHANGES = ("2026-03-29T00:00", "2026-10-25T00:00", "2026-03-08T00:00", "2026-11-01T00:00", "2026-04-24T00:00")
MOMENTS = st.one_of(
    st.builds(
        lambda change, hours: at(f"{change}+00:00") + timedelta(hours=hours),
        st.sampled_from([*CHANGES, "2026-04-04T12:00", "2026-10-03T12:00", "2026-10-29T12:00"]),
        st.integers(-60, 60),
    ),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(
        lambda moment: moment.replace(tzinfo=UTC, second=0, microsecond=0)
    ),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(windows=st.lists(WINDOWS, min_size=1, max_size=2), now=MOMENTS)
def test_it_opens_at_the_first_minute_at_which_it_is_open(windows: list[Window], now: datetime) -> None:
    minute = now
    while not any(window.is_open(minute) for window in windows):
        minute += MINUTE
    assert opens(windows, now) == minute
