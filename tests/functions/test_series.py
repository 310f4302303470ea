"""The live figures of a promotion, minute by minute."""

from datetime import UTC, datetime

from shared.core.live_minute import LiveMinute
from tests.functions.conftest import ALICE, Api

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_the_minutes_of_each_stage_are_shown_with_the_figures_that_there_are(api: Api) -> None:
    started = api.start("7", ALICE)
    api.app.series.keep(started, "prod", [LiveMinute("v7-abc", NOON, 50.0, latency_p95=20.5)])
    shown = api.get(f"promotions/{started}/series")
    minute = {"deployment": "v7-abc", "at": "2026-11-20T12:00:00+00:00", "requests": 50.0, "latency_p95": 20.5}
    assert (shown.status, shown.body["promotion"]) == (200, started)
    assert shown.body["stages"] == [{"name": "prod", "minutes": [minute]}]


def test_a_promotion_that_nobody_watched_has_none(api: Api) -> None:
    started = api.start("7", ALICE)
    assert api.get(f"promotions/{started}/series").body == {"promotion": started, "stages": []}


def test_there_are_none_of_a_promotion_that_does_not_exist(api: Api) -> None:
    shown = api.get("promotions/none/series")
    assert (shown.status, shown.body["see"]) == (404, "/api/promotions")
