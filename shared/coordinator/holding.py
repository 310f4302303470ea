"""Sets and releases the holds of operators: saves them, wakes the lanes that they concern, and publishes the change."""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from shared.coordinator.lanes import MOST_CONFLICTS, Lanes
from shared.core import holds
from shared.core.events import Person, TimePassed
from shared.core.holds import Holds, Scope
from shared.core.promotion import Lane, StageRun, StageStatus
from shared.core.replacing import replace
from shared.ports import QueueUnavailableError, Store, Topic, VersionConflictError

log = logging.getLogger("mlpromote")

#: Lanes are woken for this long while a person waits. The others look again by themselves (`held_back.LOOK_AGAIN`).
WAKE_FOR = timedelta(seconds=20)
_LANES_AT_ONCE = 100


class Holding:
    """Thread-safe. `clock` returns the time with its zone."""

    def __init__(self, store: Store, lanes: Lanes, clock: Callable[[], datetime], topic: Topic | None = None) -> None:
        self._store = store
        self._lanes = lanes
        self._clock = clock
        self._topic = topic

    def holds(self) -> Holds:
        return self._store.holds()[0]

    def hold(self, scope: Scope, by: Person, reason: str, until: datetime | None) -> Holds:
        """Set a hold. Raises `NotNowError` for one that cannot be set; then nothing has changed."""
        return self._change(scope, lambda known, now: holds.hold(known, scope, by, reason, until, now))

    def release(self, scope: Scope, by: Person, reason: str) -> Holds:
        """Release the hold on exactly this scope. Raises `NotNowError` if there is none."""
        return self._change(scope, lambda known, now: holds.release(known, scope, by, reason, now))

    def publish(self) -> None:
        """Publish the lines that a process may have left unpublished: called by the timer."""
        known, version = self._store.holds()
        lines = known.unpublished
        if self._topic is None or not lines or not self._topic.publish_holds(lines):
            return
        try:
            self._store.save_holds(replace(known, published=lines[-1].number), version)
        except VersionConflictError:
            return  # the faster process publishes, or the timer does

    def _change(self, scope: Scope, change: Callable[[Holds, datetime], Holds]) -> Holds:
        changed = self._saved(change)
        line = changed.history[-1]
        log.info("hold on %s %s by %s: %s", scope, line.what, line.who, line.reason)
        self._wake(scope, changed)
        self.publish()
        return changed

    def _saved(self, change: Callable[[Holds, datetime], Holds]) -> Holds:
        for _ in range(MOST_CONFLICTS):
            known, version = self._store.holds()
            changed = change(known, self._clock())
            try:
                self._store.save_holds(changed, version)
            except VersionConflictError:
                continue
            return changed
        raise VersionConflictError(f"the holds were changed {MOST_CONFLICTS} times meanwhile")

    def _wake(self, scope: Scope, changed: Holds) -> None:
        """Let the lanes that wait know at once."""
        until = self._clock() + WAKE_FOR
        for lane in self._lanes_of(scope):
            now = self._clock()
            if now >= until:
                log.info("not all lanes of %s were woken; they look again by themselves", scope)
                return
            if not any(_concerns(stage, lane, changed, now) for each in lane.under_way() for stage in each.stages):
                continue
            try:
                self._lanes.apply(TimePassed(lane.key))
            except VersionConflictError:
                continue  # others decide on it all the time, with the holds as they are now
            except QueueUnavailableError as fault:
                log.warning("commands cannot be sent now; the timer sends them: %s", fault)
                return

    def _lanes_of(self, scope: Scope) -> Iterator[Lane]:
        following: str | None = None
        while True:
            page = self._store.lanes(scope.route or None, scope.model or None, _LANES_AT_ONCE, following)
            yield from page.lanes
            following = page.following
            if following is None:
                return


def _concerns(stage: StageRun, lane: Lane, changed: Holds, now: datetime) -> bool:
    """Whether the stage waits for a hold that may be gone, or should know of one."""
    if stage.held is not None:
        return True
    step = stage.current
    waits = stage.status is StageStatus.QUEUED or (step is not None and step.not_before is not None)
    return waits and changed.on(lane.key.route, lane.key.model, stage.name, now) is not None
