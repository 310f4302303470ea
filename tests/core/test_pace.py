"""A lane remembers how long its steps took, and its commands say what to expect."""

from datetime import datetime, timedelta

import pytest

from shared.cloud.documents import lane_document, read_lane
from shared.core.commands import due
from shared.core.events import AwaitedJobEnded
from shared.core.lane import decide
from shared.core.messages import AwaitedJob, Expectation, Failed, FailureKind, Outcome, Running, RunStep, Succeeded
from shared.core.pace import STEPS, TIMES, remembered
from shared.core.promotion import Lane, Promotion, StageRun
from shared.core.replacing import replace
from shared.core.wire import from_json, to_json
from shared.worker.polls import FIRST_PAUSE, HALVES, pause
from tests.core.world import KEY, NOW, answer, promotion, requested

UNDER_WAY = Running(timedelta(seconds=30), "under way")


def begun(lane: Lane, version: str, now: datetime) -> tuple[Lane, RunStep]:
    """The lane with a promotion of one step, and its command."""
    lane = decide(lane, requested(version, {"test": ()}, steps=("deploy",)), now).lane
    [command] = due(lane)
    return lane, command


def took(lane: Lane, version: str, seconds: float, outcome: Outcome | None = None, gap: float = 0) -> Lane:
    """The lane after a promotion whose one step took so long, with so many seconds between its last two polls."""
    lane, command = begun(lane, version, NOW)
    for elapsed in (0.0, seconds - gap):
        lane = decide(lane, answer(command, UNDER_WAY), NOW + timedelta(seconds=elapsed)).lane
        [command] = due(lane)
    return decide(lane, answer(due(lane)[0], outcome or Succeeded()), NOW + timedelta(seconds=seconds)).lane


def test_nothing_is_expected_of_a_step_that_was_never_waited_for() -> None:
    lane, command = begun(Lane(KEY), "1", NOW)
    assert command.expects is None
    lane = decide(lane, answer(command), NOW + timedelta(minutes=1)).lane
    assert lane.durations == {}, "it answered at its first poll"


def test_the_median_of_the_last_times_is_expected_and_how_far_they_differed() -> None:
    lane = Lane(KEY)
    for version, seconds in enumerate((900, 840, 1000, 920, 5000), start=1):
        lane = took(lane, str(version), seconds)
    _, command = begun(lane, "6", NOW)
    assert command.expects == Expectation(timedelta(seconds=920), timedelta(seconds=80))
    assert from_json(RunStep, to_json(command)) == command


def test_the_end_lies_between_the_last_poll_that_found_it_under_way_and_the_next() -> None:
    lane = took(Lane(KEY), "1", 70, gap=20)
    _, command = begun(lane, "2", NOW)
    assert command.expects == Expectation(timedelta(seconds=60), timedelta(seconds=10))


def test_a_time_that_is_known_well_corrects_one_that_is_not() -> None:
    lane = took(took(Lane(KEY), "1", 70, gap=20), "2", 59, gap=2)
    _, command = begun(lane, "3", NOW)
    assert command.expects == Expectation(timedelta(seconds=58), timedelta(seconds=4.5))


@pytest.mark.parametrize("answered", [(36.0, 37.4, 39.0), (5.3, 22.0), (5.3, 6.4, 22.0)])
def test_a_poll_that_takes_long_is_not_the_steps_own_time(answered: tuple[float, ...]) -> None:
    """A process that has just started imports the SDK for half a minute, and the copy itself takes seconds."""
    lane, command = begun(Lane(KEY), "1", NOW)
    for elapsed in answered[:-1]:
        lane = decide(lane, answer(command, UNDER_WAY), NOW + timedelta(seconds=elapsed)).lane
        [command] = due(lane)
    lane = decide(lane, answer(command), NOW + timedelta(seconds=answered[-1])).lane
    assert lane.durations == {}
    _, command = begun(lane, "2", NOW)
    assert command.expects is None
    assert pause(command) == timedelta(seconds=FIRST_PAUSE / HALVES)


def test_nothing_is_expected_of_what_takes_seconds() -> None:
    lane = took(Lane(KEY), "1", 9.9)
    assert lane.durations == {}


def test_what_failed_says_nothing() -> None:
    lane = took(Lane(KEY), "1", 900, Failed("no", FailureKind.QUOTA))
    assert lane.durations == {}


def test_the_wait_for_somebody_elses_job_is_not_the_steps_own_time() -> None:
    job = AwaitedJob("/subscriptions/d/workspaces/ws-dev", "train-3")
    lane, command = begun(Lane(KEY), "1", NOW)
    lane = decide(lane, answer(command, replace(UNDER_WAY, awaits=job)), NOW).lane
    lane = decide(lane, AwaitedJobEnded(KEY, job), NOW + timedelta(hours=3)).lane
    lane = decide(lane, answer(due(lane)[0]), NOW + timedelta(hours=3)).lane
    assert lane.durations == {}


def test_only_the_last_times_of_the_last_steps_are_kept() -> None:
    def of(stage: str) -> tuple[Promotion, StageRun]:
        known = promotion("1", {stage: ()}, steps=("deploy",))
        return known, known.stages[0]

    lane = Lane(KEY)
    for number in range(STEPS + 5):
        _, stage = of(f"stage-{number}")
        deadline = NOW + stage.steps[0].plan.limit
        seen = NOW + timedelta(seconds=12)
        step = replace(stage.steps[0], started=NOW, first_running=NOW, seen_running=seen, poll=3, deadline=deadline)
        for seconds in range(13, 13 + TIMES + 4):
            lane = remembered(lane, stage, step, NOW + timedelta(seconds=seconds))
    assert len(lane.durations) == STEPS
    assert "stage-0.deploy" not in lane.durations
    assert lane.durations["stage-60.deploy"] == tuple((12.0, float(each)) for each in range(17, 17 + TIMES))


def test_it_is_kept_with_the_lane() -> None:
    lane = took(Lane(KEY), "1", 900)
    assert read_lane(KEY, lane_document(lane), lane.promotions) == lane
    assert lane.durations == {"test.deploy": ((900.0, 900.0),)}
