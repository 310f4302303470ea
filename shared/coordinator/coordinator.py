"""The coordinator: takes in events, applies them to lanes, and recovers what was lost."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from shared.config import ConfigurationFaults
from shared.coordinator import notifications, rerunning, routing
from shared.coordinator.lanes import Lanes
from shared.coordinator.postponing import Delivered, postponed
from shared.coordinator.relevance import relevant
from shared.core import incoming
from shared.core.awaiting import PROMOTION
from shared.core.events import AwaitedJobEnded, LaneEvent, TimePassed
from shared.core.messages import AwaitedJob, FindRegistrations, JobEnded, MonitorBreached, News, StepReported
from shared.core.queues import EVENTS_QUEUE, all_queues, reports_queue
from shared.ports import Bus, DeadLetters, Postponing, QueueUnavailableError, Store
from shared.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from shared.config import Configuration

log = logging.getLogger("mlpromote")

#: Registrations older than this are not looked for: Event Grid itself gives up after 24 hours.
LOOK_BACK = timedelta(days=2)
#: Of each queue, dead letters are counted up to this.
MOST_DEAD_LETTERS = 100


class CoordinatorParts(Protocol):
    """What the coordinator works with. Each is made at its first use, and may be wrong or out of reach until then."""

    @property
    def configuration(self) -> "Configuration": ...
    @property
    def store(self) -> Store: ...
    @property
    def bus(self) -> Bus: ...
    @property
    def postponing(self) -> Postponing: ...
    @property
    def dead_letters(self) -> DeadLetters: ...
    @property
    def lanes(self) -> Lanes: ...

    def is_unavailable(self, fault: Exception) -> bool:
        """Whether an error means that the store cannot be used just now."""


class Coordinator:
    """May be used by several threads; `clock` gives the time with its zone."""

    def __init__(self, parts: CoordinatorParts, telemetry: Telemetry, clock: Callable[[], datetime]) -> None:
        self._parts = parts
        self._telemetry = telemetry
        self._clock = clock

    def intake(self, source: Any, kind: Any, data: Any) -> None:
        """Take a notification in. Raises for a malformed one, so that Event Grid keeps it as a dead letter."""
        news = notifications.read(source, kind, data)
        if news is None:
            log.info("left out a notification of type %s", kind[:200])
            return
        if self._telemetry.is_traced:
            news = replace(news, received=self._clock())
        self._parts.bus.send_events([self._relevant(news)])

    def advance(self, body: bytes, message_id: str = "") -> None:
        """Apply one message of the queue `promotion-events`. Raises for one that does not belong there."""
        with self._delivery(EVENTS_QUEUE, message_id, body):
            self._apply_news(incoming.read_news(body))

    def take_report(self, environment: str, body: bytes, message_id: str = "") -> None:
        """Apply one message of the queue `reports-<environment>`. Raises for one that does not belong there."""
        with self._delivery(reports_queue(environment), message_id, body):
            known = self._parts.configuration.environments
            report = incoming.read_report(environment, body, lambda name: known[name].workspace)
            if isinstance(report, StepReported):
                self._parts.lanes.apply(report)
            else:
                self._apply_news(report)

    def reconcile(self) -> None:
        """Wake the lanes that are overdue."""
        for key in self._parts.store.overdue(self._clock()):
            log.info("lane %s/%s is overdue", key.route, key.model)
            self._parts.lanes.apply(TimePassed(key))
        if self._telemetry.is_measured:
            self._count_dead_letters()

    def catch_up(self) -> None:
        """Have the source environments look for registrations whose notification never came."""
        now, configuration = self._clock(), self._parts.configuration
        since = max(self._parts.store.watching_since(now), now - LOOK_BACK)
        commands = []
        for source in dict.fromkeys(route.source for route in configuration.model_routes):
            asked = configuration.tags_asked_for(configuration.environments[source].workspace.id)
            commands.append(FindRegistrations(source, since, now, tuple(sorted(asked))))
        self._parts.bus.send_commands(commands)

    def start_runs(self) -> None:
        """Run the pipelines again whose schedule says so."""
        for event in rerunning.scheduled(self._parts.configuration):
            self._parts.lanes.apply(event)

    @contextmanager
    def _delivery(self, queue: str, message_id: str, body: bytes) -> Iterator[None]:
        """A message of the queue is being worked on: if that raises, it goes back there, unless it was postponed."""
        with self._telemetry.delivery(queue):
            try:
                yield
            except Exception as fault:
                later = self._parts.is_unavailable(fault)
                delivered = Delivered(queue, message_id, body)
                if not later or not postponed(delivered, self._parts.postponing, self._clock, str(fault)):
                    raise

    def _apply_news(self, news: News) -> None:
        requests = list(routing.requests(news, self._parts.configuration, self._clock()))
        self._telemetry.received(news, [request.promotion.id for request in requests], self._clock())
        events: list[LaneEvent] = [*requests]
        if isinstance(news, JobEnded):
            events += self._woken(news)
        if isinstance(news, MonitorBreached):
            events += rerunning.for_breach(news, self._parts.configuration)
        if not events:
            log.info("nothing to do for %s of %s", type(news).__name__, news.workspace)
        for event in events:
            self._parts.lanes.apply(event)

    def _woken(self, news: JobEnded) -> Iterator[AwaitedJobEnded]:
        """For the lanes that wait for the job, and for that of the promotion which the job's tag names."""
        job, promotion = AwaitedJob(news.workspace, news.job), news.tags.get(PROMOTION, "")
        found = self._parts.store.promotion(promotion) if promotion else None
        of_promotion = found[0].lane if found else None
        for lane in dict.fromkeys([*self._parts.store.awaiting(job), *([of_promotion] if of_promotion else [])]):
            yield AwaitedJobEnded(lane, job, promotion if lane == of_promotion else "")

    def _relevant(self, news: News) -> News:
        """The news with what routes ask for. What is wrong with the configuration shows later: then all travels."""
        try:
            return relevant(news, self._parts.configuration)
        except ConfigurationFaults:
            return news

    def _count_dead_letters(self) -> None:
        for queue in all_queues(self._parts.configuration.environments):
            try:
                self._telemetry.dead_letters(queue, len(self._parts.dead_letters.peek(queue, 1, MOST_DEAD_LETTERS)))
            except QueueUnavailableError as fault:
                log.info("dead letters of %s cannot be counted: %s", queue, fault)
