"""The coordinator: receives events, applies them to lanes, and recovers what was lost."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from shared.config import ConfigurationFaults
from shared.coordinator import alerts, catching_up, notifications, rerunning, routing
from shared.coordinator.holding import Holding
from shared.coordinator.lanes import Lanes
from shared.coordinator.postponing import Delivered, postponed
from shared.coordinator.relevance import relevant
from shared.core import incoming
from shared.core.awaiting import PROMOTION
from shared.core.events import AwaitedJobEnded, LaneEvent, TimePassed
from shared.core.messages import AwaitedJob, EndpointAlert, JobEnded, MonitorBreached, News, StepReported
from shared.core.queues import EVENTS_QUEUE, all_queues, reports_queue
from shared.core.replacing import replace
from shared.ports import Bus, DeadLetters, LiveSeries, Postponing, QueueUnavailableError, Store
from shared.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from shared.config import Configuration

log = logging.getLogger("mlpromote")

#: How far back to look for missed registrations. Event Grid gives up after 24 hours.
LOOK_BACK = timedelta(days=2)
#: Dead letters of each queue are counted up to this.
MOST_DEAD_LETTERS = 100


class CoordinatorParts(Protocol):
    """What the coordinator depends on. Each part is built on first use, so a wrong setting shows up only then."""

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
    @property
    def series(self) -> LiveSeries: ...
    @property
    def holding(self) -> Holding: ...

    def is_unavailable(self, fault: Exception) -> bool:
        """Whether an error means that the store cannot be used now."""


class Coordinator:
    """Thread-safe. `clock` returns the time with its zone."""

    def __init__(self, parts: CoordinatorParts, telemetry: Telemetry, clock: Callable[[], datetime]) -> None:
        self._parts = parts
        self._telemetry = telemetry
        self._clock = clock

    def intake(self, source: Any, kind: Any, data: Any) -> None:
        """Receive a notification. Raises for a malformed one, so that Event Grid dead-letters it."""
        news = notifications.read(source, kind, data)
        if news is None:
            log.info("ignored a notification of type %s", kind[:200])
            return
        self._send([news])

    def take_alert(self, data: Any) -> None:
        """Receive an alert of Azure Monitor. Raises for a malformed one."""
        found = alerts.read(data)
        if not found:
            log.info("ignored an alert that is on no online endpoint")
        self._send(found)

    def _send(self, every: Sequence[News]) -> None:
        received = self._clock() if self._telemetry.is_traced else None
        timed = [replace(news, received=received) if received else news for news in every]
        if timed:
            self._parts.bus.send_events([self._relevant(news) for news in timed])

    def advance(self, body: bytes, message_id: str = "") -> None:
        """Apply one message of the queue `promotion-events`. Raises for one that does not belong there."""
        with self._delivery(EVENTS_QUEUE, message_id, body):
            self._apply_news(incoming.read_news(body))

    def take_report(self, environment: str, body: bytes, message_id: str = "") -> None:
        """Apply one message of the queue `reports-<environment>`. Raises for one that does not belong there."""
        with self._delivery(reports_queue(environment), message_id, body):
            configuration = self._parts.configuration
            known = configuration.environments
            registry = catching_up.reports_registry(configuration, environment)
            report = incoming.read_report(environment, body, lambda name: known[name].workspace, registry)
            if isinstance(report, StepReported):
                self._apply_report(report)
            else:
                self._apply_news(report)

    def reconcile(self) -> None:
        """Wake the lanes that are overdue, and publish what was left unpublished of holds."""
        for key in self._parts.store.overdue(self._clock()):
            log.info("lane %s/%s is overdue", key.route, key.model)
            self._parts.lanes.apply(TimePassed(key))
        self._parts.holding.publish()
        if self._telemetry.is_measured:
            self._count_dead_letters()

    def catch_up(self) -> None:
        """Make workers look for registrations whose notification never arrived, and for those in the registry, which
        raises no notifications."""
        now, configuration = self._clock(), self._parts.configuration
        since = max(self._parts.store.watching_since(now), now - LOOK_BACK)
        self._parts.bus.send_commands(list(catching_up.commands(configuration, since, now)))

    def start_runs(self) -> None:
        """Run the pipelines again whose schedule says so."""
        for event in rerunning.scheduled(self._parts.configuration):
            self._parts.lanes.apply(event)

    @contextmanager
    def _delivery(self, queue: str, message_id: str, body: bytes) -> Iterator[None]:
        """Process a message of the queue inside the block. If that raises, the message returns to its queue unless it
        was postponed."""
        with self._telemetry.delivery(queue):
            try:
                yield
            except Exception as fault:
                later = self._parts.is_unavailable(fault)
                delivered = Delivered(queue, message_id, body)
                if not later or not postponed(delivered, self._parts.postponing, self._clock, str(fault)):
                    raise

    def _apply_report(self, report: StepReported) -> None:
        """Apply a worker's answer. Its live figures are kept for any report that counts, also for a repeated one: the
        process may have died in between."""
        decision = self._parts.lanes.apply(report)
        promotion = decision.lane.promotion(report.promotion)
        stage = promotion.stage(report.stage) if promotion is not None else None
        if report.minutes and stage is not None and not decision.disbelieved:
            self._parts.series.keep(report.promotion, report.stage, report.minutes)

    def _apply_news(self, news: News) -> None:
        requests = list(routing.requests(news, self._parts.configuration, self._clock()))
        self._telemetry.received(news, [request.promotion.id for request in requests], self._clock())
        events: list[LaneEvent] = [*requests]
        if isinstance(news, JobEnded):
            events += self._woken(news)
        if isinstance(news, MonitorBreached):
            events += rerunning.for_breach(news, self._parts.configuration)
        if isinstance(news, EndpointAlert):
            events += alerts.changes(news, self._parts.configuration, self._parts.store)
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
        """The news with only the tags that routes require. A faulty configuration is reported later; then all tags are
        kept."""
        try:
            return relevant(news, self._parts.configuration)
        except ConfigurationFaults:
            return news

    def _count_dead_letters(self) -> None:
        for queue in all_queues(self._parts.configuration.environments):
            try:
                self._telemetry.dead_letters(queue, len(self._parts.dead_letters.peek(queue, 1, MOST_DEAD_LETTERS)))
            except QueueUnavailableError as fault:
                log.info("cannot count the dead letters of %s: %s", queue, fault)
