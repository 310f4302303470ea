"""Every change of a promotion is published once it is saved, and again if a death may have prevented that."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from shared.cloud.sqlite import SqliteStore
from shared.coordinator.lanes import TOLD_AGAIN, Lanes
from shared.core.events import Cancelled, Person, TimePassed
from shared.core.holds import HoldLine
from shared.core.journal import JournalEntry
from shared.core.lane_notes import Unpublished
from shared.core.messages import FIRST_LATE_POLL, RECONCILE, Command, News, Report, RunStep, Succeeded
from shared.core.promotion import Lane
from shared.core.replacing import replace
from shared.http.authorisation import OPERATOR
from shared.ports import Bus, Topic, VersionConflictError
from tests.core.world import KEY, NOW, answer, promotion, requested
from tests.shared.sent_commands import SentCommands

ALICE = Person("id-of-alice", "alice", (OPERATOR,))


class DiedError(Exception):
    """Stands for the end of the process."""


@dataclass
class KeptBus(Bus):
    """Keeps commands; the process may die while it sends."""

    commands: list[Command] = field(default_factory=list)
    dies: bool = False

    def check(self) -> None:
        return

    def send_events(self, events: Sequence[News]) -> None:
        raise AssertionError("no lane sends events")

    def send_reports(self, environment: str, reports: Sequence[Report]) -> None:
        raise AssertionError("no lane reports")

    def send_commands(self, commands: Sequence[Command]) -> None:
        if self.dies:
            raise DiedError
        self.commands += commands

    def steps(self) -> list[RunStep]:
        return [command for command in self.commands if isinstance(command, RunStep)]


@dataclass
class KeptTopic(Topic):
    """Keeps what was published, with the promotion's status at that time."""

    told: list[tuple[JournalEntry, str]] = field(default_factory=list)
    down: bool = False
    dies: bool = False

    def publish(self, lane: Lane, journal: Sequence[JournalEntry]) -> bool:
        if self.dies:
            raise DiedError
        if self.down:
            return False
        statuses = {promotion.id: promotion.status for promotion in lane.promotions}
        self.told += [(entry, statuses[entry.promotion]) for entry in journal]
        return True

    def tell_of_source(self, source: str, digest: str, trouble: str) -> None:
        raise AssertionError("nobody publishes bundles here")

    def publish_holds(self, lines: Sequence[HoldLine]) -> bool:
        raise AssertionError("no lane tells of holds")

    def check(self) -> None:
        raise AssertionError("nobody asks here")

    def numbers(self, promotion: str) -> list[int]:
        return [entry.number for entry, _ in self.told if entry.promotion == promotion]


@dataclass
class World:
    store: SqliteStore
    bus: KeptBus
    topic: KeptTopic

    def __post_init__(self) -> None:
        self.now = NOW
        self.lanes = Lanes(self.store, self.bus, lambda: self.now, self.topic)

    def timer(self, minutes: float) -> None:
        """The reconciling timer runs, this much later."""
        self.now += timedelta(minutes=minutes)
        for key in self.store.overdue(self.now):
            self.lanes.apply(TimePassed(key))

    def mark(self) -> Unpublished | None:
        return self.store.load(KEY, None)[0].unpublished

    def cancel(self, version: str = "1") -> None:
        self.lanes.apply(Cancelled(KEY, promotion(version).id, ALICE, "wrong data"))

    def take_topic_away(self) -> None:
        self.lanes = Lanes(self.store, self.bus, lambda: self.now, None)

    def journal(self, promotion: str) -> Sequence[JournalEntry]:
        found = self.store.promotion(promotion)
        assert found is not None
        return found[1]

    def run_to_the_end(self) -> None:
        SentCommands(self.lanes, self.bus.commands).run()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(SqliteStore(tmp_path / "promotions.sqlite"), KeptBus(), KeptTopic())


def test_every_line_of_a_journal_is_published_once_and_in_order(world: World) -> None:
    world.lanes.apply(requested("1"))
    world.run_to_the_end()
    one = promotion("1").id
    assert [entry for entry, _ in world.topic.told] == list(world.journal(one))
    assert world.topic.numbers(one) == list(range(1, len(world.journal(one)) + 1))
    assert world.topic.told[-1][0].what == "succeeded"
    assert world.topic.told[-1][1] == "succeeded"


