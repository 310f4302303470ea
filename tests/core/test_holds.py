"""Operators hold a route, a model, a stage, or everything."""

from datetime import datetime, timedelta

import pytest

from shared.core.commands import due
from shared.core.events import NotNowError, RolledBack, TimePassed
from shared.core.held_back import LOOK_AGAIN
from shared.core.holds import MOST_HOLDS, MOST_LINES, NO_HOLDS, Holds, Scope, hold, release
from shared.core.lane import LONGEST_QUEUE, wake_at
from shared.core.promotion import PromotionStatus, StageStatus
from tests.core.patient import DAY, PatientDriver, patient, prod, the, waits_for
from tests.core.people import OPERATOR
from tests.core.world import KEY, NOW

HOUR = timedelta(hours=1)
PROD = Scope("churn", "churn-eu", "prod")


def held(scope: Scope = PROD, until_after: timedelta | None = None, holds: Holds = NO_HOLDS) -> Holds:
    until = NOW + until_after if until_after is not None else None
    return hold(holds, scope, OPERATOR, "audit", until, NOW)


@pytest.mark.parametrize(
    ("scope", "written", "covers"),
    [
        (Scope(), "everything", True),
        (Scope("churn"), "churn", True),
        (Scope("churn", "churn-eu"), "churn/churn-eu", True),
        (PROD, "churn/churn-eu/prod", True),
        (Scope("churn", "", "prod"), "churn/*/prod", True),
        (Scope("fraud"), "fraud", False),
        (Scope("churn", "churn-us"), "churn/churn-us", False),
        (Scope("churn", "", "test"), "churn/*/test", False),
    ],
)
def test_a_hold_applies_to_what_its_scope_names(scope: Scope, written: str, covers: bool) -> None:
    assert str(scope) == written
    assert (held(scope).on("churn", "churn-eu", "prod", NOW) is not None) is covers


@pytest.mark.parametrize(
    "scope", [Scope(), Scope("churn"), Scope("churn", "churn-eu"), PROD, Scope("churn", "", "prod")]
)
def test_no_promotion_enters_a_held_stage(scope: Scope) -> None:
    driver = PatientDriver(holds=held(scope, DAY))
    driver.take(patient())
    waiting = the(driver.lane).stages[0] if not scope.stage else prod(driver.lane)
    assert waiting.status is StageStatus.QUEUED
    name = waiting.name
    hold_in_words = f"the hold on {scope} to end at 2026-11-21 12:00 UTC, set by olga: audit"
    assert waits_for(driver.lane) == f"{name} waits for {hold_in_words}"
    assert f"{name} held: the hold on {scope} until 2026-11-21 12:00 UTC, set by olga: audit" in driver.journal


def test_a_hold_ends_by_itself() -> None:
    driver = PatientDriver(holds=held(until_after=DAY))
    driver.take(patient())
    while the(driver.lane).under_way:
        assert driver.now < NOW + DAY
        driver.pass_time()
    assert (the(driver.lane).status, driver.now) == (PromotionStatus.SUCCEEDED, NOW + DAY)


def test_a_lane_looks_again_although_nobody_has_told_it_of_the_release() -> None:
    driver = PatientDriver(holds=held())
    driver.take(patient())
    assert wake_at(driver.lane) == NOW + LOOK_AGAIN
    driver.pass_time()
    assert wake_at(driver.lane) == NOW + 2 * LOOK_AGAIN  # else the timer would find it overdue every minute
    driver.holds = NO_HOLDS
    driver.pass_time()
    assert the(driver.lane).status is PromotionStatus.SUCCEEDED


def test_the_journal_says_once_that_a_promotion_is_held() -> None:
    driver = PatientDriver(holds=held())
    driver.take(patient())
    driver.pass_time()
    driver.pass_time()
    assert sum("held: " in line for line in driver.journal) == 1


