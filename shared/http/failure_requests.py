"""What people ask of failures over HTTP: to see them, to replay them, and to put dead letters aside.

Each method takes what came with the request and gives the JSON values of the answer, or raises `RefusedError`.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.coordinator.failures.discard import Discarder
from shared.coordinator.failures.judging import Failure, FailureFilter, Failures
from shared.coordinator.failures.pages import FailurePage, FailurePages
from shared.coordinator.failures.replay import Asked, Replayer, ReplayOutcome, Result
from shared.coordinator.lanes import Lanes
from shared.core.people import Person
from shared.core.queues import all_queues, number_in
from shared.http import bodies, listing, refusals
from shared.ports import DeadLetters, DiscardedLetter, DiscardedLetters, QueueUnavailableError, Store

if TYPE_CHECKING:
    from shared.config import Configuration

#: Failures that one request with a filter replays; its answer says how to get at the rest.
MOST_AT_ONCE = 200
#: Discarded letters in one page: each comes with all of its content.
MOST_DISCARDED = 20
#: Then a request says what it did not get to: the platform ends it after 230 seconds.
LONGEST_SECONDS = 60.0


@dataclass(frozen=True)
class Replay:
    """The body of `POST /failures/replay`; either `ids` or `filter` says what is meant."""

    reason: str
    ids: tuple[str, ...] | None = None
    filter: FailureFilter | None = None
    from_step: str | None = None  #: where promotions go on, if earlier than where they failed
    dry_run: bool = False
    continuation: str | None = None  #: with `filter`: from the answer before


@dataclass(frozen=True)
class Discard:
    """The body of `POST /failures/discard`; either `ids` or `filter` says what is meant."""

    reason: str
    ids: tuple[str, ...] | None = None
    filter: FailureFilter | None = None
    dry_run: bool = False
    continuation: str | None = None  #: with `filter`: from the answer before


@dataclass(frozen=True)
class _Meant:
    promotions: Sequence[str]
    dead_letters: Sequence[Failure]
    not_there: Sequence[str] = ()
    following: str | None = None


class FailureRequests:
    """Answers requests. May be used by several threads; `clock` gives the time with its zone."""

    def __init__(
        self,
        store: Store,
        lanes: Lanes,
        dead_letters: DeadLetters,
        configuration: Callable[[], "Configuration"],
        clock: Callable[[], datetime],
        discarded: Callable[[], DiscardedLetters],
    ) -> None:
        self._discarded = discarded
        self._store = store
        self._lanes = lanes
        self._dead_letters = dead_letters
        self._configuration = configuration
        self._clock = clock

    def failures(self, url: str, query: Mapping[str, str]) -> dict[str, Any]:
        """One page: promotions newest first, then the dead letters of each queue, oldest first."""
        with _refused_in_words():
            asked = listing.read_failures(query)
            page = self._page(asked.wanted, asked.top, asked.continuation)
            if not page.failures and asked.continuation is page.following is None:
                listing.check_names(query, self._configuration())
        return {
            "value": [_shown(failure) for failure in page.failures],
            "next_link": listing.next_link(url, query, page.following),
        }

    def replay(self, body: bytes, by: Person) -> dict[str, Any]:
        """What was done about each failure, or why nothing; with `dry_run`, what would be done."""
        replay = bodies.read(Replay, body)
        bodies.known_step(replay.from_step)
        with _refused_in_words():
            self._lanes.check()
            meant = self._meant(replay)
        until = time.monotonic() + LONGEST_SECONDS
        asked = Asked(by, replay.reason, replay.from_step, replay.dry_run, until)
        replayer = Replayer(self._store, self._lanes, self._dead_letters, self._clock, asked)
        results = [
            *(Result(each, ReplayOutcome.NOT_FOUND, "it is not there, or not any more") for each in meant.not_there),
            *(replayer.retry(promotion) for promotion in meant.promotions),
            *replayer.move_back(meant.dead_letters),
        ]
        return _results(results, replay.dry_run, meant.following)

    def discard(self, body: bytes, by: Person) -> dict[str, Any]:
        """What was done about each dead letter, or why nothing; with `dry_run`, what would be done."""
        discard = bodies.read(Discard, body)
        with _refused_in_words():
            meant = self._meant(discard)
        asked = Asked(by, discard.reason, None, discard.dry_run, time.monotonic() + LONGEST_SECONDS)
        discarder = Discarder(self._store, self._lanes, self._dead_letters, self._discarded(), self._clock, asked)
        # A filter means the dead letters alone; who names a promotion is told what to do instead.
        named = meant.promotions if discard.ids is not None else ()
        why = "only dead letters are discarded: a promotion is tried again, rolled back or abandoned"
        results = [
            *(Result(each, ReplayOutcome.NOT_FOUND, "it is not there, or not any more") for each in meant.not_there),
            *(Result(each, ReplayOutcome.REFUSED, why) for each in named),
            *discarder.discard(meant.dead_letters),
        ]
        return _results(results, discard.dry_run, meant.following)

    def discarded(self, url: str, query: Mapping[str, str]) -> dict[str, Any]:
        """One page of what was discarded, the last that was sent first."""
        with _refused_in_words():
            top, continuation = listing.read_page(query, MOST_DISCARDED)
            page = self._discarded().page(top, continuation)
        return {
            "value": [{**vars(letter), **_moments(letter)} for letter in page.letters],
            "next_link": listing.next_link(url, query, page.following),
        }

    def _meant(self, replay: Replay | Discard) -> _Meant:
        """Raises ValueError for what cannot be meant."""
        if (replay.ids is None) == (replay.filter is None):
            raise ValueError("say either ids or filter; an empty filter means everything that failed")
        if replay.ids is not None:
            if replay.continuation is not None:
                raise ValueError("continuation: goes with a filter only")
            return self._named(list(dict.fromkeys(replay.ids)))
        wanted = replay.filter or FailureFilter()
        page = self._page(wanted, MOST_AT_ONCE, replay.continuation)
        if not page.failures and replay.continuation is page.following is None:
            listing.check_names(vars(wanted), self._configuration())
        return _Meant(
            [failure.id for failure in page.failures if failure.dead_letter is None],
            [failure for failure in page.failures if failure.dead_letter is not None],
            following=page.following,
        )

    def _named(self, ids: Sequence[str]) -> _Meant:
        found: dict[str, Failure] = {}
        judge = self._judge()
        letters = [place for each in ids if ":" in each and (place := self._place(each)) is not None]
        for queue in self._queues():
            wanted = sorted({number for of_queue, number in letters if of_queue == queue})
            while wanted:
                most = min(wanted[-1] - wanted[0] + 1, MOST_AT_ONCE)
                seen = self._dead_letters.peek(queue, wanted[0], most)
                here = [judge.of_dead_letter(letter) for letter in seen if letter.number in wanted]
                found |= {failure.id: failure for failure in here}
                last = seen[-1].number if seen else wanted[-1]
                wanted = [number for number in wanted if number > last]
        return _Meant(
            [each for each in ids if ":" not in each],
            list(found.values()),
            [each for each in ids if ":" in each and each not in found],
        )

    def _place(self, failure: str) -> tuple[str, int] | None:
        """The queue and the number that an id names; None if no dead letter is called so."""
        queue, _, text = failure.rpartition(":")
        number = number_in(text)
        return (queue, number) if number is not None and queue in self._queues() else None

    def _page(self, wanted: FailureFilter, most: int, continuation: str | None) -> FailurePage:
        wanted.check()
        pages = FailurePages(self._judge(), self._store, self._dead_letters, self._queues())
        return pages.page(wanted, most, continuation)

    def _judge(self) -> Failures:
        return Failures(self._store, self._configuration(), self._clock())

    def _queues(self) -> list[str]:
        return all_queues(self._configuration().environments)


@contextmanager
def _refused_in_words() -> Iterator[None]:
    try:
        yield
    except ValueError as fault:
        raise refusals.BadRequestError(str(fault)) from fault
    except QueueUnavailableError as fault:
        raise refusals.unavailable(fault) from fault


def _results(results: Sequence[Result], dry_run: bool, following: str | None) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "value": [{"id": result.id, "outcome": result.outcome, "text": result.text} for result in results],
        "continuation": following,
    }


def _moments(letter: DiscardedLetter) -> dict[str, str]:
    return {"enqueued": letter.enqueued.isoformat(), "at": letter.at.isoformat()}


def _shown(failure: Failure) -> dict[str, Any]:
    return {
        "id": failure.id,
        "what": "promotion" if failure.dead_letter is None else "dead-letter",
        "kind": failure.kind,
        "queue": failure.queue,
        "route": failure.lane.route if failure.lane else None,
        "model": failure.lane.model if failure.lane else None,
        "promotion": failure.promotion,
        "stage": failure.stage,
        "step": failure.step,
        "environment": failure.environment,
        "reason": failure.reason,
        "diagnosis": failure.diagnosis,
        "tried": failure.tried,
        "at": failure.at.isoformat(),
        "replay": {"safe": failure.replay.safe, "why": failure.replay.why},
    }
