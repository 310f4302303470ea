"""A stage with windows begins to deploy in one of them, and finishes what it has begun."""

from datetime import timedelta

from shared.core.commands import due
from shared.core.events import Approved, RolledBack, TimePassed
from shared.core.holds import Scope, hold, release
from shared.core.in_window import LONGEST_CLOSED
from shared.core.lane import wake_at
from shared.core.messages import Outcome, RunStep
from shared.core.promotion import PromotionStatus, StageStatus
from shared.core.window import Window
from tests.core.patient import DAY, MONDAY_9, MONDAY_MORNING, PatientDriver, patient, prod, the, waits_for
from tests.core.people import ANNA, OPERATOR, in_flight
from tests.core.world import BROKEN, KEY, NOW, ROLLING, requested

WINDOWS = (MONDAY_MORNING,)
#: What is done at any hour.
BEFORE = ["validate", "check_capacity"]
THREE_HOURS = timedelta(hours=3)


def outside(version: str = "1", driver: PatientDriver | None = None) -> PatientDriver:
    """A promotion that waits in prod for its window, on a Friday."""
    driver = driver or PatientDriver()
    driver.take(patient(version, windows=WINDOWS))
    return driver


def steps_begun_outside(driver: PatientDriver) -> list[str]:
    """Run the promotion to its end; the steps that prod's worker was first asked for while the window was closed."""
    seen: list[str] = []
    while driver.lane.promotions[-1].under_way:
        seen += [
            command.step
            for command in driver.moments()
            if command.poll == 1 and command.stage == "prod" and not MONDAY_MORNING.is_open(driver.now)
        ]
        if driver.lane.promotions[-1].under_way:
            driver.pass_time()
    return seen


def test_all_up_to_the_deployment_is_done_before_the_window_opens() -> None:
    driver = outside()
    assert due(driver.lane) == ()
    assert [step.plan.name for step in prod(driver.lane).steps if step.ended] == BEFORE
    assert waits_for(driver.lane) == "prod waits for deploy: its window opens Mon 2026-11-23 09:00 Europe/Berlin"


def test_it_deploys_once_the_window_opens() -> None:
    driver = outside()
    assert wake_at(driver.lane) == MONDAY_9
    driver.pass_time()
    assert the(driver.lane).status is PromotionStatus.SUCCEEDED
    assert driver.now == MONDAY_9


def test_no_step_of_a_deployment_begins_outside_of_a_window() -> None:
    """Time goes on by three hours after each step, so that two of them begin in a window."""
    driver = PatientDriver()
    driver.pause = THREE_HOURS
    driver.apply(patient(windows=WINDOWS))
    assert steps_begun_outside(driver) == BEFORE
    begun = {step.plan.name: step.started for step in prod(driver.lane).steps if step.plan.in_window}
    week = 7 * DAY
    assert begun == {
        "deploy": MONDAY_9,
        "smoke": MONDAY_9,
        "shift": MONDAY_9 + week,
        "retire": MONDAY_9 + week,
    }
    assert the(driver.lane).status is PromotionStatus.SUCCEEDED


def test_no_step_of_a_rollout_begins_outside_of_a_window_but_the_watch_and_what_ends_what_was_kept_do() -> None:
    steps = requested("2", {"prod": ()}, asked=ROLLING).promotion.stages[0].steps
    in_window = [step.plan.name for step in steps if step.plan.in_window]
    assert in_window == ["make_room", "deploy", "smoke", "rollout-1", "rollout-2", "shift", "retire"]
    driver = PatientDriver()
    driver.pause = THREE_HOURS
    driver.apply(patient(windows=WINDOWS, asked=ROLLING))
    driver.run()
    while the(driver.lane).at_work:
        driver.pass_time()
    assert the(driver.lane).status is PromotionStatus.SUCCEEDED
    started = [(step.plan.name, step.started) for step in prod(driver.lane).steps]
    outside = [name for name, at in started if at is not None and not MONDAY_MORNING.is_open(at)]
    assert outside == [*BEFORE, "watch", "retire"]