def test_what_is_in_the_stage_finishes() -> None:
    driver = PatientDriver()
    driver.apply(patient())
    driver.run(until=lambda command: (command.stage, command.step) == ("prod", "deploy"))
    driver.holds = held(Scope())
    driver.run()
    assert the(driver.lane).status is PromotionStatus.SUCCEEDED


def test_a_rollback_is_never_held() -> None:
    driver = PatientDriver()
    driver.take(patient("1"))
    driver.take(patient("2"))
    driver.holds = held(Scope())
    driver.take(RolledBack(KEY, the(driver.lane, "2").id, OPERATOR, "odd answers", "prod"))
    assert driver.lane.champions["prod"].candidate.version == "1"


def test_a_promotion_waits_for_a_hold_no_longer_than_for_its_turn() -> None:
    driver = PatientDriver(holds=held())
    driver.take(patient())
    driver.pass_time(LONGEST_QUEUE)
    assert prod(driver.lane).reason == "its turn did not come within 30 d"


def test_a_newer_version_supersedes_one_that_is_held() -> None:
    driver = PatientDriver(holds=held())
    driver.take(patient("1"))
    driver.take(patient("2"))
    assert the(driver.lane, "1").status is PromotionStatus.SUPERSEDED


def test_a_held_lane_that_nothing_has_happened_to_is_stale() -> None:
    driver = PatientDriver(holds=held())
    driver.take(patient())
    before = driver.lane
    driver.take(TimePassed(KEY))
    assert driver.lane is before
    assert due(before) == ()


def test_setting_a_hold_again_replaces_it() -> None:
    again = hold(held(until_after=HOUR), PROD, OPERATOR, "longer", NOW + DAY, NOW)
    assert [(each.reason, each.until) for each in again.holds] == [("longer", NOW + DAY)]
    assert [(line.number, line.what) for line in again.history] == [(1, "set"), (2, "set")]


def scope_on(holds: Holds, now: datetime) -> Scope | None:
    found = holds.on("churn", "churn-eu", "prod", now)
    return found.scope if found else None


def test_of_several_holds_the_one_that_ends_last_counts() -> None:
    both = held(Scope("churn"), DAY, held(PROD, HOUR))
    assert scope_on(both, NOW) == Scope("churn")
    assert scope_on(held(Scope(), None, both), NOW) == Scope()
    assert scope_on(both, NOW + DAY) is None


def test_a_release_says_what_is_held() -> None:
    with pytest.raises(NotNowError, match="there is no hold on churn/churn-us; held: churn, churn/churn-eu/prod"):
        release(held(Scope("churn"), None, held()), Scope("churn", "churn-us"), OPERATOR, "over", NOW)
    with pytest.raises(NotNowError, match="there is no freeze, and on nothing else"):
        release(held(until_after=HOUR), Scope(), OPERATOR, "over", NOW + HOUR)
    assert release(held(), PROD, OPERATOR, "over", NOW).holds == ()


@pytest.mark.parametrize("after", [timedelta(0), -HOUR, timedelta(days=365, seconds=1)])
def test_a_hold_ends_in_the_future_and_within_a_year(after: timedelta) -> None:
    with pytest.raises(NotNowError, match="until must be in the future, and within 365 days; 202"):
        held(until_after=after)
    assert held(until_after=timedelta(days=365)).holds


def test_holds_and_their_history_are_bounded() -> None:
    holds = NO_HOLDS
    for number in range(MOST_HOLDS):
        holds = held(Scope(f"route-{number}"), HOUR, holds)
    with pytest.raises(NotNowError, match=f"there are {MOST_HOLDS} holds already"):
        held(Scope("one-more"), HOUR, holds)
    assert held(Scope("route-7"), DAY, holds).holds[-1].until == NOW + DAY
    assert len(hold(holds, Scope("later"), OPERATOR, "", None, NOW + HOUR).holds) == 1  # the others are over
    for _ in range(MOST_LINES):
        holds = held(Scope("route-7"), DAY, holds)
    assert (len(holds.history), holds.history[-1].number) == (MOST_LINES, MOST_HOLDS + MOST_LINES)
