"""Discards dead letters for good, such as those that cannot be read, which no replay can help.

A letter is stored in the journal of discarded letters before it is removed from its queue, and noted in the journal of
its promotion, if it names one. So the same request may be repeated after a crash at any point.
"""

import logging
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from itertools import groupby

from shared.coordinator.failures.judging import Failure
from shared.coordinator.failures.replay import Asked, ReplayOutcome, Result
from shared.coordinator.failures.sources import FailureSources
from shared.core.events import Discarded
from shared.core.redaction import visible
from shared.ports import (
    DeadLetter,
    DiscardedLetter,
    DiscardedLetters,
    QueueUnavailableError,
    VersionConflictError,
)

log = logging.getLogger("mlpromote")

#: Longest body to keep: the limit of the Standard tier.
MOST_KEPT_BYTES = 256 * 1024


class Discarder:
    """Carries out one request."""

    def __init__(self, sources: FailureSources, discarded: DiscardedLetters, asked: Asked) -> None:
        self._sources = sources
        self._discarded = discarded
        self._asked = asked

    def discard(self, failures: Sequence[Failure]) -> Iterator[Result]:
        """Discard dead letters; promotions cannot be discarded."""
        for queue, group in groupby(sorted(failures, key=_queue), _queue):
            letters = {failure.dead_letter.number: failure for failure in group if failure.dead_letter is not None}
            if self._asked.dry_run:
                text = "it would be discarded"
                yield from (Result(each.id, ReplayOutcome.DISCARDABLE, text) for each in letters.values())
            else:
                yield from self._of_queue(queue, letters)

    def _of_queue(self, queue: str, letters: dict[int, Failure]) -> Iterator[Result]:
        kept = [number for number, failure in letters.items() if self._is_kept(failure)]
        gone, why = set[int](), "another request is handling it, or too many others are ahead of it: try again"
        left = self._asked.until - time.monotonic()
        try:
            if kept and left > 0:
                gone = set(self._sources.dead_letters.discard(queue, kept, left))
        except QueueUnavailableError as fault:
            why = str(fault)
        log.info("discarded %d dead letters of %s for %s", len(gone), queue, self._asked.by.name)
        for number, failure in letters.items():
            if number in gone:
                yield Result(failure.id, ReplayOutcome.DISCARDED, "it was discarded, and is kept in the journal")
            else:
                yield Result(failure.id, ReplayOutcome.NOT_REACHED, why)

    def _is_kept(self, failure: Failure) -> bool:
        """Store the letter in the journal and note it in its promotion's; return whether both succeeded."""
        letter = failure.dead_letter
        if letter is None or time.monotonic() >= self._asked.until:
            return False
        self._discarded.keep(self._record(failure, letter))
        found = self._sources.store.promotion(failure.promotion) if failure.promotion else None
        if found is None or found[0].lane != failure.lane:
            return True
        asked = self._asked
        event = Discarded(found[0].lane, found[0].id, asked.by, asked.reason, f"dead letter {failure.id}")
        try:
            self._sources.lanes.apply(event)
        except (VersionConflictError, QueueUnavailableError):
            return False
        return True

    def _record(self, failure: Failure, letter: DeadLetter) -> DiscardedLetter:
        content, encoding = _written(letter.body[:MOST_KEPT_BYTES])
        return DiscardedLetter(
            failure.id,
            letter.message_id,
            letter.enqueued,
            failure.reason,
            content,
            encoding,
            len(letter.body),
            self._asked.by.name,
            self._asked.reason,
            self._sources.clock(),
        )


def _queue(failure: Failure) -> str:
    return failure.queue or ""


def _written(body: bytes) -> tuple[str, str]:
    """The body as text if people can read all of it, else as base64; either can be decoded to the original bytes."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = None
    if text is None or visible(text) != text:
        return b64encode(body).decode(), "base64"
    return text, "utf-8"
