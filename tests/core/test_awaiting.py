"""A step may wait for somebody else's job, however long that takes."""

from datetime import datetime, timedelta

import pytest

from shared.core.awaiting import LONGEST_WAIT, awaited
from shared.core.commands import due
from shared.core.events import AwaitedJobEnded, Cancelled, Person, TimePassed
from shared.core.lane import Decision, decide, wake_at
from shared.core.message_bodies import decode, encode
from shared.core.messages import GRACE, AwaitedJob, Retry, Running, RunStep, Succeeded
from shared.core.promotion import Lane, StepRun
from shared.core.replacing import replace
from shared.core.waiting import waits
from shared.core.wire import from_json, to_json
from tests.core.world import KEY, NOW, answer, requested

JOB = AwaitedJob("/subscriptions/d/workspaces/ws-dev", "train-3")
PAUSE = timedelta(minutes=5)
WAITS = Running(PAUSE, "waits for job train-3 to end", {"polls": 7}, JOB)
LATER = NOW + timedelta(days=3)


def waiting(now: datetime = NOW) -> Lane:
    """A lane whose first step has said that it waits for the job."""
    lane = decide(Lane(KEY), requested(), NOW).lane
    return decide(lane, answer(due(lane)[0], WAITS), now).lane


def step(lane: Lane) -> StepRun:
    return lane.promotions[0].stages[0].steps[0]


def ended(lane: Lane, now: datetime = LATER, job: AwaitedJob = JOB) -> Decision:
    return decide(lane, AwaitedJobEnded(KEY, job), now)


def test_a_step_that_waits_for_a_job_outlives_its_own_time_limit() -> None:
    lane, now = waiting(), NOW
    for _ in range(100):
        now += timedelta(hours=7)
        lane = decide(lane, answer(due(lane)[0], WAITS), now).lane
    assert now - NOW > timedelta(days=29)
    assert lane.promotions[0].under_way
    assert step(lane).deadline == NOW + LONGEST_WAIT


def test_a_wait_beyond_all_measure_ends_and_names_the_job() -> None:
    lane = waiting()
    lane = decide(lane, answer(due(lane)[0], WAITS), NOW + LONGEST_WAIT).lane
    assert lane.promotions[0].status == "failed"
    assert "Job train-3 did not end within 30 d" in lane.promotions[0].reason


def test_a_wait_whose_answers_are_lost_is_asked_about_again() -> None:
    decision = decide(waiting(), TimePassed(KEY), NOW + PAUSE + GRACE)
    assert [command.poll for command in decision.commands] == [3]
    assert awaited(decision.lane) == {JOB}


def test_news_of_the_end_has_it_polled_at_once_under_a_new_message_id() -> None:
    lane = waiting(LATER)
    [before] = due(lane)
    decision = ended(lane)
    [command] = decision.commands
    assert (command.not_before, command.poll) == (LATER, before.poll + 1)
    assert before.not_before > LATER
    assert command.state == {}
    assert "job train-3 has ended" in decision.journal[-1].text


def test_news_that_comes_twice_changes_nothing() -> None:
    lane = ended(waiting(LATER)).lane
    assert ended(lane).stale
    assert ended(lane).lane is lane


@pytest.mark.parametrize("job", [replace(JOB, job="other"), replace(JOB, workspace="/subscriptions/d/other")])
def test_the_end_of_another_job_wakes_nobody(job: AwaitedJob) -> None:
    assert ended(waiting(), job=job).stale


def test_the_case_of_a_workspaces_id_does_not_matter() -> None:
    assert not ended(waiting(), job=replace(JOB, workspace=JOB.workspace.upper())).stale


def test_nobody_is_woken_that_waits_for_no_job() -> None:
    assert ended(decide(Lane(KEY), requested(), NOW).lane).stale


