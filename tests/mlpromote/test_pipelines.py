"""A pipeline's promotion as people see it."""

from datetime import timedelta
from typing import Any

import pytest

from mlpromote.wording import told
from tests.examples.promotion_document import BEGAN, stage, step
from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.documents import detailed
from tests.mlpromote.stub import Answer, StubApp

NOW = BEGAN + timedelta(seconds=10)
COMPONENTS = {
    "train": {
        "component": "azureml://registries/r/components/train/versions/0123",
        "digest": "f" * 64,
        "command": "python train.py",
        "environment": "azureml://registries/azureml/environments/sklearn/versions/3",
        "files": {"train.py": "0123456789abcdef"},
        "files_left_out": 2,
    }
}
INSPECTED: dict[str, Any] = {
    "gates": [],
    "manifest": {
        "digest": "abcdef",
        "pipeline": "9876543210fedcba",
        "job": "brave_fox",
        "compute": "serverless",
        "inputs": {"rows": {"data": "id", "name": "churn", "version": "7"}, "rate": {"value": "0.3"}},
    },
    "metrics": {"auc": 0.9},
    "changed": ["step train: its code (train.py)"],
}
COMPARED = {
    "gates": [{"gate": "metric auc", "seen": "0.89"}],
    "metrics": [{"metric": "auc", "source": 0.9, "here": 0.89, "champion": 0.88}, {"metric": "rows", "here": 10_000.0}],
}
#: Figures of all sizes, and one that no gate is on.
LARGE = {
    "gates": [{"gate": "metric mae", "seen": "11909.9219"}, {"gate": "metric rmse", "seen": "12"}],
    "metrics": [
        {"metric": "mae", "source": 1234567.89, "here": 11909.9219},
        {"metric": "rmse", "source": 0.5, "here": 12.0},
        {"metric": "rows", "source": 285.0, "here": 2900.0},
    ],
}
REGISTERED = {"pipeline": "9876543210fedcba", "components": COMPONENTS}


@pytest.mark.parametrize(
    ("name", "evidence", "words"),
    [
        ("register_components", REGISTERED, "pipeline 9876543210fe with 1 step is in the registry"),
        ("inspect", INSPECTED, "can run on serverless on churn:7; 1 change since the champion"),
        ("run", {"job": "a-job"}, "job a-job completed"),
        (
            "inspect",
            {**INSPECTED, "changed": ["a", "b"]},
            "can run on serverless on churn:7; 2 changes since the champion",
        ),
        ("compare", COMPARED, "gate passed: auc 0.89 (source 0.9)"),
        ("compare", LARGE, "gates passed: mae 11909.9 (source 1234568), rmse 12 (source 0.5)"),
        ("register_model", {"model": "churn", "version": "4"}, "registered as churn/4"),
        ("register_model", {"model": "", "version": ""}, "the stage registers nothing"),
        ("withdraw", {"model": "churn", "version": "4"}, "kept: churn/4"),
        ("withdraw", {"model": ""}, "nothing was registered"),
    ],
)
def test_what_a_step_saw_is_told_in_a_line(name: str, evidence: dict[str, Any], words: str) -> None:
    assert told(step(name, "succeeded", 0, 1, evidence=evidence), NOW) == words


def shown_to_approvers(mlpromote: CommandLine, app: StubApp, inspected: dict[str, Any]) -> str:
    """What `show` prints while the run waits for approval, in one line."""
    approval = {
        "min": 1,
        "roles": [],
        "not_requester": True,
        "not_author": False,
        "taken_by": "coordinator",
        "status": "running",
        "evidence": "e1",
        "given": [],
        "until": None,
    }
    steps = [
        step("register_components", "succeeded", 0, 1, evidence=REGISTERED),
        step("inspect", "succeeded", 1, 2, evidence=inspected),
        step("approve", "running", 2),
    ]
    app.will_answer(Answer({**detailed(), "stages": [stage("prod", "running", steps, approval=approval)]}))
    return " ".join(mlpromote("show", "an-id").output.split())


def test_approvers_see_the_code_of_each_step_and_what_changed(mlpromote: CommandLine, app: StubApp) -> None:
    text = shown_to_approvers(mlpromote, app, INSPECTED)
    for part in (
        "pipeline 9876543210fe, as it ran in job brave_fox",
        "on compute serverless",
        "input rows: churn:7",
        "input rate: 0.3",
        "step train: python train.py",
        "0123456789ab train.py and 2 more files",
        "auc 0.9 in the source's run",
        "changed since the champion: step train: its code (train.py)",
    ):
        assert part in text


def test_approvers_are_never_told_that_a_definition_is_what_ran(mlpromote: CommandLine, app: StubApp) -> None:
    defined = {**INSPECTED, "manifest": {**INSPECTED["manifest"], "definition": "pipelines/churn.yml"}}
    text = shown_to_approvers(mlpromote, app, defined)
    says = "pipeline 9876543210fe, as pipelines/churn.yml defines it; job brave_fox may have run something else"
    assert says in text
    assert "as it ran" not in text


def test_metrics_on_sample_and_production_data_are_shown_side_by_side(mlpromote: CommandLine, app: StubApp) -> None:
    steps = [step("compare", "succeeded", 0, 1, evidence=COMPARED)]
    app.will_answer(Answer({**detailed(), "stages": [stage("prod", "succeeded", steps, approval=None)]}))
    lines = [line.split() for line in mlpromote("show", "an-id").output.splitlines()]
    assert ["metric", "source", "prod", "champion"] in lines
    assert ["auc", "0.9", "0.89", "0.88"] in lines
    assert ["rows", "–", "10000", "–"] in lines


def test_the_metrics_of_a_refused_run_are_shown_once(mlpromote: CommandLine, app: StubApp) -> None:
    failure = {"kind": "refused", "reason": "Refused", "diagnosis": "metric  source  here", "safe": True}
    refused = step("compare", "failed", 0, 1, evidence=COMPARED, failure=failure)
    app.will_answer(Answer({**detailed(), "stages": [stage("prod", "refused", [refused], approval=None)]}))
    output = mlpromote("show", "an-id").output
    assert output.count("source") == 1, output
