"""Sends traces, metrics and logs to Application Insights, or writes traces to files on this machine."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from shared.config.app_settings import AppSettings
from shared.telemetry import trace_files
from shared.telemetry.telemetry import NAME, Telemetry, given_ids

log = logging.getLogger(NAME)

#: The only library whose calls become spans: the SDKs use it to call Azure ML and its registry. Instrumenting the Azure
#: SDK would put its own trace context into our messages.
_HTTP_LIBRARY = "requests"
_OTHER_LIBRARIES = ("azure_sdk", "django", "fastapi", "flask", "httpx", "httpx2", "psycopg2", "urllib", "urllib3")


class PromotionIds(RandomIdGenerator):
    """Gives a span the ids that `shared.telemetry.telemetry` sets, or random ones."""

    def generate_trace_id(self) -> int:
        given = given_ids.get()
        return given[0] if given else super().generate_trace_id()

    def generate_span_id(self) -> int:
        given = given_ids.get()
        return given[1] if given else super().generate_span_id()


def connect(settings: AppSettings) -> Telemetry:
    """The telemetry that the settings select."""
    return to_application_insights(settings) if settings.application_insights else to_files(Path(settings.traces))


def to_application_insights(settings: AppSettings) -> Telemetry:
    """Start the Azure Monitor distribution of OpenTelemetry, once per process. It reads its identity and its sampling
    (`OTEL_TRACES_SAMPLER`) from the environment; by default everything is sent. A wrong connection string stops no
    promotion.
    """
    from azure.monitor.opentelemetry import configure_azure_monitor

    everything = {} if settings.traces_sampler else {"sampling_ratio": 1.0}
    try:
        configure_azure_monitor(
            connection_string=settings.application_insights,
            logger_name=NAME,
            enable_live_metrics=False,  # the Functions host has its own; the same for the next
            enable_performance_counters=False,
            instrumentation_options={
                _HTTP_LIBRARY: {"enabled": True},
                **{library: {"enabled": False} for library in _OTHER_LIBRARIES},
            },
            **everything,
        )
    except ValueError as fault:
        log.error("cannot send anything to Application Insights: %s", fault)
        return Telemetry(is_traced=True, is_measured=True)
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.id_generator = PromotionIds()  # the distribution has no setting for it
    return Telemetry(is_traced=True, is_measured=True)


def to_files(folder: Path) -> Telemetry:
    """Write the spans of each promotion to a file in the folder."""
    provider = TracerProvider(id_generator=PromotionIds())
    provider.add_span_processor(SimpleSpanProcessor(TraceFiles(folder)))
    return Telemetry(provider, is_traced=True)


class TraceFiles(SpanExporter):
    """Writes spans of promotions to files (`shared/telemetry/trace_files.py`); ignores other spans."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            about = dict(span.attributes or {})
            ids = span.get_span_context()
            if ids is None or "promotion" not in about:
                continue
            written = {
                "id": f"{ids.span_id:016x}",
                "parent": f"{span.parent.span_id:016x}" if span.parent else None,
                "name": span.name,
                "started": _time(span.start_time),
                "ended": _time(span.end_time),
                "failed": not span.status.is_ok,
                "attributes": about,
            }
            trace_files.append(self._folder, f"{ids.trace_id:032x}", written)
        return SpanExportResult.SUCCESS


def _time(nanoseconds: int | None) -> str:
    return datetime.fromtimestamp((nanoseconds or 0) / 1e9, UTC).isoformat()
