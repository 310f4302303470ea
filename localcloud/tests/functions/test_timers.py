"""Timer triggers of a running host."""

import json
from datetime import UTC, datetime, timedelta

from tests.functions.conftest import StartHost, until


async def test_timer_fires_on_startup_and_then_by_its_schedule(start_host: StartHost) -> None:
    host = await start_host(TICK_SCHEDULE="* * * * * *")
    seen = await until(lambda: len(host.seen("tick")) >= 3 and host.seen("tick"))
    assert [one["past_due"] for one in seen[:3]] == [False] * 3


async def test_interval_is_a_schedule_too(start_host: StartHost) -> None:
    host = await start_host(TICK_SCHEDULE="00:00:01")
    await until(lambda: len(host.seen("tick")) >= 2)


async def test_retry_policy_is_honoured_and_counted(start_host: StartHost) -> None:
    host = await start_host(TICK_FAILS="yes")
    seen = await until(lambda: len(host.seen("tick")) == 3 and host.seen("tick"))
    assert [one["retry"] for one in seen] == [0, 1, 2]


async def test_missed_occurrence_is_made_up_for_after_a_downtime(start_host: StartHost) -> None:
    first = await start_host()
    status_file = first.seen_file.parent / "data" / "timers" / "tick.json"
    await until(status_file.exists)
    await first.process.stop(5)
    two_days_ago = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=2)
    due = (two_days_ago + timedelta(days=1)).replace(hour=3, minute=0, second=0, microsecond=0)
    last = due - timedelta(hours=1)
    status = {"Last": last.isoformat(), "Next": due.isoformat(), "LastUpdated": last.isoformat()}
    status_file.write_text(json.dumps(status))
    before = len(first.seen("tick"))
    again = await start_host()
    await until(lambda: len(again.seen("tick")) > before)
    late = again.seen("tick")[before]
    assert late["past_due"] is True
    assert late["status"]["Next"] == due.isoformat()


async def test_changed_schedule_is_not_past_due(start_host: StartHost) -> None:
    first = await start_host(TICK_SCHEDULE="0 0 4 * * *")
    status_file = first.seen_file.parent / "data" / "timers" / "tick.json"
    await until(status_file.exists)
    await first.process.stop(5)
    before = len(first.seen("tick"))
    again = await start_host(TICK_SCHEDULE="0 0 5 * * *")
    await until(lambda: len(again.seen("tick")) > before)
    assert again.seen("tick")[before]["past_due"] is False
