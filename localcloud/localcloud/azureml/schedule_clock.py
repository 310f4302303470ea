"""The clock that schedules run by, and the moments at which their triggers are due.

Azure's triggers are cron expressions, and recurrences: every so many minutes, hours, days, weeks or months, on the days
and at the times of their `schedule`. Both count in the time zone that they name, and between `startTime` and `endTime`.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter  # type: ignore[import-untyped]  # it has no types

from localcloud.azureml.configuration import ClockSettings
from localcloud.azureml.windows_zones import IANA_NAMES
from localcloud.azureml.wire import AzureError, Json

_FREQUENCIES = ("minute", "hour", "day", "week", "month")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_LEAST = {"hours": 0, "minutes": 0, "monthDays": 1}
_MOST = {"hours": 23, "minutes": 59, "monthDays": 31}
#: How many moments of a recurrence are tried to find one that its schedule allows.
_MOST_MOMENTS = 10_000


class Clock:
    """Tells the time. The configuration may set when it begins and how fast it passes."""

    def __init__(self, settings: ClockSettings, began: float) -> None:
        """`began`: when the clock was started for the first time, in seconds since the epoch by this machine."""
        self._starts = (settings.starts or datetime.fromtimestamp(began, UTC)).astimezone(UTC)
        self._speed = settings.speed
        self._began = began

    def now(self) -> datetime:
        return self._starts + timedelta(seconds=(time.time() - self._began) * self._speed)

    def seconds_until(self, moment: datetime) -> float:
        """Of this machine's time; 0 for what has passed."""
        return max(0.0, (moment - self.now()).total_seconds() / self._speed)


def next_moment(trigger: Json, created: datetime, after: datetime) -> datetime | None:
    """When the trigger of a schedule is due next, in UTC; None when it never is again. 400 for one that is unusable.

    A recurrence without `startTime` counts from when the schedule was created.
    """
    zone = _zone(str(trigger.get("timeZone") or "UTC"))
    first, last = _time(trigger.get("startTime"), zone), _time(trigger.get("endTime"), zone)
    begin = after if first is None else max(after, first - timedelta(seconds=1))
    kind = str(trigger.get("triggerType") or "").lower()
    moment: datetime | None
    if kind == "cron":
        moment = _of_cron(str(trigger.get("expression") or ""), begin.astimezone(zone))
    elif kind == "recurrence":
        moment = _of_recurrence(trigger, first or created, begin, zone)
    else:
        raise _unusable(f"the triggerType {trigger.get('triggerType')} is neither Cron nor Recurrence")
    return None if moment is None or (last is not None and moment > last) else moment.astimezone(UTC)


def _of_cron(expression: str, after: datetime) -> datetime:
    if len(expression.split()) != 5 or not croniter.is_valid(expression):
        raise _unusable(f"{expression!r} is not a cron expression of five fields")
    moment: datetime = croniter(expression, after).get_next(datetime)
    return moment


def _of_recurrence(trigger: Json, first: datetime, after: datetime, zone: ZoneInfo) -> datetime | None:
    frequency = str(trigger.get("frequency") or "").lower()
    if frequency not in _FREQUENCIES:
        raise _unusable(f"the frequency {trigger.get('frequency')} is none of {', '.join(_FREQUENCIES)}")
    try:
        interval = int(trigger.get("interval", 1))
    except (TypeError, ValueError) as error:
        raise _unusable(f"the interval {trigger['interval']} is not a number") from error
    if interval < 1:
        raise _unusable("the interval must be 1 or more")
    start = first.astimezone(zone).replace(second=0, microsecond=0)
    pattern = trigger.get("schedule") or {}
    periods = _periods(frequency, interval, start, after.astimezone(zone))
    moments = (moment for period in periods for moment in _within(frequency, period, pattern))
    return next((moment for moment in islice(moments, _MOST_MOMENTS) if moment > after and moment >= start), None)


def _periods(frequency: str, interval: int, start: datetime, after: datetime) -> Iterator[datetime]:
    """The recurrence's own moments, without its schedule, from the last one before `after` on."""
    if frequency == "month":
        passed = (after.year - start.year) * 12 + after.month - start.month
        for number in count(max(0, passed // interval - 1)):
            months = start.month - 1 + number * interval
            year, month = start.year + months // 12, months % 12 + 1
            yield start.replace(year=year, month=month, day=min(start.day, _days_in(year, month)))
    else:
        length = timedelta(**{frequency + "s": interval})
        for number in count(max(0, (after - start) // length - 1)):
            yield start + number * length


def _within(frequency: str, period: datetime, pattern: Json) -> list[datetime]:
    """The moments of one period that the schedule names; the period's own if there is none."""
    hours, minutes = _numbers(pattern, "hours"), _numbers(pattern, "minutes")
    if not hours and not minutes:
        return _days(frequency, period, pattern)
    times = [(hour, minute) for hour in hours or [period.hour] for minute in minutes or [0]]
    days = _days(frequency, period, pattern)
    return sorted(day.replace(hour=hour, minute=minute) for day in days for hour, minute in times)


def _days(frequency: str, period: datetime, pattern: Json) -> list[datetime]:
    if frequency == "week" and (names := pattern.get("weekDays")):
        monday = period - timedelta(days=period.weekday())
        return sorted(monday + timedelta(days=_weekday(str(name))) for name in names)
    if frequency == "month" and (numbers := _numbers(pattern, "monthDays")):
        last = _days_in(period.year, period.month)
        return [period.replace(day=number) for number in sorted(numbers) if number <= last]
    return [period]


def _weekday(name: str) -> int:
    if name.lower() not in _WEEKDAYS:
        raise _unusable(f"{name} is no day of the week")
    return _WEEKDAYS.index(name.lower())


def _numbers(pattern: Json, key: str) -> list[int]:
    """The numbers of a list in the schedule, none of them beyond what a clock and a calendar have."""
    given = pattern.get(key) or []
    try:
        numbers = [int(each) for each in given]
    except (TypeError, ValueError) as error:
        raise _unusable(f"{key} must be a list of numbers, not {given}") from error
    if wrong := [str(number) for number in numbers if not _LEAST[key] <= number <= _MOST[key]]:
        raise _unusable(f"{key} cannot have {', '.join(wrong)}")
    return numbers


def _days_in(year: int, month: int) -> int:
    following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return (following - timedelta(days=1)).day


def _time(given: object, zone: ZoneInfo) -> datetime | None:
    """A time without an offset counts in the trigger's time zone."""
    if not given:
        return None
    try:
        moment = datetime.fromisoformat(str(given))
    except ValueError as error:
        raise _unusable(f"{given} is not a time in ISO 8601") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _zone(name: str) -> ZoneInfo:
    """Azure names time zones as Windows does."""
    try:
        return ZoneInfo(IANA_NAMES.get(name, name))
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise _unusable(f"the time zone {name} is not known here") from error


def _unusable(words: str) -> AzureError:
    return AzureError(400, "UserError", f"The trigger cannot be used: {words}.")
