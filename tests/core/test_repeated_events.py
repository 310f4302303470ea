"""An event that is delivered again counts as repeated, also if time has changed something of the lane meanwhile: who
handled it before may have died before it had sent everything."""

from datetime import timedelta

from shared.core.events import Approved, TimePassed
from shared.core.lane import decide
from shared.core.promotion import Lane
from shared.core.replacing import replace
from tests.core.people import ANNA, approve, asking, the, waiting
from tests.core.test_late import LATER, failed_at
from tests.core.world import KEY, NOW, requested


def when_time_changes(lane: Lane) -> Lane:
    """The lane with a stage whose closure is over when anything is decided next."""
    return replace(lane, closed_until={"elsewhere": NOW})


def test_a_repeated_approval_changes_nothing_itself_and_sends_what_is_due_again() -> None:
    lane = when_time_changes(approve(waiting(asking()), ANNA))
    decision = decide(lane, Approved(KEY, the(lane).id, ANNA, "seen"), NOW + timedelta(seconds=1))
    assert decision.repeated
    assert not decision.stale
    assert [command.step for command in decision.commands] == ["deploy"]


def test_a_request_that_is_delivered_again_sends_its_first_command_again() -> None:
    first = decide(Lane(KEY), requested(), NOW)
    second = decide(when_time_changes(first.lane), requested(), NOW + timedelta(seconds=1))
    assert second.repeated
    assert not second.stale
    assert second.commands == first.commands


def test_a_late_effect_is_undone_although_time_has_changed_something_meanwhile() -> None:
    driver, late = failed_at("smoke")
    driver.run()
    decision = decide(when_time_changes(driver.lane), late, LATER)
    assert decision.repeated
    assert [command.step for command in decision.commands] == ["remove"]


def test_an_event_that_changes_something_is_not_repeated() -> None:
    lane = waiting(asking())
    assert not decide(lane, Approved(KEY, the(lane).id, ANNA, "seen"), NOW).repeated
    assert decide(lane, TimePassed(KEY), NOW).repeated
