"""The lane's rules, one by one."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from shared.core.commands import due
from shared.core.events import Person, PromotionRequested, RolledBack, TimePassed
from shared.core.lane import FIRST_PAUSE, LONGEST_PAUSE, Decision, decide, wake_at
from shared.core.messages import GRACE, Failed, FailureKind, Kind, Retry, Running, RunStep
from shared.core.promotion import STAGE_ENDED, Lane, PromotionStatus, StageStatus
from shared.core.replacing import replace
from tests.core.driver import LaneDriver, drive
from tests.core.world import BROKEN, KEY, NOW, REFUSED, Azure, answer, promotion, requested

EMPTY = Lane(KEY)
OPERATOR = Person("id-o", "olga", ("Promotion.Operator",))
TWO_REGIONS = {"test": (), "prod-west": ("test",), "prod-north": ("test",)}


def run_until(lane: Lane, stage: str, step: str) -> tuple[Lane, RunStep]:
    """Answer every command with success until the step is in flight."""
    driver = LaneDriver(lane)
    for _ in driver.moments():
        for command in driver.in_flight():
            if (command.stage, command.step) == (stage, step):
                return driver.lane, command
    raise AssertionError(f"{stage}.{step} never came")


def only(lane: Lane, version: str = "1") -> PromotionStatus:
    return next(known.status for known in lane.promotions if known.candidate.version == version)


def test_a_request_starts_the_first_step_in_the_worker_of_the_source() -> None:
    decision = decide(EMPTY, requested(), NOW)
    assert [(command.step, command.environment) for command in decision.commands] == [("share", "dev")]
    assert [entry.what for entry in decision.journal] == ["requested", "stage-started"]


def test_a_command_may_act_for_three_minutes_and_is_known_not_to_after_five() -> None:
    lane = decide(EMPTY, requested(), NOW).lane
    [command] = due(lane)
    assert command.not_after == NOW + timedelta(minutes=3)
    assert wake_at(lane) == NOW + timedelta(minutes=5)


def test_all_steps_of_all_stages_run_in_order_and_the_candidate_ends_as_champion_of_each() -> None:
    driver = LaneDriver(decide(EMPTY, requested(), NOW).lane)
    order = [f"{command.stage}.{command.step}" for command in driver.moments()]
    steps = ("validate", "check_capacity", "deploy", "smoke", "shift", "retire")
    assert order == ["test.share", *(f"test.{step}" for step in steps), *(f"prod.{step}" for step in steps)]
    assert only(driver.lane) is PromotionStatus.SUCCEEDED
    assert set(driver.lane.champions) == {"test", "prod"}


def test_evidence_of_share_reaches_every_later_step_and_the_successor_through_the_champion() -> None:
    lane, _ = drive(EMPTY, requested("1"), Azure())
    lane, command = run_until(decide(lane, requested("2"), NOW).lane, "prod", "validate")
    assert list(command.evidence) == ["share"]
    assert command.evidence["share"]["saw"] == "share"
    assert command.champion is not None
    assert command.champion.candidate.version == "1"
    assert command.champion.evidence["share"]["saw"] == "share"
    assert command.champion.evidence["deploy"]["saw"] == "deploy"


def test_two_regions_go_side_by_side_once_the_stage_before_them_succeeded() -> None:
    lane, _ = run_until(decide(EMPTY, requested("1", TWO_REGIONS), NOW).lane, "test", "retire")
    decision = decide(lane, answer(due(lane)[0]), NOW)
    assert {(command.stage, command.step) for command in decision.commands} == {
        ("prod-west", "validate"),
        ("prod-north", "validate"),
    }


def test_a_region_that_fails_leaves_its_sibling_going_and_fails_the_promotion_at_the_end() -> None:
    lane, azure = drive(EMPTY, requested("1", TWO_REGIONS), Azure(failing={("1", "prod-west", "deploy"): BROKEN}))
    found = lane.promotions[0]
    assert {stage.name: stage.status for stage in found.stages} == {
        "test": StageStatus.SUCCEEDED,
        "prod-west": StageStatus.FAILED,
        "prod-north": StageStatus.SUCCEEDED,
    }
    assert found.status is PromotionStatus.FAILED
    assert azure.endpoint("prod-north").traffic == found.id


def test_a_refusal_skips_later_stages_and_gives_its_figures_as_the_reason() -> None:
    lane, _ = drive(EMPTY, requested(), Azure(failing={("1", "test", "validate"): REFUSED}))
    found = lane.promotions[0]
    assert found.status is PromotionStatus.REFUSED
    assert "auc 0.70 is below 0.82" in found.reason
    assert [stage.status for stage in found.stages] == [StageStatus.REFUSED, StageStatus.SKIPPED]


@pytest.mark.parametrize(
    ("failing", "undone"),
    [
        ("share", []),
        ("validate", []),
        ("deploy", ["remove"]),
        ("smoke", ["remove"]),
        ("shift", ["reinstate", "restore", "remove"]),
        ("retire", []),
    ],
)
def test_a_failed_step_undoes_what_was_begun_in_reverse_order(failing: str, undone: list[str]) -> None:
    lane, command = run_until(decide(EMPTY, requested(), NOW).lane, "test", failing)
    driver = LaneDriver(decide(lane, answer(command, BROKEN), NOW).lane)
    assert [command.step for command in driver.moments() if command.stage == "test"] == undone


def test_a_failure_of_tidying_up_is_noted_and_the_stage_succeeds() -> None:
    lane, command = run_until(decide(EMPTY, requested(), NOW).lane, "test", "retire")
    lane = decide(lane, answer(command, BROKEN), NOW).lane
    stage = lane.promotions[0].stage("test")
    assert stage is not None
    assert stage.status is StageStatus.SUCCEEDED
    assert "init() raised KeyError" in stage.reason


def test_an_undo_that_fails_is_noted_and_the_walk_back_goes_on() -> None:
    azure = Azure(failing={("1", "test", "shift"): BROKEN, ("1", "test", "restore"): BROKEN})
    lane, azure = drive(EMPTY, requested(), azure)
    assert azure.endpoint("test").deployments == frozenset()
    assert "undoing also failed: restore" in lane.promotions[0].reason


def test_running_is_polled_again_after_the_pause_that_the_step_asks_for() -> None:
    lane, command = run_until(decide(EMPTY, requested(), NOW).lane, "test", "deploy")
    decision = decide(lane, answer(command, Running(timedelta(seconds=20), "Creating")), NOW)
    (again,) = decision.commands
    assert again.poll == command.poll + 1
    assert again.not_before == NOW + timedelta(seconds=20)
    assert again.message_id != command.message_id
    assert again.started == command.started


@pytest.mark.parametrize(
    "change", [{"poll": 1}, {"attempt": 2}, {"step": "smoke"}, {"stage": "prod", "environment": "prod"}]
)
def test_a_report_of_another_poll_attempt_step_or_stage_is_stale(change: dict[str, Any]) -> None:
    lane, command = run_until(decide(EMPTY, requested(), NOW).lane, "test", "deploy")
    lane = decide(lane, answer(command, Running(timedelta(0), "Creating")), NOW).lane
    (again,) = due(lane)
    decision = decide(lane, replace(answer(again), **change), NOW)
    assert decision.stale
    assert decision.commands == (again,)


def test_pauses_between_retries_grow_up_to_the_longest_and_respect_retry_after() -> None:
    lane, command = run_until(decide(EMPTY, requested(), NOW).lane, "test", "deploy")
    pauses = []
    for _ in range(12):
        lane = decide(lane, answer(command, Retry(timedelta(0), "429")), NOW).lane
        (command,) = due(lane)
        pauses.append(command.not_before - NOW)
    assert pauses[:3] == [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4]
    assert pauses[-1] == LONGEST_PAUSE
    lane = decide(lane, answer(command, Retry(timedelta(minutes=7), "429")), NOW).lane
    assert due(lane)[0].not_before == NOW + timedelta(minutes=7)


def test_a_poll_that_worked_resets_the_growing_pause() -> None:
    lane, command = run_until(decide(EMPTY, requested(), NOW).lane, "test", "deploy")
    for outcome in (Retry(timedelta(0), "429"), Retry(timedelta(0), "429"), Running(timedelta(0), "Creating")):
        lane = decide(lane, answer(command, outcome), NOW).lane
        (command,) = due(lane)
    lane = decide(lane, answer(command, Retry(timedelta(0), "429")), NOW).lane
    assert due(lane)[0].not_before == NOW + FIRST_PAUSE


@pytest.mark.parametrize("outcome", [Running(timedelta(seconds=5), "Creating"), Retry(timedelta(seconds=5), "429")])
def test_a_step_past_its_deadline_fails_with_what_was_last_seen(outcome: Running | Retry) -> None:
    lane, command = run_until(decide(EMPTY, requested(), NOW).lane, "test", "deploy")
    lane = decide(lane, answer(command, outcome), command.deadline).lane
    failure = next(step.failure for step in lane.promotions[0].stages[0].steps if step.plan.name == "deploy")
    assert failure is not None
    assert failure.kind is FailureKind.TIMEOUT
    assert "Creating" in failure.reason or "429" in failure.reason


def test_the_last_poll_is_at_the_deadline_and_never_after_it() -> None:
    lane, command = run_until(decide(EMPTY, requested(), NOW).lane, "test", "deploy")
    lane = decide(lane, answer(command, Running(timedelta(days=1), "Creating")), NOW).lane
    assert due(lane)[0].not_before == command.deadline


def test_time_passing_asks_again_with_a_new_message_id_where_an_answer_is_overdue() -> None:
    lane, command = run_until(decide(EMPTY, requested(), NOW).lane, "test", "deploy")
    assert decide(lane, TimePassed(KEY), NOW + GRACE - timedelta(seconds=1)).stale
    decision = decide(lane, TimePassed(KEY), NOW + GRACE)
    assert [again.poll for again in decision.commands] == [command.poll + 1]


def test_time_passing_the_deadline_without_an_answer_fails_the_step() -> None:
    lane, command = run_until(decide(EMPTY, requested(), NOW).lane, "test", "deploy")
    lane = decide(lane, TimePassed(KEY), command.deadline + GRACE).lane
    assert lane.promotions[0].stages[0].status is StageStatus.UNDOING


def test_the_same_request_twice_is_one_promotion_and_sends_what_is_due_again() -> None:
    first = decide(EMPTY, requested(), NOW)
    second = decide(first.lane, requested(), NOW)
    assert second == Decision(first.lane, first.commands, repeated=True, stale=True)


def test_a_request_that_no_route_takes_is_recorded_and_nothing_happens() -> None:
    unwanted = PromotionRequested(promotion(stages={}), refusal="no route takes it")
    decision = decide(EMPTY, unwanted, NOW)
    assert only(decision.lane) is PromotionStatus.IGNORED
    assert decision.lane.promotions[0].reason == "no route takes it"
    assert decision.commands == ()


def test_a_newer_candidate_supersedes_the_queued_one_and_not_the_one_that_is_rolling_out() -> None:
    lane = EMPTY
    for version in ("1", "2", "3"):
        lane = decide(lane, requested(version), NOW).lane
    assert (only(lane, "1"), only(lane, "2"), only(lane, "3")) == (
        PromotionStatus.RUNNING,
        PromotionStatus.SUPERSEDED,
        PromotionStatus.QUEUED,
    )


def test_a_candidate_that_waits_for_prod_is_replaced_only_by_one_that_has_passed_test_too() -> None:
    lane, _ = run_until(decide(EMPTY, requested("1"), NOW).lane, "prod", "deploy")
    lane = decide(lane, requested("2"), NOW).lane
    lane = _finish_test(lane, "2")
    lane = decide(lane, requested("3"), NOW).lane
    assert lane.promotions[1].stages[1].status is StageStatus.QUEUED
    lane = _finish_test(lane, "3")
    assert only(lane, "2") is PromotionStatus.SUPERSEDED


def _finish_test(lane: Lane, version: str) -> Lane:
    """Answer this version's commands in test, and no others."""

    class InTest(LaneDriver):
        def in_flight(self) -> Sequence[RunStep]:
            return [c for c in due(self.lane) if (c.candidate.version, c.stage) == (version, "test")]

    return InTest(lane).run()


