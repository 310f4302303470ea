"""Everything under way says what it waits for, since when and until when."""

from datetime import timedelta

from shared.core.commands import due
from shared.core.events import Person, RolledBack, TimePassed
from shared.core.lane import decide
from shared.core.messages import Running
from shared.core.promotion import Lane, Promotion, PromotionStatus
from shared.core.waiting import Wait, waits
from tests.core.driver import drive
from tests.core.two_versions import rolled_back
from tests.core.world import BROKEN, KEY, NOW, Azure, answer, requested

ONE_STAGE: dict[str, tuple[str, ...]] = {"prod": ()}
LATER = NOW + timedelta(minutes=3)


def the(lane: Lane, version: str) -> Promotion:
    return next(known for known in lane.promotions if known.candidate.version == version)


def waiting(lane: Lane, version: str = "1") -> list[Wait]:
    return list(waits(lane, the(lane, version)))


def test_a_step_waits_for_its_worker_until_its_deadline() -> None:
    lane = decide(Lane(KEY), requested(), NOW).lane
    assert waiting(lane) == [Wait("test", "share", NOW, NOW + timedelta(hours=1))]


def test_between_polls_it_says_what_was_seen_and_when_it_polls_again() -> None:
    lane = decide(Lane(KEY), requested(), NOW).lane
    seen = Running(timedelta(minutes=2), "the copy is being made")
    lane = decide(lane, answer(due(lane)[0], seen), LATER).lane
    assert waiting(lane) == [
        Wait("test", "share: the copy is being made; next poll at 12:05:00 UTC", NOW, NOW + timedelta(hours=1))
    ]


def test_an_approval_says_how_many_are_missing_and_whose() -> None:
    lane = drive(Lane(KEY), requested("1", ONE_STAGE, asked=("approval",)), Azure())[0]
    [wait] = waiting(lane)
    assert wait.what == "approval: 0 of 1 given, by people with the role Promotion.Approver"
    assert wait.until - wait.since == timedelta(hours=72)
    assert not wait.is_for_time


def test_its_turn_comes_after_the_promotion_in_the_stage() -> None:
    lane = decide(Lane(KEY), requested("1", ONE_STAGE), NOW).lane
    lane = decide(lane, requested("2", ONE_STAGE), LATER).lane
    assert waiting(lane, "2") == [
        Wait("prod", f"its turn in prod, behind promotion {the(lane, '1').id}", LATER, LATER + timedelta(days=30))
    ]


def test_a_hold_says_by_whom_and_why() -> None:
    lane, azure = drive(Lane(KEY), requested("1", ONE_STAGE), Azure())
    lane, azure = drive(lane, requested("2", ONE_STAGE), azure)
    olga = Person("id-o", "olga", ("Promotion.Operator",))
    lane = decide(lane, RolledBack(KEY, the(lane, "2").id, olga, "wrong answers"), LATER).lane
    [wait] = waiting(lane, "2")
    assert wait.what == "reinstate, to undo the stage"
    lane, _ = drive(lane, requested("3", ONE_STAGE), azure)
    assert [wait.what for wait in waiting(lane, "3")] == ["the hold on prod to be released, set by olga: wrong answers"]


def test_stages_side_by_side_each_say_what_they_wait_for() -> None:
    stages: dict[str, tuple[str, ...]] = {"west": (), "north": (), "after": ("west", "north")}
    lane = decide(Lane(KEY), requested("1", stages), NOW).lane
    assert [wait.stage for wait in waiting(lane)] == ["west", "north"]


def test_what_has_ended_waits_for_nothing() -> None:
    done, _ = drive(Lane(KEY), requested("1"), Azure())
    failed, _ = drive(Lane(KEY), requested("1"), Azure(failing={("1", "test", "deploy"): BROKEN}))
    assert waiting(done) == waiting(failed) == []


def test_a_turn_that_does_not_come_within_30_days_is_given_up_with_a_word() -> None:
    lane = decide(rolled_back(), requested("3", ONE_STAGE), NOW).lane
    almost, over = (NOW + timedelta(days=30) + around for around in (-timedelta(seconds=1), timedelta()))
    assert decide(lane, TimePassed(KEY), almost).stale
    decision = decide(lane, TimePassed(KEY), over)
    said = {line.what: line.text for line in decision.journal}
    assert said["stage-failed"] == "its turn did not come within 30 d"
    assert the(decision.lane, "3").status is PromotionStatus.FAILED
