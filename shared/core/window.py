"""The hours at which a stage may change what it serves. Pure.

A window is open whenever a clock on a wall of its zone shows a time in it. So when clocks go back, an hour that comes
twice counts twice; when they go forward, a window that lies in the missing hour does not open that day.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_OF_DAY = 24 * 60

#: A window opens at least once in these days, also if it lies in an hour that is missing in one week.
_DAYS_AHEAD = 15
_SECOND = timedelta(seconds=1)


class Window(Struct, frozen=True):
    """Hours of some days of the week, in a time zone."""

    days: tuple[int, ...]  #: on which it begins; 0 is Monday
    begins: int  #: minutes after midnight
    ends: int  #: minutes after midnight, up to 1440; if not after `begins`, on the day after
    zone: str  #: a name of the IANA time zone database

    def is_open(self, now: datetime) -> bool:
        local = now.astimezone(ZoneInfo(self.zone))
        minute, today, yesterday = local.hour * 60 + local.minute, local.weekday(), (local.weekday() - 1) % 7
        if self.begins < self.ends:
            return today in self.days and self.begins <= minute < self.ends
        return (today in self.days and minute >= self.begins) or (yesterday in self.days and minute < self.ends)

    def __str__(self) -> str:
        return f"{_days(self.days)} {_clock(self.begins)}–{_clock(self.ends)} {self.zone}"


def opens(windows: Sequence[Window], now: datetime) -> datetime:
    """The first moment from `now` on, in UTC, at which one of the windows is open; `now` itself if one is open.

    Raises ValueError if none opens within the days that are looked at, which only an impossible window does not.
    """
    if any(window.is_open(now) for window in windows):
        return now.astimezone(UTC)
    candidates = {moment for window in windows for moment in _beginnings(window, now)}
    for moment in sorted(candidates):
        if moment > now and any(window.is_open(moment) for window in windows):
            return moment
    raise ValueError(f"no window opens: {', '.join(map(str, windows))}")


def in_zone(moment: datetime, windows: Sequence[Window]) -> str:
    """The moment as clocks show it where the first window is, such as `Mon 2026-11-23 09:00 Europe/Berlin`."""
    zone = windows[0].zone
    return f"{moment.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M} {zone}"


def _beginnings(window: Window, now: datetime) -> Iterator[datetime]:
    """Every moment around `now` and after it at which the window may begin to be open: at its hour, at midnight after a
    gap, and whenever the zone's clocks are changed."""
    zone = ZoneInfo(window.zone)
    first = now.astimezone(zone).date() - timedelta(days=1)
    for day in (first + timedelta(days=number) for number in range(_DAYS_AHEAD + 2)):
        at = datetime.combine(day, time(window.begins // 60, window.begins % 60))
        for fold in (0, 1):
            yield at.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        yield from _clock_changes(day, zone)


def _clock_changes(day: date, zone: ZoneInfo) -> Iterator[datetime]:
    """The moment of the day at which the clocks of the zone are changed, to the second; none on most days."""
    midnight = datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
    following = datetime.combine(day + timedelta(days=1), time(), tzinfo=zone).astimezone(UTC)
    offset = midnight.astimezone(zone).utcoffset()
    if following.astimezone(zone).utcoffset() == offset:
        return
    before, after = 0, (following - midnight) // _SECOND
    while after - before > 1:
        middle = (before + after) // 2
        if (midnight + middle * _SECOND).astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    yield midnight + after * _SECOND


def _days(days: Sequence[int]) -> str:
    return ",".join(DAYS[day] for day in days) if len(days) < len(DAYS) else "daily"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
