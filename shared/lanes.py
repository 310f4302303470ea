"""Lanes in the store: load one, let the core decide, save, and then send what is due."""

from collections.abc import Callable
from datetime import datetime

from shared.core.lane import LaneEvent, PromotionRequested, decide
from shared.core.messages import StepReported
from shared.ports import Bus, Store, VersionConflictError

#: Each conflict means that somebody else got on, so this many in a row need that many others at once.
MOST_CONFLICTS = 50


class Lanes:
    """Applies events to lanes. May be used by several threads and processes; `clock` gives the time with its zone."""

    def __init__(self, store: Store, bus: Bus, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock

    def apply(self, event: LaneEvent) -> None:
        """Decide, save, send. To be called again with the same event if it raises: a repeated event changes nothing."""
        for _ in range(MOST_CONFLICTS):
            before, version = self._store.load(event.lane, _named(event))
            decision = decide(before, event, self._clock())
            try:
                if not decision.stale:
                    self._store.save(before, decision.lane, version, decision.journal)
            except VersionConflictError:
                continue
            self._bus.send_commands(decision.commands)
            return
        raise VersionConflictError(f"{event.lane}: {MOST_CONFLICTS} others were faster; the message is to come again")


def _named(event: LaneEvent) -> str | None:
    """The promotion that the event speaks of."""
    if isinstance(event, PromotionRequested):
        return event.promotion.id
    return event.promotion if isinstance(event, StepReported) else None
