"""The gates decide on what the job logged."""

import math
from collections.abc import Mapping

import pytest

from shared.core.messages import FailureKind
from shared.core.wire import from_json
from shared.worker.evaluation import Evaluated
from tests.fakes.jobs import JobOutcome
from tests.fakes.workspace import FakeWorkspace
from tests.steps.evaluate.world import CHAMPION, NAME, PASSING, evaluated, with_policy
from tests.steps.promotion import Stage, failed


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({}, "found auc was not logged"),
        ({"auc": math.nan, "champion.auc": 0.9}, "found the job logged NaN"),
        ({"auc": math.inf, "champion.auc": 0.9}, "found the job logged Infinity"),
        ({"auc": 0.79, "champion.auc": 0.79}, "required at least 0.8, found 0.79"),
        ({"auc": 0.9}, "the champion's: champion.auc was not logged"),
        ({"auc": 0.9, "champion.auc": math.nan}, "the champion's: the job logged NaN"),
        ({"auc": 0.9, "champion.auc": 0.92}, "found 0.9; the champion's: 0.92"),
    ],
)
def test_what_the_gates_do_not_let_pass_is_refused_with_its_figures(
    stage: Stage, workspace: FakeWorkspace, metrics: Mapping[str, float], words: str
) -> None:
    workspace.outcome = JobOutcome(metrics=metrics)
    outcome = failed(
        stage.with_(champion=CHAMPION).run("evaluate", workspace), FailureKind.REFUSED, "Refused for test", words
    )
    assert from_json(Evaluated, outcome.evidence).job == NAME
    assert outcome.diagnosis.splitlines()[0].split() == ["gate", "required", "found", "passed"]


def test_metrics_that_are_no_numbers_are_kept_in_words(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.outcome = JobOutcome(metrics={"auc": 0.9, "loss": math.nan, "champion.loss": -math.inf})
    seen = evaluated(stage.run("evaluate", workspace))
    assert seen.not_numbers == {"loss": "NaN", "champion.loss": "-Infinity"}
    assert [(each.metric, each.candidate) for each in seen.metrics] == [("auc", 0.9), ("loss", None)]


def test_an_environments_own_gates_count_beside_the_stages(stage: Stage, workspace: FakeWorkspace) -> None:
    stage = with_policy(stage, workspace, gates=[{"metric": "auc", "at_least": 0.95}])
    failed(stage.run("evaluate", workspace), FailureKind.REFUSED, "at least 0.95")


def test_only_so_many_metrics_are_kept_and_those_of_gates_are_among_them(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    others = {f"a{number:02}": 0.5 for number in range(60)}
    workspace.outcome = JobOutcome(metrics={**PASSING.metrics, **others})
    seen = evaluated(stage.run("evaluate", workspace))
    assert seen.metrics[0].metric == "auc"
    assert len(seen.metrics) == 50, "evidence is part of every message"
    assert seen.metrics_left_out == len({*PASSING.metrics, *others}) - 1 - 50, "the champion's is in the same row"
