"""Every hold that is set or released is published once it is saved, and by the timer if it could not be then."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from shared.cloud.sqlite import SqliteStore
from shared.cloud.topic import event_of_hold
from shared.coordinator.holding import Holding
from shared.coordinator.lanes import Lanes
from shared.core.events import NotNowError, Person
from shared.core.holds import HoldLine, Scope
from shared.http.authorisation import OPERATOR
from tests.core.world import NOW
from tests.shared.test_telling import DiedError, KeptBus, KeptTopic

ALICE = Person("id-of-alice", "alice", (OPERATOR,))
PROD = Scope("churn", "churn-eu", "prod")


@dataclass
class TopicOfHolds(KeptTopic):
    """Keeps the lines that were published."""

    lines: list[HoldLine] = field(default_factory=list)

    def publish_holds(self, lines: Sequence[HoldLine]) -> bool:
        if self.dies:
            raise DiedError
        if not self.down:
            self.lines += lines
        return not self.down

    def numbered(self) -> list[tuple[int, str]]:
        return [(line.number, line.what) for line in self.lines]


@pytest.fixture
def topic() -> TopicOfHolds:
    return TopicOfHolds()


@pytest.fixture
def holding(tmp_path: Path, topic: TopicOfHolds) -> Holding:
    store = SqliteStore(tmp_path / "promotions.sqlite")
    return Holding(store, Lanes(store, KeptBus(), lambda: NOW, topic), lambda: NOW, topic)


def test_a_hold_and_its_release_are_published_once_each(holding: Holding, topic: TopicOfHolds) -> None:
    holding.hold(PROD, ALICE, "audit", NOW + timedelta(days=1))
    holding.release(PROD, ALICE, "over")
    holding.publish()
    assert topic.numbered() == [(1, "set"), (2, "released")]


def test_what_is_refused_is_not_published(holding: Holding, topic: TopicOfHolds) -> None:
    with pytest.raises(NotNowError):
        holding.release(PROD, ALICE, "over")
    holding.publish()
    assert topic.lines == []


@pytest.mark.parametrize("trouble", ["down", "dies"])
def test_a_hold_counts_although_it_cannot_be_published_and_the_timer_publishes_it(
    holding: Holding, topic: TopicOfHolds, trouble: str
) -> None:
    setattr(topic, trouble, True)
    try:
        holding.hold(PROD, ALICE, "audit", None)
    except DiedError:
        assert trouble == "dies"
    assert [each.scope for each in holding.holds().in_force(NOW)] == [PROD]
    setattr(topic, trouble, False)
    holding.publish()
    holding.publish()
    assert topic.numbered() == [(1, "set")]


@pytest.mark.parametrize(
    ("scope", "written", "places"),
    [
        (PROD, "churn/churn-eu/prod", ("churn", "churn-eu", "prod")),
        (Scope("churn", "", "prod"), "churn/*/prod", ("churn", None, "prod")),
        (Scope(), "everything", (None, None, None)),
    ],
)
def test_the_event_says_what_is_held_by_whom_why_and_until_when(
    scope: Scope, written: str, places: tuple[str | None, ...]
) -> None:
    until = NOW + timedelta(days=1)
    event = event_of_hold(HoldLine(7, NOW, "set", scope, "alice", "audit", until))
    assert (event.type, event.subject, event.id) == (
        "mlpromote.hold.set",
        f"holds/{written}",
        f"hold:7:{NOW.isoformat()}",
    )
    assert event.data == {
        "scope": written,
        **dict(zip(("route", "model", "stage"), places, strict=True)),
        "number": 7,
        "what": "set",
        "text": "audit",
        "who": "alice",
        "until": until.isoformat(),
    }
