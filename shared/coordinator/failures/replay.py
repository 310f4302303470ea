"""Replays failures: retries promotions, and returns dead letters to their queues.

A request may be repeated after a crash at any point: a promotion that is under way is no longer a failure, and a dead
letter is copied under the same message id. The promotion's journal records who requested it.
"""

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from shared.coordinator.failures.judging import Failure
from shared.coordinator.failures.sources import FailureSources
from shared.coordinator.renewal import Renewal
from shared.core.events import NotNowError, Person, Replayed, Retried
from shared.core.lane import decide
from shared.core.promotion import Promotion, PromotionStatus, StageStatus, StepStatus
from shared.ports import QueueUnavailableError, VersionConflictError

log = logging.getLogger("mlpromote")

#: The most dead letters to name in one line of a journal.
NAMED = 5
_OPEN = (StageStatus.WAITING, StageStatus.QUEUED, StageStatus.RUNNING)


class ReplayOutcome(StrEnum):
    REPLAYED = "replayed"
    REPLAYABLE = "replayable"  #: would be replayed without `dry_run`
    DISCARDED = "discarded"
    DISCARDABLE = "discardable"  #: would be discarded without `dry_run`
    REFUSED = "refused"
    NOT_FOUND = "not-found"
    NOT_REACHED = "not-reached"  #: not yet: the request may be repeated


@dataclass(frozen=True)
class Result:
    """The outcome for one failure, also in words."""

    id: str
    outcome: ReplayOutcome
    text: str


@dataclass(frozen=True)
class Asked:
    """A request for a replay or a discard."""

    by: Person  #: an operator
    reason: str
    from_step: str | None  #: of promotions
    dry_run: bool
    until: float  #: deadline in `time.monotonic`; the rest is not processed


class Replayer:
    """Carries out one request."""

    def __init__(self, sources: FailureSources, asked: Asked, renewal: Renewal = lambda _: None) -> None:
        self._sources = sources
        self._asked = asked
        self._renewal = renewal

    # --- promotions ---

    def retry(self, promotion: str) -> Result:
        """Retry a failed promotion: from `validate`, or from the step before it that failed."""
        if time.monotonic() >= self._asked.until:
            return Result(promotion, ReplayOutcome.NOT_REACHED, "the request ran out of time: try again")
        found = self._sources.store.promotion(promotion)
        if found is None:
            return Result(promotion, ReplayOutcome.NOT_FOUND, "there is no such promotion")
        asked = self._asked
        try:
            renewed = self._renewal(found[0]) if found[0].status is PromotionStatus.FAILED else None
            event = Retried(found[0].lane, promotion, asked.by, asked.reason, asked.from_step, True, renewed)
            if self._asked.dry_run:
                lane, _ = self._sources.store.load(event.lane, promotion)
                after = decide(lane, event, self._sources.clock()).lane.promotion(promotion)
                return Result(promotion, ReplayOutcome.REPLAYABLE, f"it would be retried{_start(after)}")
            after = self._sources.lanes.apply(event).lane.promotion(promotion)
        except NotNowError as fault:
            return Result(promotion, ReplayOutcome.REFUSED, str(fault))
        except QueueUnavailableError as fault:
            return Result(promotion, ReplayOutcome.REPLAYED, f"it will be retried when that is available: {fault}")
        except VersionConflictError:
            return Result(promotion, ReplayOutcome.NOT_REACHED, "too many requests are changing its lane: try again")
        return Result(promotion, ReplayOutcome.REPLAYED, f"it is being retried{_start(after)}")

    # --- dead letters ---

    def move_back(self, failures: Sequence[Failure]) -> Iterator[Result]:
        """Return dead letters to their queues."""
        for failure in failures:
            if not failure.replay.safe:
                yield Result(failure.id, ReplayOutcome.REFUSED, failure.replay.why)
            elif self._asked.dry_run:
                yield Result(failure.id, ReplayOutcome.REPLAYABLE, failure.replay.why)
        if self._asked.dry_run:
            return
        safe = [failure for failure in failures if failure.replay.safe]
        for queue, theirs in groupby(sorted(safe, key=_place), lambda failure: failure.queue or ""):
            yield from self._move_back(queue, list(theirs))

    def _move_back(self, queue: str, failures: Sequence[Failure]) -> Iterator[Result]:
        numbers = [_number(failure) for failure in self._noted(failures)]
        why = "another request is handling it, or too many others are ahead of it: try again"
        moved: Collection[int] = ()
        try:
            left = self._asked.until - time.monotonic()
            if numbers and left > 0:
                moved = self._sources.dead_letters.move_back(queue, numbers, left)
        except QueueUnavailableError as fault:
            why = str(fault)
        log.info("returned %d dead letters of %s to their queue for %s", len(moved), queue, self._asked.by.name)
        for failure in failures:
            if _number(failure) in moved:
                yield Result(failure.id, ReplayOutcome.REPLAYED, f"it is back in {queue}: {failure.replay.why}")
            else:
                yield Result(failure.id, ReplayOutcome.NOT_REACHED, why)

    def _noted(self, failures: Sequence[Failure]) -> list[Failure]:
        """The failures whose promotion has noted the replay, or whose promotion is unknown."""
        noted = [failure for failure in failures if failure.promotion is None]
        about = sorted((failure for failure in failures if failure.promotion), key=lambda each: each.promotion or "")
        for promotion, group in groupby(about, lambda each: each.promotion or ""):
            theirs = list(group)
            if time.monotonic() < self._asked.until and self._note(promotion, theirs):
                noted += theirs
        return noted

    def _note(self, promotion: str, failures: Sequence[Failure]) -> bool:
        """Note the replay in the promotion's journal. False if that failed; True also if there is no such promotion."""
        found = self._sources.store.promotion(promotion)
        if found is None or found[0].lane != failures[0].lane:
            return True
        ids = [failure.id for failure in failures]
        what = f"dead letters {', '.join(ids[:NAMED])}{f' and {len(ids) - NAMED} more' if len(ids) > NAMED else ''}"
        try:
            self._sources.lanes.apply(Replayed(found[0].lane, promotion, self._asked.by, self._asked.reason, what))
        except (VersionConflictError, QueueUnavailableError):
            return False
        return True


def _number(failure: Failure) -> int:
    return failure.dead_letter.number if failure.dead_letter else 0


def _place(failure: Failure) -> tuple[str, int]:
    return failure.queue or "", _number(failure)


def _start(promotion: Promotion | None) -> str:
    """Where the promotion resumes, in words."""
    for stage in promotion.stages if promotion else ():
        for step in stage.steps if stage.status in _OPEN else ():
            if step.status in (StepStatus.WAITING, StepStatus.RUNNING):
                return f", from {step.plan.name} in {stage.name}"
    return ""