def test_the_next_candidate_enters_when_the_stage_is_left() -> None:
    lane = decide(decide(EMPTY, requested("1"), NOW).lane, requested("2"), NOW).lane
    assert {command.candidate.version for command in due(lane)} == {"1"}
    lane, _ = run_until(lane, "prod", "validate")
    assert {(c.candidate.version, c.stage) for c in due(lane)} == {("1", "prod"), ("2", "test")}


def test_an_older_version_that_comes_late_does_not_overtake_the_champion() -> None:
    lane, _ = drive(EMPTY, requested("7"), Azure())
    lane = decide(lane, requested("6"), NOW).lane
    assert only(lane, "6") is PromotionStatus.SUPERSEDED
    assert "version 7 is newer" in lane.promotions[-1].reason
    assert due(lane) == ()


def test_versions_that_are_no_numbers_go_in_the_order_of_their_registration() -> None:
    lane = EMPTY
    for version in ("2026-11-b", "2026-11-a", "hotfix"):
        lane = decide(lane, requested(version), NOW).lane
    assert only(lane, "hotfix") is PromotionStatus.QUEUED
    assert only(lane, "2026-11-a") is PromotionStatus.SUPERSEDED


def test_jobs_wait_in_order_and_none_is_superseded() -> None:
    lane = EMPTY
    for job in ("brave_fox", "calm_sea", "dry_leaf"):
        lane = decide(lane, PromotionRequested(promotion(job, {"register": ()}, Kind.JOB)), NOW).lane
    driver, done = LaneDriver(lane), []
    for command in driver.moments():
        assert [each.step for each in driver.in_flight()] == ["register"]
        done.append(command.candidate.version)
    assert done == ["brave_fox", "calm_sea", "dry_leaf"]


