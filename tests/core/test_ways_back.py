"""Undoing a stage: when it may begin, and how people end an undo that cannot finish."""

from datetime import timedelta

import pytest

from shared.core.commands import due
from shared.core.events import (
    Abandoned,
    Cancelled,
    NotNowError,
    Released,
    Retried,
    RolledBack,
    TimePassed,
)
from shared.core.lane import FIRST_PAUSE, decide, wake_at
from shared.core.messages import GRACE, NotRun, Outcome, Retry, Running, Succeeded
from shared.core.promotion import Lane, PromotionStatus
from shared.core.waiting import waits
from tests.core.people import ONE_STAGE, OPERATOR, ask, asking, in_flight, run, the, waiting
from tests.core.two_versions import newer, turned_back, with_champion
from tests.core.world import BROKEN, KEY, NOW, answer, requested

# --- a step that is under way when its stage is turned back -----------------------------------------------------------


@pytest.mark.parametrize(
    "outcome",
    [Succeeded({}), BROKEN, Running(timedelta(seconds=20), "removing"), Retry(timedelta(seconds=20), "busy")],
    ids=["succeeded", "failed", "running", "retry"],
)
def test_any_answer_of_the_step_that_was_under_way_lets_its_undo_begin(outcome: Outcome) -> None:
    lane = turned_back("retire")
    assert in_flight(lane) == ["prod.retire"]
    lane = decide(lane, answer(due(lane)[0], outcome), NOW).lane
    assert in_flight(lane) == ["prod.reinstate"]
    assert the(run(lane), "2").status is PromotionStatus.ROLLED_BACK


def test_what_serves_again_serves_since_the_way_back_and_not_since_it_was_promoted() -> None:
    lane = turned_back("retire")
    before = the(lane, "2").stages[0].predecessor
    assert before is not None
    later = NOW + timedelta(hours=1)
    while commands := due(lane):
        lane = decide(lane, answer(commands[0], Succeeded({})), later).lane
    champion = lane.champions["prod"]
    assert (champion.candidate.version, champion.since) == ("1", later)
    assert before.since < later


def test_without_an_answer_the_undo_begins_once_the_command_is_known_never_to_act() -> None:
    lane = turned_back("retire")
    command = due(lane)[0]
    assert wake_at(lane) == command.not_before + GRACE
    assert command.not_after < command.not_before + GRACE
    assert decide(lane, TimePassed(KEY), command.not_before + GRACE - timedelta(seconds=1)).stale
    lane = decide(lane, TimePassed(KEY), command.not_before + GRACE).lane
    assert in_flight(lane) == ["prod.reinstate"]


def test_a_second_delivery_is_no_answer_the_first_may_still_be_at_work() -> None:
    lane = turned_back("retire")
    command = due(lane)[0]
    lane = decide(lane, answer(command, NotRun("delivered again")), NOW).lane
    assert in_flight(lane) == []
    assert wake_at(lane) == command.not_before + GRACE
    (wait,) = waits(lane, the(lane, "2"))
    assert wait.until == command.not_before + GRACE
    lane = decide(lane, TimePassed(KEY), command.not_before + GRACE).lane
    assert in_flight(lane) == ["prod.reinstate"]


def test_a_crash_long_before_does_not_delay_the_way_back() -> None:
    lane = newer(with_champion()[0], until="deploy")
    lane = decide(lane, answer(due(lane)[0], NotRun("delivered again")), NOW).lane
    later = NOW + GRACE * 2
    lane = decide(lane, answer(due(lane)[0]), later).lane
    event = Cancelled(KEY, the(lane, "2").id, OPERATOR, "wrong")
    lane = decide(lane, event, later).lane
    lane = decide(lane, answer(due(lane)[0]), later).lane
    assert in_flight(lane) == ["prod.remove"]


def test_a_command_that_nobody_ran_is_asked_for_again_at_once() -> None:
    lane = newer(with_champion()[0], until="deploy")
    before = due(lane)[0]
    lane = decide(lane, answer(before, NotRun("too late")), NOW).lane
    (again,) = due(lane)
    assert (again.step, again.poll) == ("deploy", before.poll + 1)
    assert again.not_before <= NOW + FIRST_PAUSE


