"""Which minutes a poll reports: each once, the oldest first, and never too many."""

from dataclasses import replace

from shared.worker.analysis import MOST_MINUTES
from tests.fakes.workspace import FakeWorkspace
from tests.steps.analysis.watching import CANDIDATE, CHAMPION, MINUTE, WATCHED, has_minutes, judged_after, settings
from tests.steps.promotion import NOW


def test_each_minute_is_reported_once_with_both_deployments() -> None:
    workspace = FakeWorkspace()
    has_minutes(workspace, CANDIDATE, 10, 9, errors=1, latency_p95=20.0)
    has_minutes(workspace, CHAMPION, 10, 90)
    first = judged_after(5, workspace, settings())
    assert [(each.deployment, (each.at - NOW) / MINUTE) for each in first.minutes] == [
        (name, minute) for minute in range(3) for name in (CANDIDATE, CHAMPION)
    ]
    assert (first.minutes[0].requests, first.minutes[0].errors, first.minutes[0].latency_p95) == (10, 1, 20.0)
    second = judged_after(7, workspace, settings(), replace(WATCHED, kept=first.kept))
    assert [(each.at - NOW) / MINUTE for each in second.minutes] == [3, 3, 4, 4]
    third = judged_after(7, workspace, settings(), replace(WATCHED, kept=second.kept))
    assert third.minutes == ()
    assert third.kept == second.kept


def test_a_report_carries_a_bounded_number_and_the_next_ones_carry_the_rest() -> None:
    workspace = FakeWorkspace()
    has_minutes(workspace, CANDIDATE, 200, 1)
    first = judged_after(250, workspace, settings())
    assert len(first.minutes) == MOST_MINUTES
    second = judged_after(250, workspace, settings(), replace(WATCHED, kept=first.kept))
    assert [each.at for each in (*first.minutes, *second.minutes)] == [NOW + each * MINUTE for each in range(200)]


def test_a_minute_is_reported_only_once_it_is_complete_and_if_it_lies_within_the_step() -> None:
    """What is reported is never corrected, so half a minute would be kept for good."""
    workspace = FakeWorkspace()
    has_minutes(workspace, CANDIDATE, 6, 10)
    late = replace(WATCHED, since=NOW + MINUTE / 2)
    found = judged_after(4.9, workspace, settings(), late)
    assert [(each.at - NOW) / MINUTE for each in found.minutes] == [1]