def test_a_job_on_the_lane_does_not_keep_models_from_superseding_each_other() -> None:
    lane = decide(EMPTY, PromotionRequested(promotion("brave_fox", {"register": ()}, Kind.JOB)), NOW).lane
    for version in ("1", "2", "3"):
        lane = decide(lane, requested(version), NOW).lane
    assert [only(lane, version) for version in ("brave_fox", "1", "2", "3")] == [
        PromotionStatus.RUNNING,
        PromotionStatus.RUNNING,
        PromotionStatus.SUPERSEDED,
        PromotionStatus.QUEUED,
    ]


def test_a_promotion_that_succeeds_is_said_to_be_done() -> None:
    driver = LaneDriver(decide(EMPTY, requested(), NOW).lane)
    *_, last = driver.moments()
    ended = decide(run_until(decide(EMPTY, requested(), NOW).lane, "prod", "retire")[0], answer(last), NOW)
    assert [(line.what, line.text) for line in ended.journal][-2:] == [
        ("stage-succeeded", "done"),
        ("succeeded", "done"),
    ]


def test_a_promotion_ends_however_its_stages_have_ended() -> None:
    made = promotion("1", {status.value: () for status in STAGE_ENDED})
    stages = tuple(replace(stage, status=StageStatus(stage.name)) for stage in made.stages)
    lane = EMPTY.with_promotion(replace(made, stages=stages, status=PromotionStatus.RUNNING))
    assert only(decide(lane, TimePassed(KEY), NOW).lane) is PromotionStatus.FAILED