def test_changes_of_another_promotion_in_the_same_decision_are_published_with_its_own_numbers(world: World) -> None:
    for version in ("1", "2", "3"):
        world.lanes.apply(requested(version))
    two = promotion("2").id
    assert [entry.what for entry, _ in world.topic.told if entry.promotion == two][-1] == "superseded"
    assert world.topic.numbers(two) == [entry.number for entry in world.journal(two)]


def test_who_brought_a_change_about_is_kept_and_told(world: World) -> None:
    world.lanes.apply(requested("1"))
    world.lanes.apply(answer(world.bus.steps()[0]))
    world.lanes.apply(Cancelled(KEY, promotion("1").id, ALICE, "wrong data"))
    who = {entry.what: entry.who for entry, _ in world.topic.told}
    assert (who["requested"], who["step-succeeded"], who["cancelled"]) == ("event-grid", "", "alice")
    assert world.journal(promotion("1").id) == [entry for entry, _ in world.topic.told]


def test_what_a_death_after_the_save_kept_from_being_published_is_published_at_the_next_delivery(world: World) -> None:
    world.bus.dies = True
    with pytest.raises(DiedError):
        world.lanes.apply(requested("1"))
    assert world.topic.told == []
    world.bus.dies = False
    world.lanes.apply(requested("1"))
    one = promotion("1").id
    assert [entry for entry, _ in world.topic.told] == list(world.journal(one))
    assert world.journal(one) != []


def test_a_second_delivery_tells_the_end_of_the_journal_again_with_the_same_numbers(world: World) -> None:
    world.lanes.apply(requested("1"))
    first = world.bus.steps()[0]
    world.run_to_the_end()
    told = list(world.topic.told)
    world.topic.told.clear()
    world.lanes.apply(answer(first))
    assert [entry for entry, _ in world.topic.told] == [entry for entry, _ in told[-TOLD_AGAIN:]]
    assert len(told) < TOLD_AGAIN or len(world.topic.told) == TOLD_AGAIN


def test_time_that_changes_something_keeps_nothing_from_being_published_at_the_next_delivery(world: World) -> None:
    world.bus.dies = True
    with pytest.raises(DiedError):
        world.lanes.apply(requested("1"))
    lane, version = world.store.load(KEY, None)
    world.store.save(lane, replace(lane, closed_until={"elsewhere": NOW}), version, ())
    world.bus.dies = False
    world.lanes.apply(requested("1"))
    assert [entry for entry, _ in world.topic.told] == list(world.journal(promotion("1").id)) != []
    assert [command.step for command in world.bus.steps()] == ["share"]


def test_what_a_message_changed_of_another_promotion_is_published_although_the_process_died(world: World) -> None:
    for version in ("1", "2"):
        world.lanes.apply(requested(version))
    told = len(world.topic.told)
    world.topic.dies = True
    with pytest.raises(DiedError):
        world.lanes.apply(requested("3"))  # supersedes the second, which queues
    world.topic.dies = False
    world.lanes.apply(requested("3"))
    world.timer(2)
    published = {(entry.promotion, entry.number) for entry, _ in world.topic.told}
    superseded = world.journal(promotion("2").id)
    assert len(world.topic.told) > told
    assert superseded[-1].what == "superseded"
    assert {(entry.promotion, entry.number) for entry in superseded} <= published
    assert world.mark() is None


def test_what_is_stale_by_its_nature_tells_nothing(world: World) -> None:
    world.lanes.apply(requested("1"))
    report = answer(world.bus.steps()[0], Succeeded())
    world.topic.told.clear()
    found_by_timer = requested("1")
    world.lanes.apply(replace(found_by_timer, promotion=replace(found_by_timer.promotion, requested_by=RECONCILE)))
    world.lanes.apply(TimePassed(KEY))
    world.lanes.apply(replace(report, poll=FIRST_LATE_POLL))
    assert world.topic.told == []


# --- what no message brings again -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dies", ["bus", "topic"])
def test_what_a_person_decided_before_the_process_died_is_published_by_the_timer(dies: str, world: World) -> None:
    world.lanes.apply(requested("1"))
    getattr(world, dies).dies = True
    with pytest.raises(DiedError):
        world.cancel()
    getattr(world, dies).dies = False
    world.timer(0.5)
    assert "cancelled" not in [entry.what for entry, _ in world.topic.told]
    world.timer(0.5)
    assert [entry for entry, _ in world.topic.told] == list(world.journal(promotion("1").id))
    assert world.mark() is None


