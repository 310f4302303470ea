"""Spans have only attributes that OpenTelemetry accepts, whatever an event contains: it drops all others."""

import logging

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.core.events import RunAsked
from shared.core.lane_notes import Cause
from shared.core.messages import Kind, LaneKey
from shared.core.plan import PlanSettings, plan_for
from shared.core.promotion import StageRun, StepRun
from shared.telemetry.telemetry import Telemetry, fields

KEY = LaneKey("rent-training", "rent-training")


def test_a_request_to_run_again_is_recorded_with_its_stages_name(caplog: pytest.LogCaptureFixture) -> None:
    plan = plan_for(Kind.PIPELINE, PlanSettings(), environment="prod", source="dev", first=True)
    stage = StageRun("live", "prod", "", (), {}, tuple(map(StepRun, plan)))
    event = RunAsked(KEY, stage, Cause.SCHEDULE, "ann", "hash")
    exporter, tracers = InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    with caplog.at_level(logging.WARNING), Telemetry(tracers, is_traced=True).decision(event):
        pass
    (span,) = exporter.get_finished_spans()
    assert dict(span.attributes or {}) == {"route": KEY.route, "model": KEY.model, "stage": "live"}
    assert fields(event)["stage"] == "live", "as in the logs"
    assert caplog.messages == []
