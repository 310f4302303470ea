"""Schedules of timer triggers: NCRONTAB expressions of six fields (or five, without seconds) and constant intervals.

NCRONTAB differs from cron: the first field is the second, Sunday is 0 and there is no 7, and when both the day of the
month and the day of the week are given, both must match.
"""

import calendar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from localcloud.functions.timespan import parse_timespan

_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}

# The calendar repeats every 28 years, except around skipped leap years: this is longer than any expression's period.
_YEARS_TO_SEARCH = 40


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
    return CronSchedule(
        seconds=_field(fields[0], 0, 59, "second"),
        minutes=_field(fields[1], 0, 59, "minute"),
        hours=_field(fields[2], 0, 23, "hour"),
        days=_field(fields[3], 1, 31, "day"),
        months=_field(fields[4], 1, 12, "month", _MONTHS),
        weekdays=_field(fields[5], 0, 6, "day-of-week", _DAYS),
    )


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
    """Fires when every field matches; each field holds its matching numbers in their order."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    def next_after(self, moment: datetime) -> datetime:
        """The first matching second; raises ValueError for a date that never comes, such as 30 February."""
        candidate = moment.replace(microsecond=0) + timedelta(seconds=1)
        last_year = candidate.year + _YEARS_TO_SEARCH
        while candidate.year <= last_year:
            if candidate.month not in self.months:
                candidate = _first_of_next_month(candidate)
            elif candidate.day not in self.days or candidate.isoweekday() % 7 not in self.weekdays:
                candidate = _midnight(candidate) + timedelta(days=1)
            elif candidate.hour not in self.hours:
                candidate = candidate.replace(minute=0, second=0) + timedelta(hours=1)
            elif candidate.minute not in self.minutes:
                candidate = candidate.replace(second=0) + timedelta(minutes=1)
            elif candidate.second not in self.seconds:
                candidate += timedelta(seconds=1)
            else:
                return candidate
        raise ValueError("The schedule never fires: there is no such date.")


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0)


def _first_of_next_month(moment: datetime) -> datetime:
    return (_midnight(moment).replace(day=28) + timedelta(days=4)).replace(day=1)


def _field(text: str, low: int, high: int, title: str, names: dict[str, int] | None = None) -> tuple[int, ...]:
    numbers: set[int] = set()
    for part in text.split(","):
        try:
            numbers.update(_part(part, low, high, names or {}))
        except ValueError as error:
            raise ValueError(f"The {title} {text!r} of the schedule is wrong: {error}") from error
    return tuple(sorted(numbers))


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
