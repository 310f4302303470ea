"""Microsoft's own distribution of OpenTelemetry sends to a local stand-in for Application Insights' ingestion."""

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from shared.telemetry import trace_files
from shared.telemetry.telemetry import trace_id

REPOSITORY = Path(__file__).parents[2]
INDEXED = """
import sys
import function_app
function_app.app.get_functions()
sys.stdout.write(" ".join(name for name in sys.modules if name.startswith(("opentelemetry", "azure.monitor"))))
"""


@dataclass
class Ingestion:
    """Takes what an exporter sends."""

    address: str = ""
    items: list[dict[str, Any]] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Items of a kind, as `RequestData`, each with its `operation` and its `parent` in that."""
        return [
            item["data"]["baseData"]
            | {"operation": item["tags"].get("ai.operation.id"), "parent": item["tags"].get("ai.operation.parentId")}
            for item in self.items
            if item["data"]["baseType"] == kind
        ]


@pytest.fixture
def ingestion() -> Iterator[Ingestion]:
    taken = Ingestion()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the base class wants it so
            body = self.rfile.read(int(self.headers["content-length"]))
            items = json.loads(gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body)
            taken.items.extend(items)
            answer = json.dumps({"itemsReceived": len(items), "itemsAccepted": len(items), "errors": []}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nothing: the test says what is wrong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    taken.address = f"http://127.0.0.1:{server.server_port}/"
    yield taken
    server.shutdown()
    thread.join()
    server.server_close()


def promote(folder: Path, **settings: str) -> str:
    """Promote a version up to its approval in another process; the promotion's id."""
    environment = os.environ | {"APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true"} | settings
    command = [sys.executable, "-m", "tests.telemetry.promote_once", str(folder)]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_traces_metrics_and_logs_of_a_promotion_arrive_in_application_insights(
    ingestion: Ingestion, tmp_path: Path
) -> None:
    connection = (
        "InstrumentationKey=00000000-0000-0000-0000-000000000001;"
        f"IngestionEndpoint={ingestion.address};LiveEndpoint={ingestion.address}"
    )
    promotion = promote(tmp_path, APPLICATIONINSIGHTS_CONNECTION_STRING=connection)
    spans = [*ingestion.of("RequestData"), *ingestion.of("RemoteDependencyData")]
    assert {"intake", "run deploy", "advance: StepReported", "test deploy"} <= {span["name"] for span in spans}
    assert {span["operation"] for span in spans} == {trace_id(promotion)}
    (step,) = [span for span in spans if span["name"] == "test deploy"]
    looks = [s for s in spans if s["name"] == "run deploy" and s["properties"]["stage"] == "test"]
    assert {look["parent"] for look in looks} == {step["id"]}
    logs = [log for log in ingestion.of("MessageData") if log["properties"].get("promotion") == promotion]
    assert {"requested", "stage-started", "step-succeeded"} <= {log["properties"].get("what") for log in logs}
    assert {log["operation"] for log in logs} == {trace_id(promotion)}
    metrics = {metric["metrics"][0]["name"] for metric in ingestion.of("MetricData")}
    assert "mlpromote.step.duration" in metrics


def test_a_wrong_connection_string_stops_no_promotion(tmp_path: Path) -> None:
    assert promote(tmp_path, APPLICATIONINSIGHTS_CONNECTION_STRING="wrong").startswith("churn-eu-3-")


def test_traces_are_kept_in_files_where_a_folder_is_set(tmp_path: Path) -> None:
    promotion = promote(tmp_path, MLPROMOTE_TRACES=str(tmp_path / "traces"))
    spans = trace_files.read(tmp_path / "traces", trace_id(promotion))
    assert {"intake", "run deploy", "test deploy"} <= {span["name"] for span in spans}
    assert all(span["attributes"]["promotion"] == promotion for span in spans)
    assert all(span["started"] <= span["ended"] for span in spans)


def test_while_functions_are_indexed_nothing_of_telemetry_is_imported() -> None:
    settings = {
        "MLPROMOTE_CONFIGURATION": "examples/digits/promotion.yml",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=00000000-0000-0000-0000-000000000001",
    }
    done = subprocess.run(
        [sys.executable, "-c", INDEXED],
        cwd=REPOSITORY, env=os.environ | settings, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
