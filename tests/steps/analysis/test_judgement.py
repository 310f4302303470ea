"""How live figures are judged: against limits, against the champion's, and when there is no verdict."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.ports import UnavailableError
from shared.worker.analysis import Analysed
from shared.worker.live_rules import Result
from tests.fakes.workspace import FakeWorkspace
from tests.steps.analysis.watching import (
    CANDIDATE,
    CHAMPION,
    LATE,
    MINUTE,
    WATCHED,
    has_minutes,
    judged_after,
    settings,
)
from tests.steps.promotion import ENDPOINT, NOW

P95 = {"metric": "latency_p95", "no_worse_than_champion_by": "20%"}
ERRORS_LIKE_CHAMPION = {"metric": "error_rate", "no_worse_than_champion_by": 0.01}


def workspace_with(good: float = 50, errors: float = 0, status: int = 500, **figures: float) -> FakeWorkspace:
    """Ten minutes of a candidate, and of a champion whose P95 is 100 ms."""
    workspace = FakeWorkspace()
    has_minutes(workspace, CANDIDATE, 10, good, errors=errors, status=status, **figures)
    has_minutes(workspace, CHAMPION, 10, 50, latency_p95=100.0, latency_p50=10.0, cpu=50.0)
    return workspace


def test_a_candidate_that_keeps_to_its_limits_passes_with_its_figures() -> None:
    workspace = workspace_with(latency_p95=119.0)
    found = judged_after(10, workspace, settings({"metric": "error_rate", "at_most": 0.01}, P95))
    assert (found.breaches, found.waits) == ((), "")
    assert [each.result for each in found.seen.findings] == [Result.PASSED, Result.PASSED]
    assert found.seen.candidate is not None
    assert found.seen.champion is not None
    assert (found.seen.candidate.error_rate, found.seen.candidate.latency_p95) == (0.0, 119.0)
    assert found.seen.champion.latency_p95 == 100.0


@pytest.mark.parametrize(
    ("status", "is_the_models"), [(500, True), (503, True), (424, True), (400, False), (404, False), (429, False)]
)
def test_only_statuses_of_5xx_and_424_are_errors_of_the_model(status: int, is_the_models: bool) -> None:
    found = judged_after(10, workspace_with(47, 3, status), settings())
    assert bool(found.breaches) is is_the_models


def test_a_breach_says_what_was_required_and_what_was_found() -> None:
    found = judged_after(10, workspace_with(47, 3), settings())
    assert found.breaches == ("error_rate from 12:00 to 12:08 UTC: required at most 1 %, found 6 % of 400 requests",)


def test_a_breach_within_a_minute_says_its_seconds() -> None:
    workspace = FakeWorkspace(grain=timedelta(seconds=1))
    has_minutes(workspace, CANDIDATE, 1, 0, errors=100)
    found = judged_after(0.5, workspace, settings(metrics_delay="10s"))
    assert found.breaches == (
        "error_rate from 12:00:00 to 12:00:20 UTC: required at most 1 %, found 100 % of 100 requests",
    )


@pytest.mark.parametrize(("p95", "breached"), [(120.0, False), (120.1, True)])
def test_a_percentage_is_of_the_champions_value(p95: float, breached: bool) -> None:
    assert bool(judged_after(10, workspace_with(latency_p95=p95), settings(P95)).breaches) is breached


@pytest.mark.parametrize(("p95", "breached"), [(130.0, False), (131.0, True)])
def test_a_duration_is_added_to_the_champions_value(p95: float, breached: bool) -> None:
    asked = settings({"metric": "latency_p95", "no_worse_than_champion_by": "30ms"})
    assert bool(judged_after(10, workspace_with(latency_p95=p95), asked).breaches) is breached


@pytest.mark.parametrize(("errors", "breached"), [(0.5, False), (0.6, True)])
def test_a_number_is_added_to_the_champions_error_rate(errors: float, breached: bool) -> None:
    found = judged_after(10, workspace_with(50 - errors, errors), settings(ERRORS_LIKE_CHAMPION))
    assert bool(found.breaches) is breached


@pytest.mark.parametrize("metric", ["latency_p50", "latency_p95", "latency_p99", "cpu", "memory"])
@pytest.mark.parametrize(("value", "breached"), [(80.0, False), (81.0, True)])
def test_each_figure_is_judged_by_its_own_values(metric: str, value: float, breached: bool) -> None:
    """All others are far above the limit, and errors there are none."""
    others = dict.fromkeys(("latency_p50", "latency_p95", "latency_p99", "cpu", "memory"), 99.0)
    workspace = FakeWorkspace()
    has_minutes(workspace, CANDIDATE, 10, 50, **{**others, metric: value})
    limit = "80ms" if metric.startswith("latency") else "80%"
    found = judged_after(10, workspace, settings({"metric": metric, "at_most": limit}))
    assert bool(found.breaches) is breached
    assert all(each.startswith(f"{metric} ") for each in found.breaches)


@pytest.mark.parametrize("metric", ["cpu", "memory"])
def test_resources_are_read_only_if_an_entry_asks_for_them(metric: str) -> None:
    workspace = workspace_with(cpu=50.0, memory=60.0)
    asked = judged_after(10, workspace, settings({"metric": metric, "at_most": "80%"})).seen.candidate
    assert asked is not None
    assert (asked.cpu, asked.memory) == (50.0, 60.0)
    without = judged_after(10, workspace, settings()).seen.candidate
    assert without is not None
    assert (without.cpu, without.memory) == (None, None)


def test_the_last_minutes_do_not_count() -> None:
    workspace = FakeWorkspace()
    has_minutes(workspace, CANDIDATE, 8, 50)
    has_minutes(workspace, CANDIDATE, 2, 0, errors=50, first=8)
    assert judged_after(10, workspace, settings()).breaches == ()
    assert judged_after(11, workspace, settings()).breaches


def test_a_minute_counts_once_it_is_complete() -> None:
    workspace = FakeWorkspace()
    has_minutes(workspace, CANDIDATE, 1, 0, errors=50)
    assert judged_after(2.9, workspace, settings()).breaches == ()
    assert judged_after(3, workspace, settings()).breaches


def test_minutes_that_began_before_the_step_do_not_count() -> None:
    workspace = workspace_with()
    workspace.has_minutes(ENDPOINT, CANDIDATE, NOW - MINUTE, 1, {500: 40})
    assert judged_after(10, workspace, settings()).breaches == ()
    late = replace(WATCHED, since=NOW + MINUTE / 2)
    workspace = FakeWorkspace()
    has_minutes(workspace, CANDIDATE, 1, 0, errors=40)
    has_minutes(workspace, CANDIDATE, 9, 50, first=1)
    assert judged_after(10, workspace, settings(), late).breaches == ()


def test_without_figures_there_is_no_verdict() -> None:
    found = judged_after(10, FakeWorkspace(), settings())
    assert found.breaches == ()
    assert found.waits == f"deployment {CANDIDATE} answered only 0 of 100 requests{LATE}"


def test_a_minute_without_a_latency_is_not_one_with_0() -> None:
    workspace = FakeWorkspace()
    has_minutes(workspace, CHAMPION, 8, 50, latency_p95=100.0)
    has_minutes(workspace, CANDIDATE, 7, 50)
    has_minutes(workspace, CANDIDATE, 1, 50, first=7, latency_p95=150.0)
    assert judged_after(10, workspace, settings(P95)).breaches


def test_latencies_of_busy_minutes_weigh_more() -> None:
    workspace = FakeWorkspace()
    has_minutes(workspace, CANDIDATE, 1, 300, latency_p95=100.0)
    has_minutes(workspace, CANDIDATE, 1, 100, first=1, latency_p95=500.0)
    found = judged_after(10, workspace, settings({"metric": "latency_p95", "at_most": "200ms"}))
    assert found.seen.candidate is not None
    assert found.seen.candidate.latency_p95 == 200.0
    assert found.breaches == ()


def test_few_requests_give_no_verdict_even_if_the_latency_is_bad() -> None:
    workspace = FakeWorkspace()
    has_minutes(workspace, CANDIDATE, 5, 10, latency_p95=900.0)
    found = judged_after(7, workspace, settings({"metric": "latency_p95", "at_most": "200ms"}))
    assert found.breaches == ()
    assert found.waits == f"deployment {CANDIDATE} answered only 50 of 100 requests{LATE}"


@pytest.mark.parametrize(("errors", "breached"), [(1, False), (2, True)])
def test_errors_that_no_further_request_makes_good_are_a_breach_at_once(errors: float, breached: bool) -> None:
    workspace = FakeWorkspace()
    has_minutes(workspace, CANDIDATE, 1, 5, errors=errors)
    assert bool(judged_after(3, workspace, settings()).breaches) is breached


def test_a_champion_with_few_requests_is_not_compared_with() -> None:
    workspace = FakeWorkspace()
    has_minutes(workspace, CANDIDATE, 8, 50, latency_p95=900.0)
    has_minutes(workspace, CHAMPION, 8, 1, latency_p95=100.0)
    found = judged_after(10, workspace, settings(P95))
    assert found.breaches == ()
    assert found.waits == f"there is no verdict on latency_p95{LATE}"


def test_without_a_champion_only_limits_count() -> None:
    found = judged_after(10, workspace_with(latency_p95=900.0), settings(P95), replace(WATCHED, champion=None))
    assert (found.breaches, found.waits) == ((), "")
    assert found.seen.findings[0].result is Result.NOT_COMPARED


def test_a_champion_that_takes_no_traffic_any_more_is_compared_with_by_its_last_figures() -> None:
    last = judged_after(10, workspace_with(latency_p95=100.0), settings(P95)).seen
    later = replace(WATCHED, since=NOW + 10 * MINUTE, ends=NOW + 60 * MINUTE, champion=None, before=last)
    workspace = FakeWorkspace()
    has_minutes(workspace, CANDIDATE, 20, 50, first=10, latency_p95=121.0)
    found = judged_after(30, workspace, settings(P95), later)
    assert found.breaches == (
        "latency_p95 from 12:10 to 12:28 UTC: required no worse than the champion's 100 ms by 20 %, until 12:08, "
        "found 121 ms of 900 requests",
    )


def test_hours_of_good_figures_do_not_hide_a_breach() -> None:
    workspace = FakeWorkspace()
    has_minutes(workspace, CANDIDATE, 300, 100)
    has_minutes(workspace, CANDIDATE, 10, 95, errors=5, first=300)
    day = replace(WATCHED, ends=NOW + 600 * MINUTE)
    assert judged_after(302, workspace, settings(), day).breaches == ()
    assert judged_after(312, workspace, settings(), day).breaches


def test_a_model_that_is_asked_rarely_is_judged_by_more_minutes() -> None:
    workspace = FakeWorkspace()
    has_minutes(workspace, CANDIDATE, 200, 1, latency_p95=150.0)
    asked = settings({"metric": "latency_p95", "at_most": "100ms"})
    found = judged_after(202, workspace, asked, replace(WATCHED, ends=NOW + 600 * MINUTE))
    assert found.breaches
    assert found.seen.candidate is not None
    assert found.seen.candidate.requests == 100


def test_copies_of_requests_are_judged_if_they_show_in_the_figures() -> None:
    mirror = replace(WATCHED, counts=False)
    found = judged_after(10, FakeWorkspace(), settings(), mirror)
    assert (found.breaches, found.waits) == ((), "")
    assert judged_after(10, workspace_with(40, 10), settings(), mirror).breaches


def test_nothing_is_read_where_nothing_is_to_be_judged() -> None:
    workspace = workspace_with()
    found = judged_after(10, workspace, settings().model_copy(update={"analysis": ()}))
    assert (found.breaches, found.waits, found.seen) == ((), "", Analysed())
    assert workspace.calls["live_figures"] == 0


def test_metrics_that_cannot_be_read_now_are_a_matter_of_trying_again() -> None:
    workspace = workspace_with()
    workspace.raises["live_figures"] = UnavailableError("Azure Monitor is away")
    with pytest.raises(UnavailableError):
        judged_after(10, workspace, settings())
