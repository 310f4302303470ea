"""What happens if a candidate gets too few requests to be judged."""

from datetime import timedelta
from typing import Any

import pytest

from shared.worker.analysis import Watched
from tests.fakes.workspace import FakeWorkspace
from tests.steps.analysis.watching import CANDIDATE, CHAMPION, LATE, has_minutes, judged_after, settings
from tests.steps.promotion import NOW

FEW = f"deployment {CANDIDATE} answered only 40 of 100 requests"


@pytest.fixture
def workspace() -> FakeWorkspace:
    """A candidate that was asked 40 times in 10 minutes, and 40 times in the hour after."""
    workspace = FakeWorkspace()
    has_minutes(workspace, CANDIDATE, 10, 4)
    return workspace


def test_nothing_is_decided_before_the_last_minutes_are_complete(workspace: FakeWorkspace) -> None:
    for too_few in ("wait", "pass", "fail"):
        found = judged_after(12.5, workspace, settings(too_few=too_few))
        assert (found.breaches, found.waits) == ((), f"{FEW}{LATE}")


@pytest.mark.parametrize(
    ("too_few", "breaches", "waits", "notes"),
    [
        ({"too_few": "wait"}, (), FEW, ()),
        ({"too_few": "pass"}, (), "", (f"{FEW}; `too_few` is pass",)),
        ({"too_few": "fail"}, (f"{FEW}.",), "", ()),
        ({"too_few": "wait", "wait_at_most": "3m"}, (f"{FEW}, 3m after the end of the step.",), "", ()),
    ],
)
def test_after_that_the_settings_decide(
    workspace: FakeWorkspace,
    too_few: dict[str, Any],
    breaches: tuple[str, ...],
    waits: str,
    notes: tuple[str, ...],
) -> None:
    found = judged_after(13, workspace, settings(**too_few))
    assert (found.breaches, found.waits, found.seen.notes) == (breaches, waits, notes)


def test_requests_that_come_while_it_waits_count(workspace: FakeWorkspace) -> None:
    has_minutes(workspace, CANDIDATE, 20, 4, first=10)
    assert judged_after(20, workspace, settings()).waits
    found = judged_after(28, workspace, settings())
    assert (found.breaches, found.waits, found.seen.requests) == ((), "", 104)


def test_a_missing_figure_is_waited_for_and_then_a_breach(workspace: FakeWorkspace) -> None:
    has_minutes(workspace, CANDIDATE, 10, 100, first=10)
    asked = settings({"metric": "latency_p95", "at_most": "100ms"}, too_few="pass")
    assert judged_after(30, workspace, asked).waits == "there is no verdict on latency_p95"
    found = judged_after(130, workspace, asked)
    assert found.breaches == ("there is no verdict on latency_p95, 2h after the end of the step.",)


def test_a_step_of_seconds_is_not_over_before_a_whole_minute_of_it_could_be_judged() -> None:
    workspace = FakeWorkspace()
    has_minutes(workspace, CANDIDATE, 10, 0, errors=40, status=424)
    begun = NOW + timedelta(seconds=1)  # just after Azure Monitor's minute began
    watched = Watched(begun, begun + timedelta(seconds=15), champion=CHAMPION)
    asked = settings(too_few="pass")
    early = judged_after(3.5, workspace, asked, watched)
    assert (early.breaches, early.seen.requests) == ((), 0)
    assert early.waits.endswith(LATE)
    assert judged_after(4.5, workspace, asked, watched).breaches
