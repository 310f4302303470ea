"""Nothing runs that differs from what `inspect` saw, and people are told what differs."""

from pathlib import Path
from typing import Any

import pytest

from shared.core.messages import FailureKind
from tests.steps.pipeline import Line, failed, up_to


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return up_to(Line.new(tmp_path), "approve")


def having_seen(line: Line, **changes: Any) -> Line:
    """The promotion as if `inspect` had seen something else."""
    seen = line.evidence["inspect"]
    manifest = {**seen["manifest"], **changes, "digest": "of something else"}
    return line.with_(evidence={**line.evidence, "inspect": {**seen, "manifest": manifest}})


def changed(line: Line) -> str:
    refused = failed(line, "run")
    assert refused.kind is FailureKind.CHANGED
    assert not line.prod.submissions
    return refused.reason.partition("Changed since: ")[2].partition(". Nothing was run")[0]


def test_a_step_that_has_another_component_is_named(line: Line) -> None:
    components = line.evidence["inspect"]["manifest"]["components"]
    assert changed(having_seen(line, components={**components, "train": "0" * 32})) == "step train"
    assert changed(having_seen(line, components={})) == "step prepare; step train"


def test_an_input_with_another_value_is_named(line: Line) -> None:
    inputs = line.evidence["inspect"]["manifest"]["inputs"]
    rate = {**inputs["rate"], "value": "0.9"}
    assert changed(having_seen(line, inputs={**inputs, "rate": rate})) == "input rate"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"compute": "gpu"}, "the compute"),
        ({"identity": "5b7c"}, "the identity"),
        ({"compute": "gpu", "identity": "5b7c"}, "the compute; the identity"),
        ({}, "a setting, a rule of the environment or the pipeline's author"),
    ],
)
def test_whatever_else_differs_is_named(line: Line, changes: dict[str, str], said: str) -> None:
    assert changed(having_seen(line, **changes)) == said


def test_nothing_runs_that_was_never_inspected(line: Line) -> None:
    evidence = {name: seen for name, seen in line.evidence.items() if name != "inspect"}
    refused = failed(line.with_(evidence=evidence), "run")
    assert refused.kind is FailureKind.CHANGED
    assert "Nothing was inspected for prod" in refused.reason


@pytest.mark.parametrize("definition", ["", "pipelines/churn.yml"])
def test_people_and_azure_are_told_where_the_pipeline_was_read_from(tmp_path: Path, definition: str) -> None:
    start = Line.new(tmp_path).after("register_components")
    seen = {**start.evidence["register_components"], "definition": definition}
    line = start.with_(evidence={**start.evidence, "register_components": seen}).after("inspect", "approve")
    assert line.evidence["inspect"]["manifest"].get("definition", "") == definition
    line.poll("run")
    [submission] = line.prod.submissions
    expected = "as pipelines/churn.yml defines it" if definition else "as it ran in job train-7"
    assert submission.description.endswith(expected)
