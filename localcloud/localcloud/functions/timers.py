"""Timer triggers: wait for each occurrence, and make up for a missed one after a downtime.

Follows TimerListener and ScheduleMonitor of azure-webjobs-sdk-extensions, with the status in a file instead of a blob.
"""

import asyncio
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from localcloud.functions.definition import FunctionDefinition, HostError
from localcloud.functions.invocation import Invoker
from localcloud.functions.ncrontab import Schedule, fires_more_than_once_a_minute, parse_schedule
from localcloud.functions.runtime import Datum, json_value
from localcloud.functions.settings import replace_placeholders

_logger = logging.getLogger("host.timer")

_LONGEST_SLEEP = 60.0


@dataclass(frozen=True)
class ScheduleStatus:
    """When a timer last fired and will next fire; `last` is None before the first time."""

    last: datetime | None
    next: datetime
    updated: datetime


class TimerListener:
    """Fires one function by its schedule, one invocation at a time."""

    def __init__(
        self, definition: FunctionDefinition, settings: Mapping[str, str], folder: Path, invoker: Invoker
    ) -> None:
        """`folder` keeps the status of monitored timers. Raises HostError for a wrong schedule or time zone."""
        self._definition = definition
        self._invoker = invoker
        self._zone = _time_zone(settings)
        properties = definition.trigger.properties
        try:
            self._schedule: Schedule = parse_schedule(replace_placeholders(properties["schedule"], settings))
            too_often = fires_more_than_once_a_minute(self._schedule, self._now())
        except ValueError as error:
            raise HostError(str(error)) from error
        self._run_on_startup = bool(properties.get("runOnStartup", False))
        monitored = bool(properties.get("useMonitor", True)) and not too_often
        self._status_file = folder / f"{definition.name}.json" if monitored else None

    async def run(self) -> None:
        """Fires until cancelled."""
        status, past_due = self._start()
        if past_due or self._run_on_startup:
            status = await self._fire(status, past_due=past_due, scheduled=False)
        while True:
            await self._sleep_until(status.next)
            status = await self._fire(status, past_due=False, scheduled=True)

    def _start(self) -> tuple[ScheduleStatus, bool]:
        now = self._now()
        fresh = ScheduleStatus(None, self._schedule.next_after(now), now)
        if self._status_file is None:
            return fresh, False
        known = self._read(self._status_file)
        if known is None:
            self._write(fresh)
            return fresh, False
        expected = self._schedule.next_after(known.last or known.updated)
        if known.next != expected:
            # The schedule was changed while the host was down, so the old occurrence does not count.
            known = ScheduleStatus(None, expected, known.last or known.updated)
            self._write(known)
        return known, now > known.next

    async def _fire(self, status: ScheduleStatus, *, past_due: bool, scheduled: bool) -> ScheduleStatus:
        fired_at = self._now()
        trigger = timer_info(status if self._status_file else None, past_due=past_due)
        if past_due:
            _logger.info("'%s' is past due: it was due at %s.", self._definition.name, status.next)
        await self._invoker.invoke_with_retries(self._definition, trigger)
        last = max(fired_at, status.next) if scheduled else fired_at
        status = ScheduleStatus(last, self._schedule.next_after(last), last)
        self._write(status)
        return status

    async def _sleep_until(self, moment: datetime) -> None:
        """Sleeps in short steps, so that a changed clock or a sleeping machine does no harm."""
        while True:
            seconds = (moment.replace(tzinfo=self._zone) - datetime.now(self._zone)).total_seconds()
            if seconds <= 0:
                return
            await asyncio.sleep(min(seconds, _LONGEST_SLEEP))

    def _now(self) -> datetime:
        return datetime.now(self._zone).replace(tzinfo=None)

    def _read(self, path: Path) -> ScheduleStatus | None:
        try:
            content = json.loads(path.read_text())
            last = content["Last"]
            return ScheduleStatus(
                datetime.fromisoformat(last) if last else None,
                datetime.fromisoformat(content["Next"]),
                datetime.fromisoformat(content["LastUpdated"]),
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            _logger.warning("%s cannot be read (%r), so the timer starts afresh.", path, error)
            return None

    def _write(self, status: ScheduleStatus) -> None:
        if self._status_file is None:
            return
        self._status_file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._status_file.with_suffix(f".{os.getpid()}")
        draft.write_text(
            json.dumps(
                {
                    "Last": status.last.isoformat() if status.last else None,
                    "Next": status.next.isoformat(),
                    "LastUpdated": status.updated.isoformat(),
                }
            )
        )
        draft.replace(self._status_file)


def timer_info(status: ScheduleStatus | None, *, past_due: bool) -> Datum:
    """The argument of a timer function; without a monitor it has no status."""
    never = "0001-01-01T00:00:00"
    shown = status and {
        "Last": status.last.isoformat() if status.last else never,
        "Next": status.next.isoformat(),
        "LastUpdated": status.updated.isoformat(),
    }
    return json_value({"Schedule": {"AdjustForDST": True}, "ScheduleStatus": shown, "IsPastDue": past_due})


def _time_zone(settings: Mapping[str, str]) -> tzinfo:
    """UTC, or the zone that WEBSITE_TIME_ZONE or TZ names, as on Linux plans."""
    name = settings.get("WEBSITE_TIME_ZONE") or settings.get("TZ") or "UTC"
    try:
        return ZoneInfo(name.removeprefix(":"))
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise HostError(f"WEBSITE_TIME_ZONE or TZ is not a known time zone: {name!r}.") from error
