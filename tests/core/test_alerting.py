"""Alerts on endpoints are told once with the promotion that served when they fired."""

import pytest

from shared.core import alerting
from shared.core.events import AlertChanged, RolledBack
from shared.core.lane import decide
from shared.core.promotion import Lane
from tests.core.driver import LaneDriver
from tests.core.people import OPERATOR
from tests.core.world import KEY, NOW, requested

EMPTY = Lane(KEY)


def served(*versions: str) -> Lane:
    """The lane after these versions have gone through all stages."""
    lane = EMPTY
    for version in versions:
        lane = LaneDriver(decide(lane, requested(version), NOW).lane).run()
    return lane


def alert(fired: bool = True, identifier: str = "a1") -> AlertChanged:
    return AlertChanged(KEY, "prod", identifier, "slow", fired, "P95 612", "azure-monitor")


def told(lane: Lane, *events: AlertChanged) -> tuple[Lane, list[tuple[str, str, str]]]:
    """The lane, and the journal's lines: promotion, what, text."""
    said = []
    for event in events:
        decision = decide(lane, event, NOW)
        lane = decision.lane
        said += [(entry.promotion, entry.what, entry.text) for entry in decision.journal]
    return lane, said


def champion(lane: Lane) -> str:
    return lane.champions["prod"].promotion


def test_it_is_told_with_the_promotion_that_serves_and_again_when_it_is_resolved() -> None:
    lane = served("1")
    after, said = told(lane, alert(), alert(fired=False))
    serving = champion(lane)
    assert said == [(serving, "alert-fired", "slow: P95 612"), (serving, "alert-resolved", "slow: P95 612")]
    [kept] = after.alerts["prod"]
    assert (kept.promotion, kept.at, kept.resolved) == (serving, NOW, NOW)


@pytest.mark.parametrize("order", [(True, True), (True, False, True, False), (False, True), (False, False)])
def test_however_often_and_in_whatever_order_it_is_delivered_each_is_told_at_most_once(
    order: tuple[bool, ...],
) -> None:
    after, said = told(served("1"), *map(alert, order))
    assert len(said) == len({what for _, what, _ in said})
    [kept] = after.alerts["prod"]
    assert (kept.resolved is not None) is (False in order)


def test_a_repeated_one_changes_nothing() -> None:
    lane, _ = told(served("1"), alert())
    assert decide(lane, alert(), NOW).stale


def test_it_stays_with_the_promotion_that_served_when_it_fired() -> None:
    lane = served("1", "2")
    lane, said = told(lane, alert())
    second = said[0][0]
    lane = LaneDriver(decide(lane, RolledBack(KEY, second, OPERATOR, "slow", "prod"), NOW).lane).run()
    assert champion(lane) != second
    lane, said = told(lane, alert(fired=False), alert(identifier="a2"))
    assert [(promotion == second, what) for promotion, what, _ in said] == [
        (True, "alert-resolved"),
        (False, "alert-fired"),
    ]


def test_it_decides_nothing() -> None:
    lane = served("1")
    decision = decide(lane, alert(), NOW)
    assert decision.commands == ()
    assert decision.lane.champions == lane.champions


def test_one_on_a_stage_that_nothing_serves_is_dropped() -> None:
    assert decide(EMPTY, alert(), NOW).stale


def test_a_limited_number_is_kept() -> None:
    lane, _ = told(served("1"), *(alert(identifier=str(number)) for number in range(alerting.MOST_ALERTS + 5)))
    assert [each.id for each in lane.alerts["prod"]] == [str(number) for number in range(5, alerting.MOST_ALERTS + 5)]
