"""Records promotions as OpenTelemetry traces and metrics, with one trace per promotion across all functions.

The ids of a promotion's trace, and of the spans of the promotion and its steps, are derived from its own id. So
functions that share no state build one tree: promotion → step → each poll of the step, and each decision on it.
Promotions and steps are recorded when they end.

Without an SDK behind the API (`shared/cloud/monitor.py` starts one) nothing is recorded.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

from opentelemetry import context, metrics, trace
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags

from shared.core.events import LaneEvent, PromotionRequested
from shared.core.journal import JournalEntry
from shared.core.lane import Decision
from shared.core.messages import Command, Event, Failed, LaneKey, News, Outcome, Retry, RunStep, StepReported
from shared.core.promotion import Lane, Promotion, PromotionStatus, StageRun, StepRun, StepStatus
from shared.telemetry.logs import errors_without_secrets

NAME = "mlpromote"

Attributes = Mapping[str, str | int | float]

#: Trace and span id for the next span. The SDK's id generator reads them.
given_ids: ContextVar[tuple[int, int] | None] = ContextVar("given_ids", default=None)

#: Upper bounds of the buckets of durations in seconds: from a check to an approval.
_SECONDS = (1, 5, 15, 60, 300, 900, 1800, 3600, 3 * 3600, 12 * 3600, 24 * 3600, 72 * 3600, 7 * 24 * 3600)

_BROKEN = frozenset({PromotionStatus.FAILED})


def trace_id(promotion: str) -> str:
    """The id of the promotion's trace, as W3C Trace Context writes it; Application Insights calls it operation_Id."""
    return _digest("trace", promotion)[:32]


def traceparent(message: Command | Event) -> str | None:
    """The W3C trace context of a message about a step, so that its processing belongs to that step. None for others."""
    if not isinstance(message, RunStep | StepReported):
        return None
    step = _step_span_id(message.promotion, message.stage, message.attempt, message.step)
    return f"00-{trace_id(message.promotion)}-{step:016x}-01"


def fields(about: RunStep | StepReported | LaneEvent) -> dict[str, Any]:
    """The promotion, route, model, stage and step of something, for logs and spans."""
    named = about.promotion if isinstance(about, PromotionRequested) else getattr(about, "promotion", None)
    stage = getattr(about, "stage", None)
    known: dict[str, Any] = {
        "promotion": named.id if isinstance(named, Promotion) else named,
        "route": about.lane.route,
        "model": about.lane.model,
        "stage": stage.name if isinstance(stage, StageRun) else stage,
        "step": getattr(about, "step", None),
    }
    return {key: value for key, value in known.items() if value is not None}


def fields_of(lane: LaneKey, entry: JournalEntry) -> dict[str, str]:
    """The same for a line of a journal, with what happened."""
    known = {
        "promotion": entry.promotion,
        "route": lane.route,
        "model": lane.model,
        "stage": entry.stage,
        "step": entry.step,
        "what": entry.what,
    }
    return {key: value for key, value in known.items() if value}


log = logging.getLogger(NAME)


@dataclass(frozen=True)
class _Ended:
    """A promotion or a step that has ended, as a span."""

    name: str
    ids: tuple[int, int]  #: of the trace and the span
    parent: context.Context
    begun: datetime
    ended: datetime

    @property
    def seconds(self) -> float:
        return (self.ended - self.begun).total_seconds()


