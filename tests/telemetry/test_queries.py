"""The queries for Application Insights ask for what the app really sends."""

import logging
import re
from pathlib import Path

import pytest

from shared.core.events import Approved, Person
from shared.core.messages import LaneKey
from shared.ports import UnavailableError
from tests.telemetry.conftest import MODEL, Observed

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "infra" / "queries.kql").read_text(encoding="utf-8")
GUIDE = (REPOSITORY / "docs" / "observability.md").read_text(encoding="utf-8")
QUERIES = dict(re.findall(r"^// --- (.+?)\n(.+?)(?=\n\n// ---|\Z)", TEXT, re.DOTALL | re.MULTILINE))
BOB = Person("id-of-bob", "bob", ("Promotion.Approver",))


@pytest.fixture
def sent(observed: Observed, caplog: pytest.LogCaptureFixture) -> Observed:
    """Everything that can be asked for has happened: approval, failure, retry, a bad message."""
    caplog.set_level(logging.INFO, "mlpromote")
    observed.app.workspaces["test"].raises["start_deployment"] = UnavailableError("throttled")
    observed.register()
    observed.run()
    observed.app.lanes.apply(Approved(LaneKey("churn", MODEL), observed.promotion["id"], BOB, "fine"))
    observed.app.workspaces["prod"].fails_to_deploy = "ImageBuildFailure: no such image"
    observed.run()
    with pytest.raises(ValueError, match="not JSON"):
        observed.app.coordinator.advance(b"{")
    observed.app.telemetry.dead_letters("promotion-events", 1)
    return observed


def test_every_question_has_a_query() -> None:
    words = " ".join(QUERIES).lower()
    assert all(asked in words for asked in ("under way", "failed, and why", "how long do they take", "approval"))
    assert len(QUERIES) == TEXT.count("// --- ")


def test_every_dimension_is_one_that_is_sent(sent: Observed, caplog: pytest.LogCaptureFixture) -> None:
    spans = {name for span in sent.spans.get_finished_spans() for name in span.attributes or {}}
    metrics = {name for metric in _metrics() for about, _ in sent.metric(metric) for name in about}
    logs = {name for record in caplog.get_records("setup") if record.name == "mlpromote" for name in vars(record)}
    asked = set(re.findall(r"customDimensions\.(\w+)", TEXT))
    assert {"what", "polls", "queue", "failure"} <= asked
    assert asked <= spans | metrics | logs


def test_every_metric_is_one_that_is_sent(sent: Observed) -> None:
    for metric in _metrics():
        assert sent.metric(metric), f"{metric} is not sent"


def test_the_guide_lists_the_metrics_that_are_sent(sent: Observed) -> None:
    listed = set(re.findall(r"^\| `(mlpromote\.[a-z_.]+)`", GUIDE, re.MULTILINE))
    assert listed == sent.metrics


def test_spans_are_asked_for_by_their_names(sent: Observed) -> None:
    names = {span.name for span in sent.spans.get_finished_spans()}
    for prefix in set(re.findall(r'name startswith "([^"]+)"', TEXT)):
        assert any(name.startswith(prefix) for name in names), prefix


def _metrics() -> set[str]:
    return set(re.findall(r'"(mlpromote\.[a-z_.]+)"', TEXT))
