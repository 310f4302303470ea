"""Schedules of timer triggers: NCRONTAB expressions of six fields (or five, without seconds) and constant intervals.

NCRONTAB differs from cron: the first field is the second, Sunday is 0 and there is no 7, and when both the day of the
month and the day of the week are given, both must match. croniter knows the calendar. The fields are read here, since
it takes more than NCRONTAB has (a 7, `L`, `?`, `@daily`, a range that goes backwards) and does not name the wrong one.
"""

import calendar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from croniter import CroniterBadDateError, croniter  # type: ignore[import-untyped]  # it has no types

from localcloud.functions.timespan import parse_timespan

_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}


class Schedule(Protocol):
    """When a timer fires, in the wall clock time of its time zone."""

    def next_after(self, moment: datetime) -> datetime:
        """The first occurrence strictly later than the moment."""
        ...


def parse_schedule(text: str) -> Schedule:
    """An NCRONTAB expression or an interval `hh:mm:ss`; raises ValueError naming the faulty part."""
    if ":" in text:
        seconds = parse_timespan(text)
        if seconds <= 0:
            raise ValueError(f"The interval {text!r} must be positive.")
        return ConstantSchedule(timedelta(seconds=seconds))
    fields = text.split()
    if len(fields) == 5:
        fields.insert(0, "0")
    if len(fields) != 6:
        raise ValueError(f"The schedule {text!r} must have six fields: second minute hour day month day-of-week.")
    numbers = (
        _field(fields[0], 0, 59, "second"),
        _field(fields[1], 0, 59, "minute"),
        _field(fields[2], 0, 23, "hour"),
        _field(fields[3], 1, 31, "day"),
        _field(fields[4], 1, 12, "month", _MONTHS),
        _field(fields[5], 0, 6, "day-of-week", _DAYS),
    )
    return CronSchedule(" ".join(numbers))


def fires_more_than_once_a_minute(schedule: Schedule, now: datetime) -> bool:
    """Whether the schedule fires again within a minute, so that the real host would not monitor it."""
    return schedule.next_after(schedule.next_after(now)) - now < timedelta(minutes=1)


@dataclass(frozen=True)
class ConstantSchedule:
    """Fires again after the same time."""

    interval: timedelta

    def next_after(self, moment: datetime) -> datetime:
        """The moment and the interval."""
        return moment + self.interval


@dataclass(frozen=True)
class CronSchedule:
    """Fires when every field of the expression matches: seconds first, all of them numbers."""

    expression: str

    def next_after(self, moment: datetime) -> datetime:
        """The first matching second; raises ValueError for a date that never comes, such as 30 February."""
        occurrences = croniter(self.expression, moment, second_at_beginning=True, day_or=False)
        try:
            found: datetime = occurrences.get_next(datetime)
        except CroniterBadDateError as error:
            raise ValueError("The schedule never fires: no such date comes.") from error
        return found


def _field(text: str, low: int, high: int, title: str, names: dict[str, int] | None = None) -> str:
    """The numbers that match, with commas between them."""
    numbers: set[int] = set()
    for part in text.split(","):
        try:
            numbers.update(_part(part, low, high, names or {}))
        except ValueError as error:
            raise ValueError(f"The {title} {text!r} of the schedule is wrong: {error}") from error
    return ",".join(map(str, sorted(numbers)))


def _part(text: str, low: int, high: int, names: dict[str, int]) -> range:
    span, has_step, step_text = text.partition("/")
    step = int(step_text) if has_step else 1
    if step < 1:
        raise ValueError("a step must be at least 1")
    if span == "*":
        return range(low, high + 1, step)
    first_text, has_end, last_text = span.partition("-")
    first = _number(first_text, names)
    last = _number(last_text, names) if has_end else (high if has_step else first)
    if not low <= first <= last <= high:
        raise ValueError(f"it must be from {low} to {high}")
    return range(first, last + 1, step)


def _number(text: str, names: dict[str, int]) -> int:
    name = text[:3].lower()
    return names[name] if name in names else int(text)
