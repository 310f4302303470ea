"""Requests about failures over HTTP: list them, replay them, discard dead letters.

Each method takes the content of the request and returns the JSON values of the answer, or raises `RefusedError`.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.coordinator.failures.discard import Discarder
from shared.coordinator.failures.judging import Failure, FailureFilter, Failures
from shared.coordinator.failures.pages import FailurePage, FailurePages
from shared.coordinator.failures.replay import Asked, Replayer, ReplayOutcome, Result
from shared.coordinator.failures.sources import FailureSources
from shared.coordinator.renewal import Renewal
from shared.core.events import Person
from shared.core.queues import all_queues, number_in
from shared.http import bodies, listing, refusals
from shared.http.bodies import Body, Flag, Text, Texts
from shared.ports import DiscardedLetter, DiscardedLetters, QueueUnavailableError

if TYPE_CHECKING:
    from shared.config import Configuration

#: Failures that one request with a filter replays; the answer has a continuation for the rest.
MOST_AT_ONCE = 200
#: Discarded letters on one page; each comes with all of its content.
MOST_DISCARDED = 20
_GONE = "there is no such dead letter any more; it may have been handled already"
#: After this time a request stops and reports what is left; the platform ends it after 230 seconds.
LONGEST_SECONDS = 60.0


class Filter(Body):
    """In a body: the fields of a `FailureFilter`."""

    queue: Text | None = None
    route: Text | None = None
    model: Text | None = None
    environment: Text | None = None
    step: Text | None = None
    kind: Text | None = None

    @property
    def wanted(self) -> FailureFilter:
        return FailureFilter(**self.model_dump())


class Replay(Body):
    """The body of `POST /failures/replay`; either `ids` or `filter` selects the failures."""

    reason: Text
    ids: Texts | None = None
    filter: Filter | None = None
    from_step: Text | None = None  #: where promotions resume, if earlier than where they failed
    dry_run: Flag = False
    continuation: Text | None = None  #: with `filter`: from the previous answer


class Discard(Body):
    """The body of `POST /failures/discard`; either `ids` or `filter` selects the dead letters."""

    reason: Text
    ids: Texts | None = None
    filter: Filter | None = None
    dry_run: Flag = False
    continuation: Text | None = None  #: with `filter`: from the previous answer


@dataclass(frozen=True)
class _Meant:
    promotions: Sequence[str]
    dead_letters: Sequence[Failure]
    not_there: Sequence[str] = ()
    following: str | None = None


class FailureRequests:
    """Answers requests. Thread-safe."""

    def __init__(
        self,
        sources: FailureSources,
        configuration: Callable[[], "Configuration"],
        discarded: Callable[[], DiscardedLetters],
        renewal: Renewal = lambda _: None,
    ) -> None:
        self._sources = sources
        self._configuration = configuration
        self._discarded = discarded
        self._renewal = renewal

    def failures(self, url: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Return one page: promotions newest first, then the dead letters of each queue, oldest first."""
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
        """Replay failures; return what was done about each, or why not; with `dry_run`, what would be."""
        replay = bodies.read(Replay, body)
        bodies.known_step(replay.from_step)
        with _refused_in_words():
            self._sources.lanes.check()
            meant = self._meant(replay)
        until = time.monotonic() + LONGEST_SECONDS
        asked = Asked(by, replay.reason, replay.from_step, replay.dry_run, until)
        replayer = Replayer(self._sources, asked, self._renewal)
        results = [
            *(Result(each, ReplayOutcome.NOT_FOUND, self._not_there(each)) for each in meant.not_there),
            *(replayer.retry(promotion) for promotion in meant.promotions),
            *replayer.move_back(meant.dead_letters),
        ]
        return _results(results, replay.dry_run, meant.following)

    def discard(self, body: bytes, by: Person) -> dict[str, Any]:
        """Discard dead letters; return what was done about each, or why not; with `dry_run`, what would be."""
        discard = bodies.read(Discard, body)
        with _refused_in_words():
            meant = self._meant(discard)
        asked = Asked(by, discard.reason, None, discard.dry_run, time.monotonic() + LONGEST_SECONDS)
        discarder = Discarder(self._sources, self._discarded(), asked)
        # A filter selects dead letters only. A caller who names a promotion is told what to do instead.
        named = meant.promotions if discard.ids is not None else ()
        results = [
            *(Result(each, ReplayOutcome.NOT_FOUND, self._not_there(each)) for each in meant.not_there),
            *(self._not_discarded(each) for each in named),
            *discarder.discard(meant.dead_letters),
        ]
        return _results(results, discard.dry_run, meant.following)

    def discarded(self, url: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Return one page of discarded letters, the most recently sent first."""
        with _refused_in_words():
            top, continuation = listing.read_page(query, MOST_DISCARDED)
            page = self._discarded().page(top, continuation)
        return {
            "value": [{**vars(letter), **_moments(letter)} for letter in page.letters],
            "next_link": listing.next_link(url, query, page.following),
        }

    def _meant(self, replay: Replay | Discard) -> _Meant:
        """Raise ValueError for contradictory parameters."""
        if (replay.ids is None) == (replay.filter is None):
            raise ValueError("give either ids or filter; an empty filter means every failure")
        if replay.ids is not None:
            if replay.continuation is not None:
                raise ValueError("continuation: can be used with a filter only")
            return self._named(list(dict.fromkeys(replay.ids)))
        wanted = replay.filter.wanted if replay.filter else FailureFilter()
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
                seen = self._sources.dead_letters.peek(queue, wanted[0], most)
                here = [judge.of_dead_letter(letter) for letter in seen if letter.number in wanted]
                found |= {failure.id: failure for failure in here}
                last = seen[-1].number if seen else wanted[-1]
                wanted = [number for number in wanted if number > last]
        return _Meant(
            [each for each in ids if ":" not in each],
            list(found.values()),
            [each for each in ids if ":" in each and each not in found],
        )

    def _not_discarded(self, named: str) -> Result:
        """Say why something that is no dead letter's id cannot be discarded."""
        if self._sources.store.promotion(named) is None:
            says = "there is no such failure; the id of a dead letter is QUEUE:NUMBER, as the list of failures has it"
            return Result(named, ReplayOutcome.NOT_FOUND, says)
        says = "only dead letters can be discarded; retry, roll back or abandon a promotion"
        return Result(named, ReplayOutcome.REFUSED, says)

    def _not_there(self, letter: str) -> str:
        """Say why there is no dead letter with this id."""
        queue, _, number = letter.rpartition(":")
        if queue not in self._queues():
            return f"there is no queue {queue[:100]}; the queues are {', '.join(self._queues())}"
        if number_in(number) is None:
            return f"{number[:100]!r} is no number of a message; the id of a dead letter is QUEUE:NUMBER"
        return _GONE

    def _place(self, failure: str) -> tuple[str, int] | None:
        """Return the queue and the sequence number in an id, or None if it is not the id of a dead letter."""
        queue, _, text = failure.rpartition(":")
        number = number_in(text)
        return (queue, number) if number is not None and queue in self._queues() else None

    def _page(self, wanted: FailureFilter, most: int, continuation: str | None) -> FailurePage:
        wanted.check()
        pages = FailurePages(self._judge(), self._sources.store, self._sources.dead_letters, self._queues())
        return pages.page(wanted, most, continuation)

    def _judge(self) -> Failures:
        return Failures(self._sources.store, self._configuration(), self._sources.clock())

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