def test_what_was_begun_in_the_window_is_finished_outside_of_it() -> None:
    driver = outside()
    driver.now = MONDAY_9 + THREE_HOURS - timedelta(seconds=1)
    driver.apply(TimePassed(KEY))
    assert in_flight(driver.lane) == ["prod.deploy"]
    driver.now += DAY
    driver.run()
    [deploy] = [step for step in prod(driver.lane).steps if step.plan.name == "deploy"]
    assert deploy.ended == driver.now
    assert due(driver.lane) == ()  # but smoke waits for the next window


def test_an_undo_waits_for_no_window() -> None:
    def breaks(command: RunStep) -> Outcome | None:
        return BROKEN if (command.stage, command.step) == ("prod", "deploy") else None

    driver = PatientDriver(answers=breaks)
    outside(driver=driver)
    driver.now = MONDAY_9 + THREE_HOURS - timedelta(seconds=1)
    driver.apply(TimePassed(KEY))
    driver.now += DAY
    driver.run()
    assert the(driver.lane).status is PromotionStatus.FAILED
    assert driver.now < MONDAY_9 + 2 * DAY


def test_a_rollback_waits_for_no_window_and_for_nobody_who_does() -> None:
    driver = outside()
    driver.pass_time()
    driver.take(patient("2"))
    driver.now += DAY
    outside("3", driver)
    assert prod(driver.lane, "3").status is StageStatus.RUNNING
    driver.take(RolledBack(KEY, the(driver.lane, "2").id, OPERATOR, "odd answers", "prod"))
    assert driver.lane.champions["prod"].candidate.version == "1"
    stage = prod(driver.lane, "3")
    assert (stage.status, stage.attempt) == (StageStatus.QUEUED, 2)
    assert [step.plan.name for step in stage.steps if step.ended] == []  # it is validated again: beside version 1


def test_people_may_approve_before_the_window_opens() -> None:
    driver = PatientDriver()
    driver.take(patient(windows=WINDOWS, asked=("approval",), stages={"prod": ()}))
    driver.take(Approved(KEY, the(driver.lane).id, ANNA, "fine"))
    assert "its window opens" in waits_for(driver.lane)


def test_a_freeze_outlasts_the_opening_and_a_release_ends_it_at_once() -> None:
    driver = outside()
    driver.holds = hold(driver.holds, Scope(), OPERATOR, "Christmas", None, driver.now)
    driver.pass_time()
    assert due(driver.lane) == ()
    assert "the hold on everything to be released, set by olga: Christmas" in waits_for(driver.lane)
    driver.holds = release(driver.holds, Scope(), OPERATOR, "over", driver.now)
    driver.take(TimePassed(KEY))
    assert the(driver.lane).status is PromotionStatus.SUCCEEDED


def test_a_window_that_closed_during_the_hold_must_open_again() -> None:
    driver = outside()
    driver.holds = hold(driver.holds, Scope(), OPERATOR, "audit", MONDAY_9 + DAY, driver.now)
    driver.pass_time()
    driver.pass_time(DAY)
    assert due(driver.lane) == ()
    assert waits_for(driver.lane) == "prod waits for deploy: its window opens Mon 2026-11-30 09:00 Europe/Berlin"


def test_the_wait_has_a_deadline() -> None:
    driver = outside()
    driver.holds = hold(driver.holds, Scope(), OPERATOR, "forgotten", None, driver.now)
    driver.pass_time(LONGEST_CLOSED)
    assert prod(driver.lane).status is StageStatus.FAILED
    assert prod(driver.lane).reason == (
        "deploy could not begin within 30 d: a hold lasted longer than that; start a new promotion"
    )


def test_a_stage_whose_window_is_open_does_not_wait() -> None:
    driver = PatientDriver()
    driver.take(patient(windows=(Window((4,), 0, 24 * 60, "UTC"),)))
    assert the(driver.lane).status is PromotionStatus.SUCCEEDED
    assert driver.now == NOW
