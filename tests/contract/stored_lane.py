"""Lanes that are driven through a store: load, decide, save."""

from datetime import datetime

from shared.core.events import LaneEvent
from shared.core.lane import Decision, decide
from shared.core.promotion import Lane
from shared.ports import Store
from tests.core.driver import Answers, LaneDriver, success
from tests.core.world import NOW


def apply(store: Store, event: LaneEvent, now: datetime = NOW) -> Decision:
    lane, version = store.load(event.lane, event.about(None))
    decision = decide(lane, event, now)
    if not decision.stale:
        store.save(lane, decision.lane, version, decision.journal)
    return decision


class StoredLaneDriver(LaneDriver):
    """Drives the lane. After each answer, it is in the store."""

    def __init__(self, store: Store, asked: LaneEvent, answers: Answers = success) -> None:
        self._store = store
        super().__init__(Lane(asked.lane), answers)
        self.apply(asked)

    def apply(self, event: LaneEvent) -> None:
        self.lane = apply(self._store, event, self.now).lane
