"""A pipeline that serves a stage runs there again: by its schedule, for drift, or because a person asks."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.cloud.documents import lane_document, read_lane
from shared.core.commands import due
from shared.core.events import Approved, NotNowError, Person, PromotionRequested, Retried, RunAsked
from shared.core.holds import NO_HOLDS, Scope, hold
from shared.core.lane import decide
from shared.core.lane_notes import Cause
from shared.core.messages import Candidate, Failed, FailureKind, Kind, RunStep
from shared.core.plan import PlanSettings, plan_for
from shared.core.promotion import APPROVER, Lane, Promotion, PromotionStatus, StageRun, StepRun
from shared.core.promotion_ids import promotion_id
from shared.core.rerunning import approved_before
from tests.core.driver import LaneDriver
from tests.core.world import KEY, NOW, answer

ANN = Person("id-of-ann", "ann", (APPROVER,))
DAYS_30 = timedelta(days=30)
JOB = Candidate(Kind.PIPELINE, KEY.model, "train-7", "dev", "/subscriptions/d/workspaces/ws-dev")


def stage(asks: bool = True) -> StageRun:
    plan = plan_for(
        Kind.PIPELINE,
        PlanSettings(asked=("approval",) if asks else ()),
        environment="prod",
        source="dev",
        first=True,
    )
    return StageRun("prod", "prod", "", (), {}, tuple(map(StepRun, plan)))


def promoted(asks: bool = True) -> Lane:
    """A lane whose pipeline was approved and has run in prod."""

    first = Promotion(promotion_id(KEY, JOB), KEY, JOB, (stage(asks),), "event-grid", "hash", NOW, NOW)
    lane = LaneDriver(decide(Lane(KEY), PromotionRequested(first), NOW).lane).run()
    if asks:
        lane = LaneDriver(decide(lane, Approved(KEY, first.id, ANN, "seen"), NOW).lane).run()
    assert lane.champions["prod"].promotion == first.id
    return lane


def asked(cause: Cause = Cause.SCHEDULE, pause: timedelta = DAYS_30, most: int = 4) -> RunAsked:
    return RunAsked(KEY, stage(), cause, "somebody", "hash", pause=pause, most_in_month=most)


def after(lane: Lane, days: float, event: RunAsked) -> Lane:
    """The lane once that was asked, and whatever it started has run."""
    return LaneDriver(decide(lane, event, NOW + timedelta(days=days)).lane, now=NOW + timedelta(days=days)).run()


def started(lane: Lane, days: float, event: RunAsked) -> tuple[Lane, list[RunStep]]:
    lane = decide(lane, event, NOW + timedelta(days=days)).lane
    return lane, list(due(lane))


def test_a_schedule_runs_the_champion_again_once_its_time_is_over_and_asks_nobody() -> None:
    lane, commands = started(promoted(), 29.9, asked())
    assert commands == []
    lane, [command] = started(lane, 30, asked())
    assert (command.step, command.environment) == ("inspect", "prod")
    assert command.candidate == JOB
    before = approved_before(command.evidence)
    assert before is not None
    assert before.promotion == promotion_id(KEY, JOB)
    assert before.inspected == {"saw": "inspect"}
    assert command.evidence["register_components"] == {"saw": "register_components"}
    _, again = started(lane, 30, asked())
    assert again == [command], "it was asked twice in the same quarter of an hour"


@pytest.mark.parametrize("cause", [Cause.SCHEDULE, Cause.DRIFT])
def test_no_run_starts_by_itself_for_a_held_stage_but_a_person_can_queue_one(cause: Cause) -> None:
    now = NOW + DAYS_30
    frozen = hold(NO_HOLDS, Scope(), ANN, "audit", now + DAYS_30, NOW)
    lane = promoted()
    assert decide(lane, asked(cause), now, frozen).stale
    assert not decide(lane, asked(cause), now).stale
    queued = decide(lane, asked(Cause.PERSON), now, frozen)
    assert queued.lane.promotions[-1].under_way
    assert due(queued.lane) == ()


def test_each_run_is_a_promotion_and_the_last_is_compared_with_the_one_before() -> None:
    lane = after(promoted(), 30, asked())
    second = lane.champions["prod"]
    assert second.promotion != promotion_id(KEY, JOB)
    assert second.candidate == JOB
    lane, [command] = started(lane, 61, asked())
    assert command.champion == second
    before = approved_before(command.evidence)
    assert before is not None
    assert before.promotion == promotion_id(KEY, JOB), "the first approval goes on to count, and its time"


def test_what_a_downtime_missed_runs_once() -> None:
    lane = after(promoted(), 200, asked())
    assert len(lane.runs["prod"]) == 1
    assert started(lane, 201, asked())[1] == []


def test_a_run_that_fails_changes_no_champion_and_comes_again_at_its_time() -> None:
    lane = promoted()
    champion = lane.champions["prod"]
    lane, [command] = started(lane, 30, asked())
    lane = decide(lane, answer(command, Failed("no", FailureKind.NOT_FOUND)), NOW + DAYS_30).lane
    assert lane.champions["prod"] == champion
    assert started(lane, 31, asked())[1] == []
    assert len(started(lane, 60, asked())[1]) == 1


def test_two_at_once_queue() -> None:
    lane, [first] = started(promoted(), 30, asked())
    lane, both = started(lane, 30.1, asked(Cause.PERSON))
    assert both == [first]
    assert [each.status for each in lane.under_way()] == [PromotionStatus.RUNNING, PromotionStatus.QUEUED]
    lane = LaneDriver(lane, now=NOW + DAYS_30).run()
    assert [each.status for each in lane.promotions[-2:]] == [PromotionStatus.SUCCEEDED] * 2


def test_drift_lasts_and_starts_one_run_until_the_pause_is_over() -> None:
    drift = asked(Cause.DRIFT, timedelta(days=7), most=4)
    lane = after(promoted(), 1, drift)
    assert len(lane.runs["prod"]) == 1
    for days in (1, 2, 7.9):
        assert started(lane, days, drift)[1] == []
    assert len(started(lane, 8, drift)[1]) == 1


def test_drift_starts_only_so_many_runs_in_a_month() -> None:
    drift = asked(Cause.DRIFT, timedelta(days=1), most=2)
    lane = after(after(promoted(), 1, drift), 3, drift)
    assert started(lane, 5, drift)[1] == []
    assert started(lane, 30.9, drift)[1] == []
    assert len(started(lane, 31, drift)[1]) == 1


def test_a_person_may_ask_at_any_time() -> None:
    lane = after(promoted(), 1, asked(Cause.PERSON))
    assert len(started(lane, 1, asked(Cause.PERSON))[1]) == 1


@pytest.mark.parametrize("cause", [Cause.SCHEDULE, Cause.DRIFT])
def test_where_nothing_has_run_yet_nothing_runs_again(cause: Cause) -> None:
    assert decide(Lane(KEY), asked(cause), NOW).stale
    with pytest.raises(NotNowError, match="nothing has run in prod yet"):
        decide(Lane(KEY), asked(Cause.PERSON), NOW)


def test_people_are_asked_where_the_stage_asks_now_and_nobody_was_asked_then() -> None:
    lane, [command] = started(promoted(asks=False), 30, asked())
    lane = decide(lane, answer(command), NOW + DAYS_30).lane
    step = lane.promotions[-1].stages[0].current
    assert step is not None
    assert (step.plan.name, step.plan.waits) == ("approve", True)


def test_a_retry_of_such_a_run_begins_where_it_began_and_asks_nobody() -> None:

    lane, [command] = started(promoted(), 30, asked())
    now: datetime = NOW + DAYS_30
    lane = decide(lane, answer(command, Failed("no", FailureKind.NOT_FOUND)), now).lane
    operator = replace(ANN, roles=("Promotion.Operator",))
    lane = decide(lane, Retried(KEY, command.promotion, operator, "mended"), now).lane
    [again] = due(lane)
    assert (again.step, again.attempt) == ("inspect", 2)
    assert approved_before(again.evidence) == approved_before(command.evidence)


def test_the_runs_are_kept_with_the_lane() -> None:
    lane = after(promoted(), 30, asked())
    assert read_lane(KEY, lane_document(lane), lane.promotions) == lane
