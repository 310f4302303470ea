"""An app with queues and workspaces in memory, observed with OpenTelemetry's own SDK."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, Metric
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.app.wiring import App
from shared.cloud.monitor import PromotionIds
from shared.core.message_bodies import encode
from shared.core.messages import Command, News, Report
from shared.core.queues import EVENTS_QUEUE, environment_of, reports_queue, steps_queue
from shared.ports import Bus, Workspace
from shared.telemetry.telemetry import Telemetry
from tests.config.right import SETTINGS, WORKSPACE
from tests.fakes.workspace import FakeRegistry, FakeWorkspace

CONFIGURATION = """\
registry: contoso-ml
environments:
  dev: {workspace: "${DEV}"}
  test: {workspace: "${TEST}"}
  prod: {workspace: "${PROD}"}
routes:
  churn:
    from: dev
    models: ["churn-*"]
    stages:
      - {environment: test, endpoint: "{model}-test", deployment: churn.yml}
      - {environment: prod, endpoint: "{model}", deployment: churn.yml, approval: {}}
"""
REGISTERED = "Microsoft.MachineLearningServices.ModelRegistered"
MODEL, VERSION = "churn-eu", "3"


@dataclass
class KeptBus(Bus):
    """Messages in the order in which they were sent, each with its queue."""

    messages: list[tuple[str, bytes]] = field(default_factory=list)

    def check(self) -> None:
        return

    def send_events(self, events: Sequence[News]) -> None:
        self.messages += [(EVENTS_QUEUE, encode(event)) for event in events]

    def send_commands(self, commands: Sequence[Command]) -> None:
        self.messages += [(steps_queue(command.environment), encode(command)) for command in commands]

    def send_reports(self, environment: str, reports: Sequence[Report]) -> None:
        self.messages += [(reports_queue(environment), encode(report)) for report in reports]


class InMemoryApp(App):
    """The app with these workspaces."""

    def __init__(self, settings: Mapping[str, str], workspaces: Mapping[str, FakeWorkspace]) -> None:
        super().__init__(settings)
        self.workspaces = workspaces

    def workspace(self, environment: str) -> Workspace:
        return self.workspaces[environment]


@dataclass
class Running:
    """The app with its queues."""

    app: InMemoryApp
    bus: KeptBus

    def register(self) -> None:
        """A model version exists, and Event Grid reports it."""
        self.app.workspaces["dev"].has_model(MODEL, VERSION)
        self.app.coordinator.intake(WORKSPACE.format("dev"), REGISTERED, {"modelName": MODEL, "modelVersion": VERSION})

    def run(self) -> None:
        """Deliver messages until none is left."""
        for _ in range(300):
            if not self.bus.messages:
                return
            queue, body = self.bus.messages.pop(0)
            environment = environment_of(queue)
            if environment is None:
                self.app.coordinator.advance(body)
            elif queue == steps_queue(environment):
                self.app.worker.receive(environment, body)
            else:
                self.app.coordinator.take_report(environment, body)
        raise AssertionError("the messages do not come to an end")

    @property
    def promotion(self) -> dict[str, Any]:
        """The only one there is."""
        (found,) = self.app.requests.promotions("", {})["value"]
        return dict(found)


@dataclass
class Observed(Running):
    """The app, and what was seen of it."""

    spans: InMemorySpanExporter
    reader: InMemoryMetricReader

    def named(self, *names: str) -> list[ReadableSpan]:
        return [span for span in self.spans.get_finished_spans() if span.name in names]

    def metric(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """Attributes and value (of a histogram: the count and the sum) of each point."""
        points = [point for metric in self._metrics() if metric.name == name for point in metric.data.data_points]
        return [(dict(point.attributes or {}), _value(point)) for point in points]

    @property
    def metrics(self) -> set[str]:
        """The names of all that have points."""
        return {metric.name for metric in self._metrics()}

    def _metrics(self) -> list[Metric]:
        data = self.reader.get_metrics_data()
        scopes = (scope for resource in (data.resource_metrics if data else []) for scope in resource.scope_metrics)
        return [metric for scope in scopes for metric in scope.metrics]


def _value(point: Any) -> Any:
    return (point.count, point.sum) if isinstance(point, HistogramDataPoint) else point.value


def started(folder: Path, **settings: str) -> Running:
    """The app with its files in this folder."""
    (folder / "promotion.yml").write_text(CONFIGURATION, encoding="utf-8")
    (folder / "churn.yml").write_text("instance_type: small\n", encoding="utf-8")
    registry = FakeRegistry()
    workspaces = {name: FakeWorkspace(registry, f"ws-{name}", polls_until_ready=1) for name in ("dev", "test", "prod")}
    files = {
        "MLPROMOTE_CONFIGURATION": str(folder / "promotion.yml"),
        "MLPROMOTE_STORE": str(folder / "promotions.sqlite"),
    }
    app, bus = InMemoryApp(SETTINGS | files | settings, workspaces), KeptBus()
    app.bus = bus
    return Running(app, bus)


@pytest.fixture
def observed(tmp_path: Path) -> Observed:
    running = started(tmp_path, APPLICATIONINSIGHTS_CONNECTION_STRING="not used: the telemetry is put in by hand")
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider(id_generator=PromotionIds())
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    running.app.telemetry = Telemetry(tracers, MeterProvider([reader]), is_traced=True, is_measured=True)
    return Observed(running.app, running.bus, exporter, reader)