class Telemetry:
    """Records what happens. Thread-safe. Without providers, the global ones are used.

    `is_traced` and `is_measured`: whether spans and metrics are exported. Otherwise they are not made.
    """

    def __init__(
        self,
        tracers: trace.TracerProvider | None = None,
        meters: metrics.MeterProvider | None = None,
        is_traced: bool = False,
        is_measured: bool = False,
    ) -> None:
        self.is_traced = is_traced
        self.is_measured = is_measured
        self._tracer = trace.get_tracer(NAME, tracer_provider=tracers)
        meter = metrics.get_meter(NAME, meter_provider=meters)
        self._promotions = meter.create_counter(
            "mlpromote.promotions", description="promotions that have ended, by status"
        )
        self._retries = meter.create_counter("mlpromote.step.retries", description="polls that could not be made")
        self._failed_deliveries = meter.create_counter(
            "mlpromote.deliveries.failed", description="failed deliveries of messages; the last one makes a dead letter"
        )
        self._dead_letters = meter.create_gauge(
            "mlpromote.dead_letters", description="dead letters by queue, counted up to a limit"
        )

        def seconds(name: str, description: str) -> metrics.Histogram:
            return meter.create_histogram(
                name, unit="s", description=description, explicit_bucket_boundaries_advisory=_SECONDS
            )

        self._promotion_seconds = seconds("mlpromote.promotion.duration", "from the request to the end")
        self._step_seconds = seconds("mlpromote.step.duration", "from the first poll to the end")
        self._approval_seconds = seconds("mlpromote.approval.waiting", "from the request until people decided")

    # --- spans of functions ---

    def received(self, news: News, promotions: Iterable[str], now: datetime) -> None:
        """Record the intake of news, which the app received earlier, in the traces of the promotions that it starts."""
        if news.received is None:
            return
        begun, ended = _nanoseconds(news.received), _nanoseconds(now)
        for promotion in promotions:
            about = {"promotion": promotion, "event": type(news).__name__, "workspace": news.workspace}
            parent = _inside(promotion, _promotion_span_id(promotion))
            self._tracer.start_span("intake", parent, SpanKind.CONSUMER, about, start_time=begun).end(ended)

    @contextmanager
    def poll(self, command: RunStep) -> Iterator[Callable[[Outcome], None]]:
        """Record one poll of a step. Call the yielded function with its outcome."""
        if not self.is_traced:
            yield lambda outcome: self._looked(INVALID_SPAN, command, outcome)
            return
        about = fields(command) | {"attempt": command.attempt, "poll": command.poll}
        parent = _of_step(command)
        with self._tracer.start_as_current_span(f"run {command.step}", parent, SpanKind.CONSUMER, about) as span:
            yield lambda outcome: self._looked(span, command, outcome)

    def _looked(self, span: Span, command: RunStep, outcome: Outcome) -> None:
        span.set_attribute("outcome", type(outcome).__name__)
        if isinstance(outcome, Retry):
            self._retries.add(1, {"environment": command.environment, "step": command.step})
            span.set_attribute("reason", outcome.reason)
        if isinstance(outcome, Failed):
            span.set_attributes({"failure": outcome.kind, "reason": outcome.reason})
            span.set_status(StatusCode.ERROR, outcome.reason)

    @contextmanager
    def decision(self, event: LaneEvent) -> Iterator[None]:
        """Record the application of one event to its lane."""
        if not self.is_traced:
            yield
            return
        about = fields(event)
        parent = None
        if isinstance(event, StepReported):
            about |= {"attempt": event.attempt, "poll": event.poll, "outcome": type(event.outcome).__name__}
            parent = _of_step(event)
        elif "promotion" in about:
            parent = _inside(about["promotion"], _promotion_span_id(about["promotion"]))
        name = f"advance: {type(event).__name__}"
        with self._tracer.start_as_current_span(name, parent, SpanKind.CONSUMER, about, record_exception=False):
            yield

    # --- what has ended ---

    def decided(self, before: Lane, decision: Decision) -> None:
        """Record what ended with a saved decision."""
        if not (self.is_traced or self.is_measured):
            return
        for promotion in decision.lane.promotions:
            was = before.promotion(promotion.id)
            for stage in promotion.stages:
                earlier = was.stage(stage.name) if was is not None else None
                known = {step.plan.name: step for step in (*earlier.steps, *earlier.undoing)} if earlier else {}
                for step in (*stage.steps, *stage.undoing):
                    if step.ended is not None and (
                        step.plan.name not in known or known[step.plan.name].ended != step.ended
                    ):
                        self._step_ended(promotion, stage, step)
            if not promotion.under_way and (was is None or was.under_way):
                self._promotion_ended(promotion)

    def _step_ended(self, promotion: Promotion, stage: StageRun, step: StepRun) -> None:
        about: dict[str, Any] = _of_promotion(promotion) | {
            "stage": stage.name,
            "step": step.plan.name,
            "environment": step.plan.environment or stage.environment,
            "status": step.status,
            "attempt": stage.attempt,
            "polls": step.poll,
            "function_seconds": step.seconds,
        }
        if step.failure is not None:
            about |= {"failure": step.failure.kind, "reason": step.failure.reason}
        ended = _Ended(
            f"{stage.name} {step.plan.name}",
            (int(trace_id(promotion.id), 16), _step_span_id(promotion.id, stage.name, stage.attempt, step.plan.name)),
            _inside(promotion.id, _promotion_span_id(promotion.id)),
            step.started or promotion.updated,
            step.ended or promotion.updated,
        )
        self._record(ended, about, step.status is StepStatus.FAILED)
        measured = {key: about[key] for key in ("route", "stage", "step", "status")}
        histogram = self._approval_seconds if step.plan.asks_people else self._step_seconds
        histogram.record(ended.seconds, measured)

    def _promotion_ended(self, promotion: Promotion) -> None:
        about = _of_promotion(promotion) | {"status": promotion.status, "reason": promotion.reason}
        ended = _Ended(
            f"promotion of {promotion.candidate.name} {promotion.candidate.version}",
            (int(trace_id(promotion.id), 16), _promotion_span_id(promotion.id)),
            context.Context(),
            promotion.created,
            promotion.updated,
        )
        self._record(ended, about, promotion.status in _BROKEN)
        measured = {"route": promotion.lane.route, "status": promotion.status}
        self._promotions.add(1, measured)
        self._promotion_seconds.record(ended.seconds, measured)

    def _record(self, ended: _Ended, about: Attributes, broken: bool) -> None:
        token = given_ids.set(ended.ids)
        try:
            begun = _nanoseconds(ended.begun)
            span = self._tracer.start_span(ended.name, ended.parent, attributes=about, start_time=begun)
        finally:
            given_ids.reset(token)
        if broken:
            span.set_status(StatusCode.ERROR, str(about.get("reason", "")))
        span.end(_nanoseconds(ended.ended))

    # --- queues ---

    @contextmanager
    def delivery(self, queue: str) -> Iterator[None]:
        """Process a message of the queue inside the block. If that raises, count a failed delivery."""
        try:
            with errors_without_secrets(log):
                yield
        except Exception:
            self._failed_deliveries.add(1, {"queue": queue})
            raise

    def dead_letters(self, queue: str, number: int) -> None:
        """Record the number of dead letters in the queue."""
        self._dead_letters.set(number, {"queue": queue})


def _of_promotion(promotion: Promotion) -> dict[str, Any]:
    candidate = promotion.candidate
    return {
        "promotion": promotion.id,
        "route": promotion.lane.route,
        "model": candidate.name,
        "version": candidate.version,
    }


def _of_step(message: RunStep | StepReported) -> context.Context:
    step = _step_span_id(message.promotion, message.stage, message.attempt, message.step)
    return _inside(message.promotion, step)


def _inside(promotion: str, span_id: int) -> context.Context:
    """The context for children of this span in the promotion's trace."""
    ids = SpanContext(int(trace_id(promotion), 16), span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return trace.set_span_in_context(NonRecordingSpan(ids), context.Context())


def _promotion_span_id(promotion: str) -> int:
    return int(_digest("promotion", promotion)[:16], 16)


def _step_span_id(promotion: str, stage: str, attempt: int, step: str) -> int:
    return int(_digest("step", promotion, stage, str(attempt), step)[:16], 16)


@lru_cache(maxsize=4096)  # a promotion's messages all name its trace
def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()


def _nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000) * 1000
