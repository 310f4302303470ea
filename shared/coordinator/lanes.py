"""Lanes in the store: load one, let the core decide, save, send what is due, and tell of it."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from shared.core.journal import JournalEntry
from shared.core.lane import TELL_AFTER, Decision, LaneEvent, PromotionRequested, TimePassed, decide
from shared.core.late import FIRST_LATE_POLL
from shared.core.messages import RECONCILE, LaneKey, StepReported
from shared.core.people import Released
from shared.core.promotion import Lane, Unpublished
from shared.ports import Bus, Store, Topic, VersionConflictError
from shared.telemetry.telemetry import Telemetry, fields, fields_of

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

    def check(self) -> None:
        """Raises `QueueUnavailableError`, without waiting, where what an event brings about could not be sent now."""
        self._bus.check()

    def apply(self, event: LaneEvent) -> Decision:
        """Decide, save, send, tell. To be called again with the same event if it raises: a repeated event changes
        nothing.

        Raises what `decide` raises; then nothing was changed. Raises `QueueUnavailableError` when all is saved and
        nothing sent: then the timer sees to it, if nobody calls again.
        """
        with self._telemetry.decision(event):
            decision = self._decided(event)
            if decision.disbelieved:
                log.warning("a report was ignored: %s", decision.disbelieved, extra=fields(event))
                return decision
            self._bus.send_commands(decision.commands)
            self._tell(event, decision)
            return decision

    def _decided(self, event: LaneEvent) -> Decision:
        """The decision, once it is saved."""
        for _ in range(MOST_CONFLICTS):
            before, version = self._load(event)
            now = self._clock()
            decision = decide(before, event, now)
            if decision.stale:
                return decision
            if self._topic is not None and not _comes_again(event):
                decision = _with_mark(decision, now)
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
        end of its promotion's journal published again, with the same ids; for others the lane is marked, and the timer
        sees to it.
        """
        left = decision.lane.unpublished
        if isinstance(event, TimePassed) and left is not None and self._clock() >= left.since + TELL_AFTER:
            # Those of this decision are among them.
            if all(self._told(event.lane, *each) for each in left.lines.items()):
                self._take_mark_away(event.lane, left)
        elif decision.stale:
            named = _delivered_again(event)
            if named is not None:
                self._told(event.lane, named)
        elif self._topic is not None:
            told = self._topic.publish(decision.lane, decision.journal)
            if told and left is not None and left.lines == _first_lines(decision.journal):
                self._take_mark_away(event.lane, left)

    def _told(self, key: LaneKey, promotion: str, first: int | None = None) -> bool:
        """Publish a promotion's journal from a line on, or its end; whether nothing of it is left to be published."""
        found = self._store.promotion(promotion) if self._topic is not None else None
        if self._topic is None or found is None:
            return True
        lines = found[1][-TOLD_AGAIN:] if first is None else [entry for entry in found[1] if entry.number >= first]
        return self._topic.publish(Lane(key, promotions=(found[0],)), lines)

    def _take_mark_away(self, key: LaneKey, unpublished: Unpublished) -> None:
        lane, version = self._store.load(key, None)
        if lane.unpublished != unpublished:
            return
        try:
            self._store.save(lane, replace(lane, unpublished=None), version, ())
        except VersionConflictError:
            return  # whoever was faster has kept the mark: the timer comes to it

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
            return event.promotion if event.poll < FIRST_LATE_POLL else None
    return event.promotion


def _comes_again(event: LaneEvent) -> bool:
    """Whether a queue delivers the event again if the process dies over it, and a second delivery is known as such."""
    match event:
        case StepReported():
            return True
        case PromotionRequested():
            return event.automatic and event.promotion.requested_by != RECONCILE
    return False


def _with_mark(decision: Decision, now: datetime) -> Decision:
    """The decision with its journal marked as not published yet, beside what is marked already."""
    if not decision.journal:
        return decision
    before = decision.lane.unpublished or Unpublished(now, {})
    unpublished = replace(before, lines={**_first_lines(decision.journal), **before.lines})
    return replace(decision, lane=replace(decision.lane, unpublished=unpublished))


def _first_lines(journal: Sequence[JournalEntry]) -> dict[str, int]:
    """By promotion: the number of its first line."""
    return {entry.promotion: entry.number for entry in reversed(journal)}
