"""A stage waits until the stages before have served the candidate for long enough."""

from datetime import timedelta

import pytest

from shared.core.approval import ApprovalEvidence, digest
from shared.core.commands import due
from shared.core.events import Approved, Cancelled, NotNowError, Released, Retried, RolledBack
from shared.core.holds import Scope, hold
from shared.core.lane import wake_at
from shared.core.promotion import PromotionStatus, StageStatus, StepStatus
from shared.core.replacing import replace
from shared.core.waiting import waits
from tests.core.patient import DAY, MONDAY_MORNING, PatientDriver, patient, prod, the, waits_for
from tests.core.people import ANNA, OPERATOR
from tests.core.world import BROKEN, KEY, NOW, REFUSED

MINUTE = timedelta(minutes=1)


def soaking(version: str = "1", driver: PatientDriver | None = None) -> PatientDriver:
    driver = driver or PatientDriver()
    driver.take(patient(version, soak=DAY))
    return driver


def test_nothing_of_the_stage_is_done_before_the_one_before_has_served_for_long_enough() -> None:
    driver = soaking()
    assert due(driver.lane) == ()
    assert [step.status for step in prod(driver.lane).steps][:2] == [StepStatus.RUNNING, StepStatus.WAITING]
    driver.pass_time(DAY - MINUTE)
    assert prod(driver.lane).status is StageStatus.RUNNING
    assert due(driver.lane) == ()
    driver.pass_time()
    assert driver.now == NOW + DAY
    assert the(driver.lane).status is PromotionStatus.SUCCEEDED


def test_it_says_until_when_it_waits() -> None:
    driver = soaking()
    assert waits_for(driver.lane) == "prod waits for soak: test must serve it for 24 h, until 2026-11-21 12:00:00 UTC"
    assert wake_at(driver.lane) == NOW + DAY
    [wait] = waits(driver.lane, the(driver.lane))
    assert (wait.ends, wait.is_for_time) == (NOW + DAY, True)


def test_the_time_counts_from_the_last_of_the_stages_before() -> None:
    driver = PatientDriver()
    driver.apply(patient(soak=DAY, stages={"west": (), "north": (), "prod": ("west", "north")}))
    driver.run(until=lambda command: command.stage == "north" and command.step == "shift")
    driver.now += DAY  # the step takes that long; its answer counts
    driver.run()
    assert wake_at(driver.lane) == NOW + 2 * DAY


def test_it_is_skipped_if_a_stage_before_is_rolled_back_meanwhile() -> None:
    driver = soaking()
    driver.pass_time()  # version 1 serves both
    soaking("2", driver)
    driver.take(RolledBack(KEY, the(driver.lane, "2").id, OPERATOR, "odd answers", "test"))
    assert (prod(driver.lane, "2").status, prod(driver.lane, "2").reason) == (
        StageStatus.SKIPPED,
        "test did not succeed",
    )
    assert the(driver.lane, "2").status is PromotionStatus.ROLLED_BACK
    assert driver.lane.champions["prod"].candidate.version == "1"


@pytest.mark.parametrize("soak", [DAY, timedelta(0)])
def test_what_had_a_breach_in_a_stage_before_goes_no_further_although_it_serves_there(soak: timedelta) -> None:
    """Nothing served test before it, so nothing could take its place there."""
    driver = PatientDriver(answers=lambda command: REFUSED if command.step == "watch" else None)
    driver.take(patient(soak=soak, asked=("watch",)))
    promotion = the(driver.lane)
    assert [stage.status for stage in promotion.stages] == [StageStatus.SUCCEEDED, StageStatus.SKIPPED]
    assert prod(driver.lane).reason == "test had a breach while it was watched"
    assert (promotion.status, promotion.reason) == (PromotionStatus.REFUSED, f"test: watch: {REFUSED.reason}")
    assert driver.lane.champions.keys() == {"test"}
    for only_failed in (True, False):
        with pytest.raises(NotNowError):
            driver.take(Retried(KEY, promotion.id, OPERATOR, "go on", only_failed=only_failed))
    assert the(driver.lane).status is PromotionStatus.REFUSED


