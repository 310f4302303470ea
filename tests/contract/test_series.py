"""What every store of live figures must do, run against each of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.cloud.sqlite_series import SqliteSeries
from shared.cloud.table_series import TableSeries
from shared.core.live_minute import LiveMinute
from shared.core.replacing import replace
from shared.ports import LiveSeries
from tests.fakes.series import FakeSeries

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FIRST = LiveMinute("v3-abc", NOW, 120.0, 1.0, 9.5, 20.25, 31.0, 55.0, 40.0)
PROMOTION = "digits-3-abc"


@pytest.fixture(params=["fake", "sqlite", "tables"])
def series(request: pytest.FixtureRequest, tmp_path: Path) -> LiveSeries:
    if request.param == "tables":
        return TableSeries(request.getfixturevalue("table"))
    return FakeSeries() if request.param == "fake" else SqliteSeries(tmp_path / "made" / "promotions.sqlite")


def test_nothing_is_kept_at_first(series: LiveSeries) -> None:
    assert series.read(PROMOTION) == {}


def test_minutes_come_back_by_stage_in_order_to_the_last_figure(series: LiveSeries) -> None:
    champion = LiveMinute("v2-xyz", NOW)
    later = replace(FIRST, at=NOW + MINUTE)
    series.keep(PROMOTION, "test", [later])
    series.keep(PROMOTION, "prod", [later, FIRST, champion])
    found = series.read(PROMOTION)
    assert {stage: list(minutes) for stage, minutes in found.items()} == {
        "prod": [champion, FIRST, later],
        "test": [later],
    }
    assert list(found) == ["prod", "test"]


def test_minutes_of_another_promotion_are_not_mixed_in(series: LiveSeries) -> None:
    series.keep(PROMOTION, "prod", [FIRST])
    series.keep(f"{PROMOTION}d", "prod", [replace(FIRST, requests=1.0)])
    assert list(series.read(PROMOTION)["prod"]) == [FIRST]


def test_a_minute_that_is_reported_again_is_there_once_as_reported_last(series: LiveSeries) -> None:
    series.keep(PROMOTION, "prod", [FIRST, replace(FIRST, at=NOW + MINUTE)])
    again = replace(FIRST, requests=121.0)
    series.keep(PROMOTION, "prod", [again, again])
    assert list(series.read(PROMOTION)["prod"]) == [again, replace(FIRST, at=NOW + MINUTE)]


def test_only_the_last_day_is_kept(series: LiveSeries) -> None:
    hours = [replace(FIRST, at=NOW + hour * timedelta(hours=1)) for hour in range(50)]
    series.keep(PROMOTION, "prod", hours[:30])
    series.keep(PROMOTION, "prod", hours[30:])
    assert list(series.read(PROMOTION)["prod"]) == hours[-24:]


def test_a_series_may_stop_for_a_day_and_go_on(series: LiveSeries) -> None:
    series.keep(PROMOTION, "prod", [FIRST, replace(FIRST, at=NOW + MINUTE)])
    later = replace(FIRST, at=NOW + timedelta(hours=24))
    series.keep(PROMOTION, "prod", [later])
    assert list(series.read(PROMOTION)["prod"]) == [replace(FIRST, at=NOW + MINUTE), later]


def test_a_long_report_is_kept_in_full(series: LiveSeries) -> None:
    minutes = [replace(FIRST, at=NOW + number * MINUTE) for number in range(250)]
    series.keep(PROMOTION, "prod", minutes)
    assert list(series.read(PROMOTION)["prod"]) == minutes


def test_no_minutes_are_nothing(series: LiveSeries) -> None:
    series.keep(PROMOTION, "prod", [])
    assert series.read(PROMOTION) == {}