def early(job: AwaitedJob = JOB) -> Lane:
    """A lane that hears of a job's end before the poll that submitted the job has answered."""
    lane = decide(Lane(KEY), requested(), NOW).lane
    return decide(lane, AwaitedJobEnded(KEY, job, lane.promotions[0].id), NOW).lane


def test_news_that_is_faster_than_the_answer_of_the_poll_that_submitted_the_job_is_not_lost() -> None:
    lane = early()
    assert [command.poll for command in due(lane)] == [1]
    lane = decide(lane, answer(due(lane)[0], WAITS), LATER).lane
    assert [(command.poll, command.not_before) for command in due(lane)] == [(2, LATER)]
    lane = decide(lane, answer(due(lane)[0], WAITS), LATER).lane
    assert due(lane)[0].not_before == LATER + PAUSE, "it was told once"


def test_early_news_of_another_job_makes_nobody_hurry() -> None:
    lane = early(replace(JOB, job="other"))
    lane = decide(lane, answer(due(lane)[0], WAITS), LATER).lane
    assert due(lane)[0].not_before == LATER + PAUSE


def test_early_news_changes_nothing_for_a_step_that_waits_for_no_job() -> None:
    lane = decide(early(), answer(due(early())[0], Running(PAUSE, "copies")), NOW).lane
    assert due(lane)[0].not_before == NOW + PAUSE


def test_where_azure_says_still_that_the_job_runs_it_goes_on_waiting() -> None:
    lane = ended(waiting(LATER)).lane
    lane = decide(lane, answer(due(lane)[0], WAITS), LATER).lane
    assert (awaited(lane), step(lane).deadline) == (frozenset({JOB}), NOW + LONGEST_WAIT)


def test_after_the_wait_the_step_has_its_own_time_again() -> None:
    lane = ended(waiting(LATER)).lane
    [command] = due(lane)
    assert command.deadline == LATER + timedelta(hours=1)
    lane = decide(lane, answer(command, Running(PAUSE, "copies")), LATER).lane
    assert step(lane).deadline == LATER + timedelta(hours=1)
    lane = decide(lane, answer(due(lane)[0]), LATER).lane
    assert step(lane).status == "succeeded"


def test_a_wait_that_ends_without_news_gives_the_step_its_own_time_as_well() -> None:
    lane = waiting()
    lane = decide(lane, answer(due(lane)[0], Running(PAUSE, "copies")), LATER).lane
    assert (awaited(lane), step(lane).deadline) == (frozenset(), LATER + timedelta(hours=1))


def test_a_poll_that_could_not_be_made_does_not_end_the_wait() -> None:
    lane = waiting()
    lane = decide(lane, answer(due(lane)[0], Retry(PAUSE, "throttled")), LATER).lane
    assert (awaited(lane), step(lane).deadline) == (frozenset({JOB}), NOW + LONGEST_WAIT)
    assert step(lane).state == {"polls": 7}


def test_what_is_called_off_is_not_woken() -> None:
    lane = decide(waiting(), Cancelled(KEY, waiting().promotions[0].id, Person("1", "alice", ()), "no"), NOW).lane
    assert awaited(lane) == frozenset()
    assert ended(lane).stale


def test_an_answer_ends_the_wait() -> None:
    lane = waiting()
    lane = decide(lane, answer(due(lane)[0], Succeeded()), LATER).lane
    assert awaited(lane) == frozenset()
    assert step(lane).awaits is None


def test_it_says_which_job_it_waits_for_and_until_when() -> None:
    lane = waiting()
    [wait] = waits(lane, lane.promotions[0])
    assert wait.what == "job train-3 to end, which wakes it; next poll at 12:05:00 UTC"
    assert (wait.since, wait.until) == (NOW, NOW + LONGEST_WAIT)
    assert wake_at(lane) == NOW + PAUSE + GRACE


