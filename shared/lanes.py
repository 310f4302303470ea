"""Lanes in the store: load one, let the core decide, save, and then send what is due."""

from collections.abc import Callable
from datetime import datetime

from shared.core.lane import Decision, LaneEvent, PromotionRequested, TimePassed, decide
from shared.core.people import Released
from shared.core.promotion import Lane
from shared.ports import Bus, Store, VersionConflictError

#: Each conflict means that somebody else got on, so this many in a row need that many others at once.
MOST_CONFLICTS = 50


class Lanes:
    """Applies events to lanes. May be used by several threads and processes; `clock` gives the time with its zone."""

    def __init__(self, store: Store, bus: Bus, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock

    def apply(self, event: LaneEvent) -> Decision:
        """Decide, save, send. To be called again with the same event if it raises: a repeated event changes nothing.

        Raises what `decide` raises; then nothing was changed.
        """
        for _ in range(MOST_CONFLICTS):
            before, version = self._load(event)
            decision = decide(before, event, self._clock())
            try:
                if not decision.stale:
                    self._store.save(before, decision.lane, version, decision.journal)
            except VersionConflictError:
                continue
            self._bus.send_commands(decision.commands)
            return decision
        raise VersionConflictError(f"{event.lane}: {MOST_CONFLICTS} others were faster; the message is to come again")

    def _load(self, event: LaneEvent) -> tuple[Lane, int]:
        """The lane with the promotion that the event speaks of, which may have ended."""
        match event:
            case PromotionRequested():
                return self._store.load(event.lane, event.promotion.id)
            case TimePassed():
                return self._store.load(event.lane, None)
            case Released():
                hold = self._store.load(event.lane, None)[0].holds.get(event.stage)
                return self._store.load(event.lane, hold.promotion if hold else None)
        return self._store.load(event.lane, event.promotion)
