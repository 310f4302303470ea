"""`soak` and `window` of a stage: what they mean, and what is said of faults."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.config import Configuration, Route, StageSettings
from shared.config.pipeline_stage import PipelineStage
from shared.config.window import WindowSettings, windows
from shared.coordinator.routing import stage_runs
from shared.core.soaking import MOST_HELD
from shared.core.window import Window
from tests.config.right import changed

BARE: dict[str, Any] = {"environment": "prod", "endpoint": "{model}", "deployment": "d.yml"}
OFFICE = '{days: mon-thu, from: "09:00", to: "16:00", zone: Europe/Berlin}'
HOURS = 'from: "09:00", to: "16:00"'
TIME = 'must be a time from "00:00" to "24:00"'
ZONE = "must be a time zone of the IANA database, such as Europe/Berlin"
PROD = '- environment: prod\n        endpoint: "{model}"\n'


def in_prod(line: str) -> str:
    """The right configuration with a line added to stage prod."""
    return changed((PROD, f"{PROD}        {line}\n"))


def of(content: str, zone: str = "UTC") -> str:
    return f"window: {{{content}, zone: {zone}}}"


def window(**changes: Any) -> Window:
    return WindowSettings.model_validate({"from": "09:00", "to": "16:00", "zone": "Europe/Berlin", **changes}).window()


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ("mon-thu", (0, 1, 2, 3)),
        ("sat-mon", (0, 5, 6)),
        ("fri", (4,)),
        ("wed-wed", (2,)),
        ("mon, wed,fri", (0, 2, 4)),
        ("Mon-Tue, sat", (0, 1, 5)),
        (["mon", "thu-fri"], (0, 3, 4)),
    ],
)
def test_days_are_ranges_and_lists_and_a_range_may_go_round(days: Any, expected: Sequence[int]) -> None:
    assert window(days=days).days == expected


def test_a_window_is_every_day_if_no_days_are_named() -> None:
    assert window() == Window(tuple(range(7)), 9 * 60, 16 * 60, "Europe/Berlin")
    assert window(**{"from": "22:30", "to": "4:00"}) == Window(tuple(range(7)), 22 * 60 + 30, 4 * 60, "Europe/Berlin")
    assert window(**{"from": "00:00", "to": "24:00"}).is_open(datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (of("days: mon-thu, from: 09:00, to: 16:00"), f".to: {TIME}, not 960; put it in quotes"),
        (of('from: "9", to: "16:00"'), f".from: {TIME}, not '9'"),
        (of('from: "09:00", to: "24:01"'), f".to: {TIME}, not '24:01'"),
        (of(f"days: mo-fr, {HOURS}"), ".days: unknown day 'mo'; did you mean mon?"),
        (of(f"days: mon-, {HOURS}"), ".days: a day is missing"),
        (of(f"days: 1, {HOURS}"), ".days: must be days, such as mon-thu, sat-mon or mon, wed"),
        (of(HOURS, "Europe/Berlni"), f".zone: {ZONE}, not 'Europe/Berlni'; did you mean Europe/Berlin?"),
        (of(HOURS, "CEST"), f".zone: {ZONE}, not 'CEST'"),
        (f"window: {{{HOURS}}}", ".zone: is missing"),
        (of('from: "09:00", to: "09:00"'), ': `from` and `to` are the same; for the whole day, write from: "00:00"'),
        (of(f"frm: 9, {HOURS}"), ".frm: unknown key; did you mean from?"),
        ("window: []", ": must not be empty"),
        ("soak: soon", "soak: must be a duration"),
        ("timeouts: {soak: 1h}", "timeouts.soak: is set with `soak`, as in `soak: 24h`"),
    ],
)
def test_a_fault_is_told_in_words_with_its_place(faults_of: Callable[..., list[str]], line: str, fault: str) -> None:
    [said] = faults_of(in_prod(line))
    assert said.startswith("routes.churn.stages[1]")
    assert fault in said


def test_a_stage_without_one_before_it_cannot_soak(faults_of: Callable[..., list[str]]) -> None:
    text = changed(("      - environment: test\n", "      - environment: test\n        soak: 1h\n"))
    says = "no stage comes before this one; remove this, or name stages in `after`"
    assert faults_of(text) == [f"routes.churn.stages[0].soak: {says}"]


def test_a_promotion_starts_with_the_soak_and_the_windows(configured: Callable[..., Configuration]) -> None:
    text = in_prod(f"soak: 24h\n        window: [{OFFICE}, {{days: sat, from: '22:00', to: '02:00', zone: UTC}}]")
    configuration = configured(text)
    route = configuration.routes["churn"]
    assert isinstance(route, Route)
    test, prod = stage_runs(route.stages, route, "churn-eu", configuration)
    assert (test.soak, test.windows) == (timedelta(0), ())
    assert prod.soak == timedelta(days=1)
    berlin = Window((0, 1, 2, 3), 9 * 60, 16 * 60, "Europe/Berlin")
    assert prod.windows == (berlin, Window((5,), 22 * 60, 2 * 60, "UTC"))
    assert prod.steps[0].plan.name == "soak"
    assert prod.steps[0].plan.limit == timedelta(days=1) + MOST_HELD
    assert "soak" not in {step.plan.name for step in test.steps}


@pytest.mark.parametrize("line", [f"window: {OFFICE}", f"window: [{OFFICE}]"])
def test_one_window_may_stand_for_a_list(configured: Callable[..., Configuration], line: str) -> None:
    stage = configured(in_prod(line)).model_routes[0].stages[1]
    assert windows(stage.window) == (Window((0, 1, 2, 3), 9 * 60, 16 * 60, "Europe/Berlin"),)


def test_settings_stay_the_same_on_their_way_to_a_worker() -> None:
    asked = {"soak": "90m", "window": {"days": "sat-mon", "from": "22:00", "to": "02:00", "zone": "Europe/Berlin"}}
    settings = StageSettings.parse({**BARE, **asked})
    assert StageSettings.parse(settings.frozen()) == settings
    runs = PipelineStage.parse({"environment": "prod", "run": {"compute": "serverless"}, **asked})
    assert PipelineStage.parse(runs.frozen()) == runs
    assert runs.asks_for() == {"approval", "soak"}


def test_workers_of_an_older_version_see_neither_where_it_is_not_asked_for() -> None:
    assert not {"soak", "window"} & StageSettings.parse(BARE).frozen().keys()
