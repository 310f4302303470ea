"""What a stage keeps after its end: when it is removed, and what waits for that."""

from datetime import timedelta

import pytest

from shared.core.commands import due
from shared.core.events import KeepingEnded, NotNowError, RolledBack, TimePassed
from shared.core.lane import decide, wake_at
from shared.core.messages import Failed, FailureKind
from shared.core.promotion import Lane, PromotionStatus, StageStatus
from tests.core.driver import LaneDriver
from tests.core.patient import PatientDriver
from tests.core.people import OPERATOR, ask, in_flight, the
from tests.core.world import BROKEN, KEPT_FOR, KEY, NOW, ROLLING, answer, requested

ONE_STAGE = {"test": ()}
LATER = NOW + KEPT_FOR


def keeping() -> Lane:
    """Version 2 serves, and its stage keeps version 1."""
    lane = Lane(KEY)
    for version in ("1", "2"):
        driver = LaneDriver(lane)
        driver.apply(requested(version, ONE_STAGE, asked=ROLLING))
        lane = driver.run()
    assert the(lane, "2").status is PromotionStatus.SUCCEEDED
    return lane


def finished(lane: Lane) -> Lane:
    return LaneDriver(lane, now=LATER).run()


def test_it_is_removed_when_its_time_is_over_and_not_before() -> None:
    lane = keeping()
    assert (in_flight(lane), wake_at(lane)) == ([], LATER)
    assert decide(lane, TimePassed(KEY), LATER - timedelta(seconds=1)).stale
    lane = decide(lane, TimePassed(KEY), LATER).lane
    assert in_flight(lane) == ["test.retire"]
    lane = finished(lane)
    assert (the(lane, "2").keeps, wake_at(lane)) == (False, None)


def test_it_is_not_removed_while_another_promotion_is_in_the_stage() -> None:
    """Both would change the endpoint. Version 3 keeps nothing itself, so it makes no room."""
    lane = decide(keeping(), requested("3", ONE_STAGE), NOW).lane
    assert in_flight(lane) == ["test.share"]
    lane = ask(lane, KeepingEnded(KEY, the(lane, "2").id, OPERATOR, "it costs money"))
    assert in_flight(lane) == ["test.share"]
    lane = LaneDriver(lane, lambda command: BROKEN if command.step == "validate" else None).run(
        until=lambda command: command.step == "retire"
    )
    assert (the(lane, "3").status, in_flight(lane)) == (PromotionStatus.FAILED, ["test.retire"])


def test_nobody_enters_the_stage_while_it_is_removed() -> None:
    lane = decide(keeping(), TimePassed(KEY), LATER).lane
    lane = decide(lane, requested("3", ONE_STAGE), LATER).lane
    assert the(lane, "3").stages[0].status is StageStatus.QUEUED
    lane = decide(lane, answer(due(lane)[0]), LATER).lane
    assert the(lane, "3").stages[0].status is StageStatus.RUNNING


def test_the_next_version_that_serves_ends_it() -> None:
    driver = PatientDriver(keeping())
    lane = driver.take(requested("3", ONE_STAGE, asked=ROLLING))
    assert [each.candidate.version for each in lane.promotions if each.keeps] == ["3"]
    assert "test kept-no-longer: version 3 takes its place" in driver.journal


def test_a_removal_that_fails_is_noted_and_changes_nothing_else() -> None:
    lane = decide(keeping(), TimePassed(KEY), LATER).lane
    failure = Failed("no right to delete", FailureKind.PERMISSION)
    lane = decide(lane, answer(due(lane)[0], failure), LATER).lane
    (stage,) = the(lane, "2").stages
    assert (stage.status, stage.kept_until, stage.reason) == (StageStatus.SUCCEEDED, None, "retire: no right to delete")
    assert lane.champions["test"].candidate.version == "2"


def test_a_person_ends_it_once() -> None:
    lane = ask(keeping(), KeepingEnded(KEY, the(keeping(), "2").id, OPERATOR, "it costs money"))
    assert in_flight(lane) == ["test.retire"]
    lane = finished(lane)
    with pytest.raises(NotNowError, match="keeps no replaced deployment"):
        ask(lane, KeepingEnded(KEY, the(lane, "2").id, OPERATOR, "again"))


def test_a_rollback_ends_it_and_waits_for_a_removal_under_way() -> None:
    lane = decide(keeping(), TimePassed(KEY), LATER).lane
    lane = ask(lane, RolledBack(KEY, the(lane, "2").id, OPERATOR, "wrong answers"), KEPT_FOR)
    assert in_flight(lane) == ["test.retire"], "what it removes may be what comes back"
    lane = finished(lane)
    assert (the(lane, "2").status, the(lane, "2").keeps) == (PromotionStatus.ROLLED_BACK, False)
    assert lane.champions["test"].candidate.version == "1"
