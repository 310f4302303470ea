"""When triggers are due: cron expressions and recurrences, in their time zones, between their start and end."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcloud.azureml.configuration import ClockSettings
from localcloud.azureml.schedule_clock import Clock, next_moment
from localcloud.azureml.wire import AzureError

CREATED = datetime(2026, 11, 21, 10, 2, 30, tzinfo=UTC)  # a Saturday


def cron(expression: str, **more: str) -> dict[str, Any]:
    return {"triggerType": "Cron", "expression": expression, **more}


def every(frequency: str, interval: int = 1, schedule: dict[str, Any] | None = None, **more: str) -> dict[str, Any]:
    return {
        "triggerType": "Recurrence",
        "frequency": frequency,
        "interval": interval,
        "schedule": schedule or {},
        **more,
    }


def moments(trigger: dict[str, Any], number: int = 3) -> list[str]:
    """The next few times in UTC."""
    found: list[str] = []
    after = CREATED
    for _ in range(number):
        moment = next_moment(trigger, CREATED, after)
        if moment is None:
            break
        assert moment > after
        found.append(f"{moment:%m-%d %H:%M}")
        after = moment
    return found


@pytest.mark.parametrize(
    ("trigger", "due"),
    [
        (cron("15 10 * * *"), ["11-21 10:15", "11-22 10:15", "11-23 10:15"]),
        (cron("0 9 * * MON"), ["11-23 09:00", "11-30 09:00", "12-07 09:00"]),
        (cron("0 9 * * *", timeZone="W. Europe Standard Time"), ["11-22 08:00", "11-23 08:00", "11-24 08:00"]),
        (cron("0 9 * * *", startTime="2026-11-23T09:00:00"), ["11-23 09:00", "11-24 09:00", "11-25 09:00"]),
        (cron("0 9 * * *", endTime="2026-11-22T09:00:00"), ["11-22 09:00"]),
        (every("Minute", 20), ["11-21 10:22", "11-21 10:42", "11-21 11:02"]),
        (every("Hour", 4, startTime="2026-11-01T01:30:00"), ["11-21 13:30", "11-21 17:30", "11-21 21:30"]),
        (every("Day", schedule={"hours": [6, 18], "minutes": [0]}), ["11-21 18:00", "11-22 06:00", "11-22 18:00"]),
        (
            every("Week", 2, {"weekDays": ["Monday", "Friday"], "hours": [8], "minutes": [5]}),
            ["11-30 08:05", "12-04 08:05", "12-14 08:05"],
        ),
        (
            every("Month", schedule={"monthDays": [1, 31], "hours": [0], "minutes": [0]}),
            ["12-01 00:00", "12-31 00:00", "01-01 00:00"],
        ),
        (every("Month", startTime="2026-08-31T12:00:00"), ["11-30 12:00", "12-31 12:00", "01-31 12:00"]),
        (every("Day", timeZone="Tokyo Standard Time", schedule={"hours": [0]}), ["11-21 15:00", "11-22 15:00"]),
        (every("Day", endTime="2026-11-21T10:00:00"), []),
    ],
)
def test_a_trigger_is_due_at_the_moments_that_it_names(trigger: dict[str, Any], due: list[str]) -> None:
    assert moments(trigger, max(len(due), 1)) == due


def test_an_hour_of_a_time_zone_stays_the_same_when_summer_time_begins() -> None:
    trigger, after = cron("0 9 * * *", timeZone="W. Europe Standard Time"), datetime(2027, 3, 27, tzinfo=UTC)
    first = next_moment(trigger, CREATED, after)
    assert first is not None
    assert next_moment(trigger, CREATED, first) == first + timedelta(hours=23)


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        (cron("every day"), "not a cron expression"),
        (cron("* * * * * *"), "of five fields"),
        (cron("0 9 * * *", timeZone="Middle of Nowhere"), "the time zone Middle of Nowhere"),
        (cron("0 9 * * *", startTime="soon"), "soon is not a time"),
        (every("Year"), "the frequency Year"),
        (every("Day", 0), "must be 1 or more"),
        (every("Week", 1, {"weekDays": ["Someday"]}), "Someday"),
        (every("Day", 1, {"hours": ["noon"]}), "noon"),
        (every("Day", 1, {"hours": [25]}), "25"),
        ({"triggerType": "Moon"}, "the triggerType Moon"),
    ],
)
def test_a_trigger_that_cannot_be_used_is_refused_in_words(trigger: dict[str, Any], words: str) -> None:
    with pytest.raises(AzureError, match=words) as refused:
        next_moment(trigger, CREATED, CREATED)
    assert refused.value.status == 400


def test_a_clock_begins_where_it_is_told_to_and_runs_faster() -> None:
    clock = Clock(ClockSettings(starts=CREATED, speed=3.6), time.time() - 2000)
    first, second = clock.now(), clock.now()
    assert CREATED + timedelta(hours=2) <= first < CREATED + timedelta(hours=3)
    assert second >= first
    assert 0 < clock.seconds_until(CREATED + timedelta(hours=4)) < 2001
    assert clock.seconds_until(CREATED) == 0
