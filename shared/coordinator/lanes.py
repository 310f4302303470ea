"""Applies events to lanes: loads a lane, lets the core decide, saves it, sends what is due, and publishes the
changes."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from shared.core.events import LaneEvent, TimePassed
from shared.core.journal import JournalEntry
from shared.core.lane import TELL_AFTER, Decision, decide
from shared.core.lane_notes import Unpublished
from shared.core.messages import LaneKey
from shared.core.promotion import Lane
from shared.core.replacing import replace
from shared.ports import Bus, Store, Topic, VersionConflictError
from shared.telemetry.telemetry import Telemetry, fields, fields_of

log = logging.getLogger("mlpromote")

#: Each conflict means that another process made progress, so this many in a row need as many concurrent ones.
MOST_CONFLICTS = 50
#: Number of journal lines to publish again. One decision writes fewer.
TOLD_AGAIN = 20


class Lanes:
    """Applies events to lanes. Safe for several threads and processes. `clock` returns the time with its zone."""

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
        """Raise `QueueUnavailableError`, without waiting, if commands could not be sent now."""
        self._bus.check()

    def apply(self, event: LaneEvent) -> Decision:
        """Decide, save, send and publish. If it raises, call it again with the same event: a repeated event changes
        nothing.

        Raises what `decide` raises; then nothing has changed. Raises `QueueUnavailableError` if everything is saved but
        nothing sent; then the timer sends it, unless this is called again first.
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
        """Decide and save; return the decision."""
        for _ in range(MOST_CONFLICTS):
            before, version = self._load(event)
            now = self._clock()
            decision = decide(before, event, now, self._store.holds()[0])
            if decision.stale:
                return decision
            if self._topic is not None:
                decision = _with_mark(event, decision, now)
            try:
                self._store.save(before, decision.lane, version, decision.journal)
            except VersionConflictError:
                continue
            self._telemetry.decided(before, decision)
            for entry in decision.journal:
                log.info("%s %s: %s", entry.promotion, entry.what, entry.text, extra=fields_of(event.lane, entry))
            return decision
        raise VersionConflictError(
            f"{event.lane}: lost {MOST_CONFLICTS} races for the lane; the message must be delivered again"
        )

    def _tell(self, event: LaneEvent, decision: Decision) -> None:
        """Publish the decision's journal. A process may have died before that. So a redelivered event publishes the end
        of its promotion's journal again, with the same ids. For other events, and for the lines of other promotions,
        the lane is marked, and the timer publishes.
        """
        left = decision.lane.unpublished
        if isinstance(event, TimePassed) and left is not None and self._clock() >= left.since + TELL_AFTER:
            # These include the lines of this decision.
            if all(self._told(event.lane, *each) for each in left.lines.items()):
                self._take_mark_away(event.lane, left)
            return
        named = event.about(decision.lane)
        if decision.repeated and named is not None and event.may_be_repeated:
            self._told(event.lane, named)
        if not decision.stale and self._topic is not None:
            told = self._topic.publish(decision.lane, decision.journal)
            if told and left is not None and left.lines == _first_lines(_to_mark(event, decision)):
                self._take_mark_away(event.lane, left)

    def _told(self, key: LaneKey, promotion: str, first: int | None = None) -> bool:
        """Publish a promotion's journal from a line on, or its end. Return whether everything is published."""
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
            return  # the faster process has kept the mark, and the timer will publish

    def _load(self, event: LaneEvent) -> tuple[Lane, int]:
        """The lane, with the event's promotion, which may have ended."""
        about = event.about(None)
        lane, version = self._store.load(event.lane, about)
        named = event.about(lane)
        return (lane, version) if named == about else self._store.load(event.lane, named)


def _with_mark(event: LaneEvent, decision: Decision, now: datetime) -> Decision:
    """The decision with lines of its journal marked as unpublished, in addition to what is marked already."""
    lines = _to_mark(event, decision)
    if not lines:
        return decision
    before = decision.lane.unpublished or Unpublished(now, {})
    unpublished = replace(before, lines={**_first_lines(lines), **before.lines})
    return replace(decision, lane=replace(decision.lane, unpublished=unpublished))


def _to_mark(event: LaneEvent, decision: Decision) -> Sequence[JournalEntry]:
    """The lines that no second delivery of the event would publish."""
    if not event.comes_again:
        return decision.journal
    named = event.about(decision.lane)
    return [entry for entry in decision.journal if entry.promotion != named]


def _first_lines(journal: Sequence[JournalEntry]) -> dict[str, int]:
    """The number of the first line, by promotion."""
    return {entry.promotion: entry.number for entry in reversed(journal)}