def test_the_next_version_goes_on_where_the_one_before_had_a_breach() -> None:
    driver = PatientDriver(
        answers=lambda command: REFUSED if (command.step, command.candidate.version) == ("watch", "1") else None
    )
    driver.take(patient(soak=DAY, asked=("watch",)))
    driver.take(Released(KEY, "test", OPERATOR, "version 2 is better"))
    soaking("2", driver)
    driver.pass_time()
    assert the(driver.lane, "2").status is PromotionStatus.SUCCEEDED
    assert driver.lane.champions["prod"].candidate.version == "2"


def test_it_is_superseded_if_another_version_takes_the_stage_before() -> None:
    driver = soaking()
    driver.pass_time(timedelta(hours=3))
    soaking("2", driver)
    stage = prod(driver.lane)
    assert stage.status is StageStatus.SUPERSEDED
    assert stage.reason == "version 2 replaced it in test before it had served there for 24 h"
    assert prod(driver.lane, "2").status is StageStatus.RUNNING


def test_another_promotion_of_the_same_version_may_take_the_stage_before() -> None:
    driver = soaking()
    driver.pass_time(timedelta(hours=3))
    again = patient(soak=DAY)
    driver.take(replace(again, promotion=replace(again.promotion, id="again")))
    assert driver.lane.champions["test"].promotion == "again"
    assert prod(driver.lane).status is StageStatus.RUNNING
    driver.pass_time()
    assert driver.now == NOW + DAY
    assert the(driver.lane).status is PromotionStatus.SUCCEEDED


def test_a_rollback_of_what_serves_the_stage_does_not_wait_for_it() -> None:
    driver = soaking()
    driver.pass_time()
    soaking("2", driver)
    driver.pass_time()
    soaking("3", driver)  # waits in prod, where version 2 serves
    driver.take(RolledBack(KEY, the(driver.lane, "2").id, OPERATOR, "odd answers", "prod"))
    assert driver.lane.champions["prod"].candidate.version == "1"
    assert prod(driver.lane, "3").status is StageStatus.QUEUED
    assert waits_for(driver.lane, "3") == "prod waits for the hold on prod to be released, set by olga: odd answers"


def test_a_hold_keeps_the_wait_from_ending_and_a_cancel_does_not_wait() -> None:
    driver = soaking()
    driver.holds = hold(driver.holds, Scope("churn"), OPERATOR, "audit", NOW + 3 * DAY, driver.now)
    driver.pass_time()
    assert prod(driver.lane).status is StageStatus.RUNNING
    assert "the hold on churn to end at 2026-11-23 12:00 UTC, set by olga: audit" in waits_for(driver.lane)
    driver.take(Cancelled(KEY, the(driver.lane).id, OPERATOR, "no"))
    assert the(driver.lane).status is PromotionStatus.CANCELLED


def test_nobody_can_approve_it_away() -> None:
    driver = PatientDriver()
    driver.take(patient(soak=DAY, windows=(MONDAY_MORNING,), asked=("approval",)))
    driver.take(Approved(KEY, the(driver.lane).id, ANNA, "fine", stage="test"))
    with pytest.raises(NotNowError, match="nothing waits for approval; the promotion is running"):
        driver.take(Approved(KEY, the(driver.lane).id, ANNA, "fine"))
    assert prod(driver.lane).status is StageStatus.RUNNING


def test_people_approve_the_candidate_and_not_how_long_it_has_served() -> None:
    """So an approval counts again after a retry, and for the runs of a pipeline that rely on it."""
    driver = PatientDriver()
    driver.take(patient(soak=DAY, asked=("approval",)))
    driver.take(Approved(KEY, the(driver.lane).id, ANNA, "fine", stage="test"))
    driver.pass_time()
    stage = prod(driver.lane)
    [asks] = [step for step in stage.steps if step.plan.asks_people]
    evidence = the(driver.lane).evidence_for(stage)
    assert "soak" in evidence
    seen = {name: saw for name, saw in evidence.items() if name in ("share", "validate")}
    assert ApprovalEvidence.of(asks).on == digest(seen)


def test_a_retry_does_not_wait_again() -> None:
    driver = PatientDriver(
        answers=lambda command: BROKEN if (command.stage, command.step) == ("prod", "smoke") else None
    )
    driver.take(patient(soak=DAY))
    driver.pass_time()
    assert the(driver.lane).status is PromotionStatus.FAILED
    driver.answers = lambda command: None
    driver.take(Retried(KEY, the(driver.lane).id, OPERATOR, "mended"))
    assert the(driver.lane).status is PromotionStatus.SUCCEEDED
