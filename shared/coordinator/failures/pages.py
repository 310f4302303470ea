"""Reads failures in pages: first the promotions, newest first, then the dead letters of each queue, oldest first.

The filter is applied while reading, so a page reads a bounded number and may contain fewer failures than requested.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.coordinator.failures.judging import Failure, FailureFilter, Failures
from shared.core.promotion import PromotionStatus
from shared.core.queues import number_in
from shared.ports import DeadLetter, DeadLetters, PromotionFilter, Store

#: The most failures to read for one page.
MOST_READ = 1000
#: Names the store of promotions among the names of queues. No queue has this name.
_PROMOTIONS = "promotions"


@dataclass(frozen=True)
class FailurePage:
    """Some failures, and the continuation for the next ones; None at the end."""

    failures: Sequence[Failure]
    following: str | None


@dataclass(frozen=True)
class FailurePages:
    """Reads pages of failures from a store and queues."""

    judge: Failures
    store: Store
    dead_letters: DeadLetters
    queues: Sequence[str]  #: by name

    def page(self, wanted: FailureFilter, most: int, continuation: str | None) -> FailurePage:
        """At most `most` of the wanted failures. Raises ValueError for an unknown continuation token."""
        sources = [_PROMOTIONS, *(queue for queue in self.queues if wanted.queue in (None, queue))]
        source, following = _position(continuation, sources)
        found: list[Failure] = []
        read = 0
        # Stop at a half-full page: filling it would take many small reads.
        while source is not None and len(found) * 2 < most and read < MOST_READ:
            some, following = self._read(source, wanted, most - len(found), following)
            read += max(len(some), 1)
            found += [failure for failure in some if wanted.takes(failure)]
            if following is None:
                source = _after(source, sources)
        return FailurePage(found, f"{source}~{following or ''}" if source is not None else None)

    def _read(
        self, source: str, wanted: FailureFilter, most: int, following: str | None
    ) -> tuple[Sequence[Failure], str | None]:
        """The next failures of a source, and the continuation; None at the source's end."""
        if source == _PROMOTIONS:
            failed = PromotionFilter(wanted.route, wanted.model, status=PromotionStatus.FAILED)
            page = self.store.promotions(failed, most, following)
            return [self.judge.of_promotion(promotion) for promotion in page.promotions], page.following
        letters = self.dead_letters.peek(source, _number(following), most)
        return [self.judge.of_dead_letter(letter) for letter in letters], _after_last(letters)


def _position(continuation: str | None, sources: Sequence[str]) -> tuple[str | None, str | None]:
    """The source to continue with, and its continuation."""
    if continuation is None:
        return sources[0], None
    source, separator, following = continuation.partition("~")
    if not separator or source not in sources:
        raise ValueError("unknown continuation token")
    return source, following or None


def _after(source: str, sources: Sequence[str]) -> str | None:
    later = sources[sources.index(source) + 1 :]
    return later[0] if later else None


def _after_last(letters: Sequence[DeadLetter]) -> str | None:
    return str(letters[-1].number + 1) if letters else None


def _number(following: str | None) -> int:
    if following is None:
        return 1
    number = number_in(following)
    if number is None:
        raise ValueError("unknown continuation token")
    return number
