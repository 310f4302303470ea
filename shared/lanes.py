"""Lanes in the store: load one, let the core decide, save, send what is due, and tell of it."""

import logging
from collections.abc import Callable
from datetime import datetime

from shared.core.lane import Decision, LaneEvent, PromotionRequested, TimePassed, decide
from shared.core.late import FIRST_LATE_LOOK
from shared.core.messages import RECONCILE, StepReported
from shared.core.people import Released
from shared.core.promotion import Lane
from shared.ports import Bus, Store, Topic, VersionConflictError
from shared.telemetry import Telemetry, fields_of

log = logging.getLogger("mlpromote")

#: Each conflict means that somebody else got on, so this many in a row need that many others at once.
MOST_CONFLICTS = 50
#: Lines of a journal that are told of again; one decision writes fewer.
TOLD_AGAIN = 20


class Lanes:
    """Applies events to lanes. May be used by several threads and processes; `clock` gives the time with its zone."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        clock: Callable[[], datetime],
        topic: Topic | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._topic = topic
        self._telemetry = telemetry or Telemetry()

    def apply(self, event: LaneEvent) -> Decision:
        """Decide, save, send, tell. To be called again with the same event if it raises: a repeated event changes
        nothing.

        Raises what `decide` raises; then nothing was changed.
        """
        with self._telemetry.decision(event):
            decision = self._decided(event)
            self._bus.send_commands(decision.commands)
            self._tell(event, decision)
            return decision

    def _decided(self, event: LaneEvent) -> Decision:
        """The decision, once it is saved."""
        for _ in range(MOST_CONFLICTS):
            before, version = self._load(event)
            decision = decide(before, event, self._clock())
            if decision.stale:
                return decision
            try:
                self._store.save(before, decision.lane, version, decision.journal)
            except VersionConflictError:
                continue
            self._telemetry.decided(before, decision)
            for entry in decision.journal:
                log.info("%s %s: %s", entry.promotion, entry.what, entry.text, extra=fields_of(event.lane, entry))
            return decision
        raise VersionConflictError(f"{event.lane}: {MOST_CONFLICTS} others were faster; the message is to come again")

    def _tell(self, event: LaneEvent, decision: Decision) -> None:
        """Publish the decision's journal. Whoever decided may have died before that: an event that comes again has the
        end of its promotion's journal published again, with the same ids.
        """
        if self._topic is None:
            return
        if not decision.stale:
            self._topic.publish(decision.lane, decision.journal)
            return
        named = _delivered_again(event)
        found = self._store.promotion(named) if named is not None else None
        if found is not None:
            self._topic.publish(Lane(event.lane, promotions=(found[0],)), found[1][-TOLD_AGAIN:])

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


def _delivered_again(event: LaneEvent) -> str | None:
    """The promotion of a stale event that may be a second delivery; None where events are stale by their nature."""
    match event:
        case TimePassed() | Released():
            return None
        case PromotionRequested():
            # The timer finds the same registrations again and again.
            return event.promotion.id if event.promotion.requested_by != RECONCILE else None
        case StepReported():
            return event.promotion if event.look < FIRST_LATE_LOOK else None
    return event.promotion