# --- whatever waits can be ended by a person --------------------------------------------------------------------------


def stuck(outcome: Outcome = BROKEN) -> Lane:
    """Version 2 being undone, after `restore` gave this answer, with the following commands in flight."""
    lane = run(turned_back("retire"), until="restore")
    return decide(lane, answer(due(lane)[0], outcome), NOW).lane


def test_a_pausing_undo_is_polled_now_when_a_person_asks() -> None:
    lane = stuck(Retry(timedelta(minutes=5), "no quota"))
    before = due(lane)[0]
    lane = ask(lane, Retried(KEY, the(lane, "2").id, OPERATOR, "quota is there"))
    (again,) = due(lane)
    assert (again.step, again.poll, again.not_before) == ("restore", before.poll + 1, NOW)


def test_a_way_back_can_be_abandoned_and_says_what_it_left() -> None:
    lane = stuck(Retry(timedelta(minutes=5), "no quota"))
    lane = ask(lane, Abandoned(KEY, the(lane, "2").id, OPERATOR, "I move the traffic by hand"))
    assert in_flight(lane) == ["prod.restore"], "it must have answered before anybody else enters"
    lane = decide(lane, answer(due(lane)[0], Running(timedelta(seconds=5), "busy")), NOW).lane
    assert in_flight(lane) == []
    found = the(lane, "2")
    assert found.status is PromotionStatus.FAILED
    assert "abandoned by olga: I move the traffic by hand; not undone: restore, remove" in found.reason


def test_what_was_abandoned_can_be_rolled_back_again() -> None:
    lane = stuck(Retry(timedelta(minutes=5), "no quota"))
    lane = ask(lane, Abandoned(KEY, the(lane, "2").id, OPERATOR, "later"))
    lane = decide(lane, answer(due(lane)[0], Retry(timedelta(0), "no quota")), NOW).lane
    lane = run(ask(lane, RolledBack(KEY, the(lane, "2").id, OPERATOR, "quota is there")))
    assert the(lane, "2").status is PromotionStatus.ROLLED_BACK
    assert lane.champions["prod"].candidate.version == "1"


def test_a_rollback_that_failed_can_be_asked_for_again() -> None:
    lane = run(stuck(BROKEN))
    assert the(lane, "2").status is PromotionStatus.FAILED
    assert "undoing also failed: restore" in the(lane, "2").reason
    lane = run(ask(lane, RolledBack(KEY, the(lane, "2").id, OPERATOR, "mended")))
    assert the(lane, "2").status is PromotionStatus.ROLLED_BACK
    assert the(lane, "2").stages[0].attempt == 2


def test_what_another_version_has_come_to_serve_since_is_not_rolled_back_again() -> None:
    """Its predecessor would be deployed again, and nobody would remove that deployment."""
    lane = run(stuck(BROKEN))
    lane = ask(lane, Released(KEY, "prod", OPERATOR, "go on"))
    lane = run(decide(lane, requested("3", ONE_STAGE), NOW).lane)
    assert lane.champions["prod"].candidate.version == "3"
    with pytest.raises(NotNowError, match="prod is served by version 3"):
        ask(lane, RolledBack(KEY, the(lane, "2").id, OPERATOR, "again"))


def test_only_a_way_back_can_be_abandoned() -> None:
    lane = newer(with_champion()[0], until="deploy")
    with pytest.raises(NotNowError, match="no stage of the promotion is being undone; it is running"):
        ask(lane, Abandoned(KEY, the(lane, "2").id, OPERATOR, "why not"))


def test_what_waits_for_approval_has_nothing_to_poll_now() -> None:
    lane = waiting(asking())
    with pytest.raises(NotNowError, match="no step that waits for its next poll"):
        ask(lane, Retried(KEY, the(lane).id, OPERATOR, "hurry"))
