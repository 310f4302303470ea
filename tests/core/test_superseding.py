"""Newer versions take the places of older ones, as soon as they are known to exist."""

from datetime import timedelta

import pytest

from shared.core.awaiting import awaited
from shared.core.commands import due
from shared.core.events import Cancelled, NotNowError, PromotionRequested, Retried, TimePassed
from shared.core.holds import NO_HOLDS, Scope, hold
from shared.core.lane import decide
from shared.core.messages import GRACE, AwaitedJob, Failed, FailureKind, Outcome, Retry, Running, Succeeded
from shared.core.promotion import Lane, StageStatus
from shared.core.replacing import replace
from shared.core.superseding import MOST_UNKNOWN
from shared.core.waiting import waits
from tests.core.people import ONE_STAGE, OPERATOR, ask, run, started, the, with_a_key
from tests.core.world import KEY, NOW, answer
from tests.core.world import requested as for_two_stages

MISSING = Failed("There is no model churn-eu, version 99, in dev", FailureKind.NOT_FOUND)
LATER = NOW + timedelta(hours=1)
JOB = AwaitedJob("/subscriptions/d/workspaces/ws-dev", "train-5")
WAITS = Running(timedelta(minutes=5), "waits for job train-5", awaits=JOB)
COPIES = Running(timedelta(seconds=1), "the registry is copying the model")


def requested(version: str) -> PromotionRequested:
    """A version of which an event has told."""
    return for_two_stages(version, ONE_STAGE)


def lane_with(*events: PromotionRequested, until: str = "deploy") -> Lane:
    """A lane after these requests. The first of them is in the stage, at the step."""
    lane = run(decide(Lane(KEY), events[0], NOW).lane, until=until)
    for event in events[1:]:
        lane = decide(lane, event, NOW).lane
    return lane


def told(lane: Lane, outcome: Outcome | None = None) -> Lane:
    """The lane after the answer to its only command."""
    [command] = due(lane)
    return decide(lane, answer(command, outcome), max(NOW, command.not_before)).lane


def told_until(lane: Lane, version: str) -> Lane:
    """The lane once this version's `share` is in flight; all else succeeds."""
    for _ in range(50):
        [command] = due(lane)
        if (command.candidate.version, command.step) == (version, "share"):
            return lane
        lane = told(lane)
    raise AssertionError(f"version {version} never entered")


def statuses(lane: Lane) -> dict[str, str]:
    return {promotion.candidate.version: promotion.status for promotion in lane.promotions}


# --- nobody has seen it yet -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [started("99"), with_a_key(replace(requested("99"), automatic=False))])
def test_a_version_that_a_person_starts_supersedes_nothing_before_a_step_has_seen_it(event: PromotionRequested) -> None:
    lane = lane_with(requested("5"), requested("6"), event)
    assert statuses(lane) == {"5": "running", "6": "queued", "99": "queued"}
    [wait] = waits(lane, the(lane, "99"))
    assert "nobody has looked yet whether version 99 exists" in wait.what
    assert all("exists" not in wait.what for wait in waits(lane, the(lane, "6")))


def test_it_enters_the_stage_before_the_older_ones() -> None:
    lane = told_until(lane_with(requested("5"), requested("6"), started("99")), "99")
    assert statuses(lane) == {"5": "succeeded", "6": "queued", "99": "running"}


def test_it_takes_the_place_of_the_older_one_as_soon_as_it_was_seen() -> None:
    lane = told(told_until(lane_with(requested("5"), requested("6"), started("99")), "99"))
    assert statuses(lane) == {"5": "succeeded", "6": "superseded", "99": "running"}
    assert "version 99 arrived before it could enter prod" in the(lane, "6").reason


def test_an_older_one_is_where_it_was_if_the_newer_one_does_not_exist() -> None:
    before = lane_with(requested("5"), requested("6"), started("99"))
    lane = told(told_until(before, "99"), MISSING)
    assert statuses(lane) == {"5": "succeeded", "6": "running", "99": "failed"}
    assert MISSING.reason in the(lane, "99").reason
    kept, now = the(before, "6").stages[0], the(lane, "6").stages[0]
    assert (now.queued, now.attempt) == (kept.queued, 1)
    assert statuses(run(lane))["6"] == "succeeded"


def test_what_is_found_but_not_finished_was_seen() -> None:
    lane = told(told_until(lane_with(requested("5"), requested("6"), started("99")), "99"), COPIES)
    assert statuses(lane) == {"5": "succeeded", "6": "superseded", "99": "running"}


