"""Failures page by page: first the promotions, newest first, then the dead letters of each queue, oldest first.

A filter is applied while reading, so one page reads a bounded number and may hold fewer than were asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.core.promotion import PromotionStatus
from shared.failures import Failure, FailureFilter, Failures
from shared.ports import PromotionFilter, Store
from shared.queues import DeadLetters, number_in

#: Read at most for one page.
MOST_READ = 1000
#: What stands for the promotions in a continuation, beside the names of queues; no queue is called so.
_PROMOTIONS = "promotions"


@dataclass(frozen=True)
class FailurePage:
    """Some failures, and what to pass to get those that follow; None at the end."""

    failures: Sequence[Failure]
    following: str | None


class _Source(Protocol):
    def read(self, most: int, following: str | None) -> tuple[Sequence[Failure], str | None]:
        """At most so many of what failed, and what to pass for the next ones; None at the end."""


@dataclass(frozen=True)
class _FailedPromotions:
    failures: Failures
    store: Store
    wanted: FailureFilter

    def read(self, most: int, following: str | None) -> tuple[Sequence[Failure], str | None]:
        failed = PromotionFilter(self.wanted.route, self.wanted.model, status=PromotionStatus.FAILED)
        page = self.store.promotions(failed, most, following)
        return [self.failures.of_promotion(promotion) for promotion in page.promotions], page.following


@dataclass(frozen=True)
class _QueueOfDeadLetters:
    failures: Failures
    dead_letters: DeadLetters
    queue: str

    def read(self, most: int, following: str | None) -> tuple[Sequence[Failure], str | None]:
        letters = self.dead_letters.look(self.queue, _number(following), most)
        read = [self.failures.of_dead_letter(letter) for letter in letters]
        return read, str(letters[-1].number + 1) if letters else None


def page_of(
    wanted: FailureFilter,
    most: int,
    continuation: str | None,
    failures: Failures,
    store: Store,
    dead_letters: DeadLetters,
    queues: Sequence[str],
) -> FailurePage:
    """At most so many of the failures that are wanted. Raises ValueError for a continuation that is none of ours."""
    sources: dict[str, _Source] = {_PROMOTIONS: _FailedPromotions(failures, store, wanted)}
    sources |= {
        queue: _QueueOfDeadLetters(failures, dead_letters, queue) for queue in queues if wanted.queue in (None, queue)
    }
    name, following = _read(continuation, list(sources))
    found: list[Failure] = []
    read = 0
    # A page that is half full is left so: to read on for ever fewer would take many small reads.
    while name is not None and len(found) * 2 < most and read < MOST_READ:
        some, following = sources[name].read(most - len(found), following)
        read += max(len(some), 1)
        found += [failure for failure in some if wanted.takes(failure)]
        if following is None:
            name = _after(name, list(sources))
    return FailurePage(found, f"{name}~{following or ''}" if name is not None else None)


def _read(continuation: str | None, names: Sequence[str]) -> tuple[str | None, str | None]:
    if continuation is None:
        return names[0], None
    name, separator, following = continuation.partition("~")
    if not separator or name not in names:
        raise ValueError("the continuation is none that was given here")
    return name, following or None


def _after(name: str, names: Sequence[str]) -> str | None:
    later = names[names.index(name) + 1 :]
    return later[0] if later else None


def _number(following: str | None) -> int:
    if following is None:
        return 1
    number = number_in(following)
    if number is None:
        raise ValueError("the continuation is none that was given here")
    return number