def test_what_the_timer_decided_before_it_died_is_published_by_its_next_run(world: World) -> None:
    world.lanes.apply(requested("1"))
    world.bus.dies = True
    with pytest.raises(DiedError):
        world.timer(24 * 60)
    world.bus.dies = False
    world.timer(1)
    one = promotion("1").id
    assert world.topic.numbers(one) == [entry.number for entry in world.journal(one)]
    assert len(world.journal(one)) > 2


def test_what_was_told_at_once_is_not_told_again(world: World) -> None:
    world.lanes.apply(requested("1"))
    world.cancel()
    assert world.mark() is None
    told = list(world.topic.told)
    world.timer(2)
    assert world.topic.told == told


def test_changes_that_a_message_brings_leave_no_mark_and_cost_no_further_save(world: World) -> None:
    world.lanes.apply(requested("1"))
    world.topic.down = True
    before = world.store.load(KEY, None)[1]
    world.lanes.apply(answer(world.bus.steps()[0]))
    lane, version = world.store.load(KEY, None)
    assert (lane.unpublished, version) == (None, before + 1)


def test_while_the_topic_is_away_the_timer_keeps_trying_and_what_happens_meanwhile_is_published_with_the_rest(
    world: World,
) -> None:
    for version in ("1", "2"):
        world.lanes.apply(requested(version))
    world.topic.down = True
    world.cancel("2")
    world.cancel("1")
    world.timer(1)
    mark = world.mark()
    assert mark is not None
    assert mark.lines.keys() == {promotion(version).id for version in ("1", "2")}
    world.topic.down = False
    world.timer(1)
    for version in ("1", "2"):
        one = promotion(version).id
        assert world.topic.numbers(one) == [entry.number for entry in world.journal(one)]
    assert world.mark() is None


def test_a_later_decision_that_was_told_leaves_the_mark_of_an_earlier_one_that_was_not(world: World) -> None:
    for version in ("1", "2"):
        world.lanes.apply(requested(version))
    world.topic.down = True
    world.cancel("2")
    world.topic.down = False
    world.cancel("1")
    assert world.mark() is not None
    world.timer(1)
    two = promotion("2").id
    assert world.topic.numbers(two) == [entry.number for entry in world.journal(two)]


def test_registrations_that_the_timer_found_are_published_although_the_process_died(world: World) -> None:
    found = replace(requested("1"), promotion=replace(promotion("1"), requested_by=RECONCILE))
    world.bus.dies = True
    with pytest.raises(DiedError):
        world.lanes.apply(found)
    world.bus.dies = False
    world.lanes.apply(found)
    world.timer(1)
    one = promotion("1").id
    assert world.topic.numbers(one) == [entry.number for entry in world.journal(one)]


def test_without_a_topic_nothing_is_marked_and_a_mark_from_before_goes(world: World) -> None:
    world.lanes.apply(requested("1"))
    world.topic.down = True
    world.cancel()
    world.take_topic_away()
    world.timer(1)
    assert world.mark() is None
    world.lanes.apply(requested("2"))
    world.cancel("2")
    assert world.mark() is None


class Contended(SqliteStore):
    """Somebody else is faster once."""

    conflicts = 1

    def save(self, before: Lane, after: Lane, version: int, journal: Sequence[JournalEntry]) -> None:
        if self.conflicts:
            self.conflicts -= 1
            raise VersionConflictError
        super().save(before, after, version, journal)


def test_a_decision_that_lost_a_race_is_not_told(tmp_path: Path) -> None:
    times = iter([NOW, NOW.replace(minute=1)])
    topic = KeptTopic()

    def clock() -> datetime:
        return next(times)

    Lanes(Contended(tmp_path / "promotions.sqlite"), KeptBus(), clock, topic).apply(requested("1"))
    assert {entry.at for entry, _ in topic.told} == {NOW.replace(minute=1)}
    numbers = topic.numbers(promotion("1").id)
    assert numbers == list(range(1, len(numbers) + 1))