def test_a_wait_before_its_first_step_has_seen_nothing() -> None:
    """Without a stage before it there is nothing to soak for, so that step is done at once."""
    made = started("99").promotion
    waits_first = for_two_stages("99", ONE_STAGE, asked=("soak",)).promotion.stages
    event = PromotionRequested(replace(made, stages=waits_first), automatic=False)
    lane = told_until(lane_with(requested("5"), requested("6"), event), "99")
    assert the(lane, "99").stages[0].steps[0].status == "succeeded"
    assert statuses(lane)["6"] == "queued"
    assert statuses(decide(lane, requested("7"), NOW).lane)["7"] == "queued"
    assert statuses(told(lane))["6"] == "superseded"


@pytest.mark.parametrize("answers", [Retry(timedelta(seconds=5), "Azure is busy"), None])
def test_what_could_not_be_read_was_not_seen(answers: Outcome | None) -> None:
    lane = told_until(lane_with(requested("5"), requested("6"), started("99")), "99")
    lane = told(lane, answers) if answers else decide(lane, TimePassed(KEY), LATER + GRACE).lane
    assert statuses(lane)["6"] == "queued"


def test_an_event_tells_of_what_exists() -> None:
    lane = lane_with(requested("5"), requested("6"), requested("99"))
    assert statuses(lane) == {"5": "running", "6": "superseded", "99": "queued"}


def test_an_event_supersedes_an_older_one_that_a_person_started_and_leaves_a_newer_one() -> None:
    lane = lane_with(requested("5"), started("6"), started("99"), requested("7"))
    assert statuses(lane) == {"5": "running", "6": "superseded", "99": "queued", "7": "queued"}
    lane = told(told_until(lane, "99"), MISSING)
    assert statuses(lane)["7"] == "running"


def test_an_older_one_that_a_person_starts_gives_way_at_once_to_what_is_known() -> None:
    lane = lane_with(requested("5"), requested("7"), started("6"))
    assert statuses(lane) == {"5": "running", "7": "queued", "6": "superseded"}


def test_of_two_that_nobody_has_seen_the_newer_goes_first_and_the_older_is_looked_for_if_that_does_not_exist() -> None:
    lane = lane_with(requested("5"), started("98"), started("99"))
    assert statuses(lane) == {"5": "running", "98": "queued", "99": "queued"}
    lane = told(told_until(lane, "99"), MISSING)
    assert [(each.candidate.version, each.step) for each in due(lane)] == [("98", "share")]
    assert statuses(run(lane)) == {"5": "succeeded", "98": "succeeded", "99": "failed"}


def test_versions_that_are_no_numbers_wait_beside_each_other_too() -> None:
    lane = lane_with(requested("spring"), requested("summer"), started("no-such"))
    assert statuses(lane) == {"spring": "running", "summer": "queued", "no-such": "queued"}
    lane = told(told_until(lane, "no-such"), MISSING)
    assert statuses(run(lane)) == {"spring": "succeeded", "summer": "succeeded", "no-such": "failed"}


def test_one_that_was_cancelled_while_it_was_looked_for_supersedes_nothing() -> None:
    lane = told_until(lane_with(requested("5"), requested("6"), started("99")), "99")
    lane = ask(lane, Cancelled(KEY, the(lane, "99").id, OPERATOR, "wrong number"))
    lane = told(lane)
    assert statuses(lane) == {"5": "succeeded", "6": "running", "99": "cancelled"}


# --- an older one comes while it is looked for ------------------------------------------------------------------------


def test_an_older_version_that_comes_while_it_is_looked_for_is_not_turned_away() -> None:
    lane = lane_with(started("99"), requested("6"), until="share")
    assert statuses(lane) == {"99": "running", "6": "queued"}
    assert statuses(run(told(lane, MISSING))) == {"99": "failed", "6": "succeeded"}


def test_nor_does_it_replace_the_newer_one_once_that_was_seen() -> None:
    lane = told(lane_with(started("99"), requested("6"), until="share"))
    assert statuses(lane) == {"99": "running", "6": "superseded"}


def test_an_older_version_that_comes_once_it_was_seen_is_turned_away() -> None:
    lane = decide(told(lane_with(started("99"), until="share")), requested("6"), NOW).lane
    assert statuses(lane) == {"99": "running", "6": "superseded"}


def test_a_newer_one_that_comes_while_it_is_looked_for_waits_behind_it() -> None:
    lane = told(lane_with(started("99"), requested("200"), until="share"))
    assert statuses(lane) == {"99": "running", "200": "queued"}
    assert statuses(run(lane)) == {"99": "succeeded", "200": "succeeded"}