def test_a_stage_that_succeeds_says_what_could_not_be_tidied_up() -> None:
    lane, retire = run_until(decide(EMPTY, requested(), NOW).lane, "test", "retire")
    said = {line.what: line.text for line in decide(lane, answer(retire, BROKEN), NOW).journal}
    assert said["stage-succeeded"] == f"retire: {BROKEN.reason}"


def test_a_promotion_says_when_it_was_changed_and_others_of_the_lane_do_not() -> None:
    lane = decide(decide(EMPTY, requested("1"), NOW).lane, requested("2"), NOW).lane
    later = NOW + timedelta(minutes=1)
    lane = decide(lane, answer(due(lane)[0]), later).lane
    assert [known.updated for known in lane.promotions] == [later, NOW]


def test_a_failure_keeps_its_kind_reason_and_diagnosis() -> None:
    lane, command = run_until(decide(EMPTY, requested(), NOW).lane, "test", "deploy")
    lane = decide(lane, answer(command, Failed("no room", FailureKind.QUOTA, "log")), NOW).lane
    step = next(step for step in lane.promotions[0].stages[0].steps if step.plan.name == "deploy")
    assert step.failure == Failed("no room", FailureKind.QUOTA, "log")


def test_an_undo_that_was_given_up_and_succeeds_after_all_is_believed() -> None:
    """The traffic did go back, so the lane must not name the wrong champion for ever."""
    lane, azure = drive(EMPTY, requested("1"), Azure())
    lane, azure = drive(lane, requested("2"), azure)
    newest = lane.promotions[-1]
    lane = decide(lane, RolledBack(KEY, newest.id, OPERATOR, "slow answers", "prod"), NOW).lane
    lane, restore = run_until(lane, "prod", "restore")
    lane = decide(lane, TimePassed(KEY), restore.deadline + GRACE).lane
    assert lane.champions["prod"].candidate.version == "2"
    lane = decide(lane, answer(restore), restore.deadline + GRACE).lane
    assert lane.champions["prod"].candidate.version == "1"