def test_it_travels_and_is_kept() -> None:
    lane = waiting()
    report = answer(due(lane)[0], WAITS)
    assert decode(encode(report)) == replace(report, environment="")
    assert from_json(RunStep, to_json(due(lane)[0])) == due(lane)[0]
    assert from_json(StepRun, to_json(step(lane))) == step(lane)


def test_a_newer_version_need_not_wait_for_the_job_of_an_older_one() -> None:
    lane = decide(waiting(), requested("2"), LATER).lane
    older, newer = lane.promotions
    assert awaited(lane) == frozenset()
    lane = decide(lane, answer(due(lane)[0], WAITS), LATER).lane
    older, newer = lane.promotions
    assert (older.status, newer.status) == ("superseded", "running")
    assert "version 2 arrived while it waited for job train-3 to end" in older.reason


def test_an_older_version_waits_behind_the_job_of_a_newer_one() -> None:
    first = decide(Lane(KEY), requested("2"), NOW).lane
    lane = decide(first, answer(due(first)[0], WAITS), NOW).lane
    by_hand = replace(requested("1"), automatic=False)
    lane = decide(lane, by_hand, LATER).lane
    assert [promotion.status for promotion in lane.promotions] == ["running", "queued"]
    assert awaited(lane) == frozenset({JOB})


def test_what_waits_for_no_job_any_more_is_not_superseded_in_its_stage() -> None:
    lane = ended(waiting(LATER)).lane
    lane = decide(lane, requested("2"), LATER).lane
    assert [promotion.status for promotion in lane.promotions] == ["running", "queued"]


# --- a job that the step started itself -------------------------------------------------------------------------------

OURS = replace(JOB, is_ours=True)
WAITS_FOR_OURS = Running(PAUSE, "job train-3: Queued", {"job": "train-3"}, OURS)


def following(now: datetime = NOW) -> Lane:
    """A lane whose first step has started a job and waits for it."""
    lane = decide(Lane(KEY), requested(), NOW).lane
    return decide(lane, answer(due(lane)[0], WAITS_FOR_OURS), now).lane


def test_a_job_of_the_steps_own_must_end_within_the_steps_limit() -> None:
    lane = following()
    limit = step(lane).plan.limit
    assert step(lane).deadline == NOW + limit
    lane = decide(lane, answer(due(lane)[0], WAITS_FOR_OURS), NOW + limit).lane
    assert step(lane).status == "failed"
    failure = step(lane).failure
    assert failure is not None
    assert "did not finish within" in failure.reason
    assert "job train-3: Queued" in failure.reason


def test_news_of_our_own_jobs_end_has_it_polled_at_once_with_what_the_step_knew() -> None:
    [command] = ended(following(), NOW + timedelta(minutes=1)).commands
    assert command.not_before == NOW + timedelta(minutes=1)
    assert command.state == {"job": "train-3"}


def test_the_end_of_our_own_job_gives_the_step_no_new_limit() -> None:
    lane = ended(following(), NOW + timedelta(minutes=1)).lane
    assert step(lane).deadline == NOW + step(lane).plan.limit
    lane = decide(lane, answer(due(lane)[0], Running(PAUSE, "reading")), NOW + timedelta(minutes=2)).lane
    assert step(lane).deadline == NOW + step(lane).plan.limit


def test_what_waits_for_a_job_of_its_own_does_not_step_aside_for_a_newer_candidate() -> None:
    lane = decide(following(), requested("2"), NOW + timedelta(minutes=1)).lane
    first = next(each for each in lane.promotions if each.candidate.version == "1")
    assert first.stages[0].status == "running"


def test_only_after_the_job_of_somebody_else_others_wait_for_the_poll_that_was_to_come() -> None:
    """A poll may register the output of somebody else's job. It only reads how one of our own jobs ended."""
    theirs, ours = ended(waiting(LATER)).lane, ended(following()).lane
    assert theirs.promotions[0].stages[0].unanswered_until == LATER + PAUSE + GRACE
    assert ours.promotions[0].stages[0].unanswered_until is None