def test_an_older_one_that_a_person_starts_once_it_was_seen_waits_behind_it() -> None:
    lane = decide(told(lane_with(started("99"), until="share")), started("6"), NOW).lane
    assert statuses(run(lane)) == {"99": "succeeded", "6": "succeeded"}


def test_what_failed_can_be_retried_while_nobody_knows_whether_the_newer_one_exists() -> None:
    lane = told(lane_with(requested("6"), until="share"), MISSING)
    lane = decide(lane, started("99"), NOW).lane
    lane = ask(lane, Retried(KEY, the(lane, "6").id, OPERATOR, "registered now"))
    assert statuses(lane) == {"6": "queued", "99": "running"}
    assert statuses(told(lane)) == {"6": "superseded", "99": "running"}
    assert statuses(told(lane, MISSING)) == {"6": "running", "99": "failed"}


# --- an older one waits in the stage for a job ------------------------------------------------------------------------


def waiting_for_job() -> Lane:
    """A lane where version 5 is in the stage and waits for its training job."""
    return told(lane_with(requested("5"), until="share"), WAITS)


def test_what_waits_in_the_stage_for_a_job_lets_it_pass_and_waits_again_if_it_does_not_exist() -> None:
    lane = decide(waiting_for_job(), started("99"), LATER).lane
    lane = told(lane, WAITS)  # the poll that was under way
    assert statuses(lane) == {"5": "running", "99": "running"}
    assert [stage.status for each in lane.promotions for stage in each.stages] == ["queued", "running"]
    lane = told(told(lane, MISSING), WAITS)
    assert statuses(lane) == {"5": "running", "99": "failed"}
    assert awaited(lane) == frozenset({JOB})
    assert the(lane, "5").stages[0].attempt == 2


def test_what_waits_in_the_stage_for_a_job_is_superseded_once_the_newer_one_was_seen() -> None:
    lane = told(decide(waiting_for_job(), started("99"), LATER).lane, WAITS)
    assert statuses(told(lane)) == {"5": "superseded", "99": "running"}


def test_what_waits_for_a_job_stays_in_the_stage_while_a_hold_keeps_the_newer_one_out() -> None:
    frozen = hold(NO_HOLDS, Scope(), OPERATOR, "audit", None, NOW)
    lane = decide(waiting_for_job(), started("99"), LATER, frozen).lane
    assert awaited(lane) == frozenset({JOB})
    assert the(lane, "5").stages[0].status is StageStatus.RUNNING
    lane = decide(lane, TimePassed(KEY), LATER).lane
    assert the(lane, "5").stages[0].status is StageStatus.UNDOING


def test_a_newer_one_that_waits_for_its_job_was_seen() -> None:
    lane = told(told_until(lane_with(requested("5"), requested("6"), started("99")), "99"), WAITS)
    assert statuses(lane) == {"5": "succeeded", "6": "superseded", "99": "running"}


# --- how many may wait ------------------------------------------------------------------------------------------------


def test_only_a_few_that_nobody_has_seen_may_wait_at_once() -> None:
    lane = lane_with(requested("5"), *(started(str(100 + number)) for number in range(MOST_UNKNOWN)))
    with pytest.raises(NotNowError, match=r"started versions 100, 101, .* no step has seen yet whether these exist"):
        decide(lane, started("200"), NOW)
    assert decide(lane, started("107"), NOW).stale, "the same request again is no other promotion"
    assert statuses(decide(lane, requested("200"), NOW).lane)["200"] == "queued"
    lane = ask(lane, Cancelled(KEY, the(lane, "100").id, OPERATOR, "wrong"))
    assert statuses(decide(lane, started("200"), NOW).lane)["200"] == "queued"


def test_all_of_them_end_in_their_turn_even_if_none_exists() -> None:
    lane = lane_with(requested("5"), requested("6"), *(started(str(100 + number)) for number in range(MOST_UNKNOWN)))
    missing = {str(100 + number) for number in range(MOST_UNKNOWN)}
    while commands := due(lane):
        [command] = commands
        gone = command.candidate.version in missing
        lane = decide(lane, answer(command, MISSING if gone else Succeeded({"saw": command.step})), NOW).lane
    assert {version for version, status in statuses(lane).items() if status == "failed"} == missing
    assert (statuses(lane)["5"], statuses(lane)["6"]) == ("succeeded", "succeeded")
