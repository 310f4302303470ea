"""Rules of the judgement that hold for any figures."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.workspace import FakeWorkspace
from tests.steps.analysis.watching import CANDIDATE, CHAMPION, MINUTE, WATCHED, judged_after, settings
from tests.steps.promotion import ENDPOINT, NOW

SHARES = st.floats(0, 1)
LATENCIES = st.floats(0.1, 10_000)
COUNTS = st.integers(0, 300)
MINUTES = st.lists(st.tuples(COUNTS, COUNTS, st.none() | LATENCIES), max_size=40)
ASKED = settings({"metric": "error_rate", "at_most": 0.02}, {"metric": "latency_p95", "at_most": "300ms"})
LONG = replace(WATCHED, ends=NOW + 60 * MINUTE)


def workspace_of(candidate: list[tuple[int, int, float | None]]) -> FakeWorkspace:
    workspace = FakeWorkspace()
    for number, (good, failed, latency) in enumerate(candidate):
        more = {} if latency is None else {"latency_p95": latency}
        workspace.has_minutes(ENDPOINT, CANDIDATE, NOW + number * MINUTE, 1, {200: good, 500: failed}, **more)
    return workspace


@given(MINUTES)
def test_good_figures_never_breach_and_few_requests_never_pass(minutes: list[tuple[int, int, float | None]]) -> None:
    found = judged_after(45, workspace_of(minutes), ASKED, LONG)
    asked, failed = sum(good + bad for good, bad, _ in minutes), sum(bad for _, bad, _ in minutes)
    if not failed and all(latency is None or latency <= 300 for *_, latency in minutes):
        assert not found.breaches
    if asked < ASKED.min_requests and not found.breaches:
        assert found.waits


@given(MINUTES)
def test_more_errors_never_turn_a_breach_of_the_error_rate_into_a_pass(
    minutes: list[tuple[int, int, float | None]],
) -> None:
    asked = settings({"metric": "error_rate", "at_most": 0.02})
    worse = [(max(good - 1, 0), failed + (good > 0), latency) for good, failed, latency in minutes]
    if judged_after(45, workspace_of(minutes), asked, LONG).breaches:
        assert judged_after(45, workspace_of(worse), asked, LONG).breaches


@given(MINUTES, st.integers(0, 40))
def test_what_is_not_complete_yet_changes_nothing(minutes: list[tuple[int, int, float | None]], now: int) -> None:
    complete = minutes[: max(now - 2, 0)]
    found = judged_after(now, workspace_of(minutes), ASKED, LONG)
    assert found == judged_after(now, workspace_of(complete), ASKED, LONG)


@given(MINUTES)
def test_a_candidate_that_does_exactly_as_its_champion_is_never_worse(
    minutes: list[tuple[int, int, float | None]],
) -> None:
    workspace = workspace_of(minutes)
    workspace.minutes[ENDPOINT, CHAMPION] = list(workspace.minutes.get((ENDPOINT, CANDIDATE), []))
    asked = settings(
        {"metric": "error_rate", "no_worse_than_champion_by": 0},
        {"metric": "latency_p95", "no_worse_than_champion_by": "0%"},
    )
    assert not judged_after(45, workspace, asked, LONG).breaches
