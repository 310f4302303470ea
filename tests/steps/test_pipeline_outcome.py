"""What becomes of a pipeline's run in the environment: it is compared and registered, and stays when it is undone."""

import math
from datetime import timedelta

import pytest

from shared.core.messages import Candidate, Champion, FailureKind, Kind, Retry, Succeeded
from shared.core.wire import from_json
from shared.ports import ChildJob, UnavailableError
from shared.worker.steps.compare import Compared
from tests.steps.pipeline import ALL, JOB, Line, failed, up_to
from tests.steps.promotion import NOW

# --- compare ---


def compared(line: Line) -> Compared:
    return from_json(Compared, line.evidence["compare"])


def with_metrics(line: Line, **metrics: float) -> Line:
    line = up_to(line, "run")
    line.prod.children[line.job_name] = [(ChildJob("guid-2", "train", "Completed"), metrics)]
    return line


def test_metrics_on_sample_and_on_production_data_stand_side_by_side(line: Line) -> None:
    line = with_metrics(line, auc=0.89, rows=10_000).after("compare")
    rows = {row.metric: (row.source, row.here, row.champion) for row in compared(line).metrics}
    assert rows == {"auc": (0.9, 0.89, None), "rows": (None, 10_000, None)}


def test_a_run_that_is_worse_than_the_source_is_refused_with_both_columns(line: Line) -> None:
    refused = failed(with_metrics(line, auc=0.85), "compare")
    assert refused.kind is FailureKind.REFUSED
    assert "required no worse than the source's 0.9 by more than 0.02, found 0.85" in refused.reason
    assert "metric  source  here  champion\nauc     0.9     0.85  –" in refused.diagnosis
    assert from_json(Compared, refused.evidence).metrics[0].source == 0.9


@pytest.mark.parametrize(("value", "words"), [(math.nan, "the run logged NaN"), (None, "not logged by the job or any")])
def test_a_metric_that_is_no_number_or_missing_is_refused_in_words(line: Line, value: float | None, words: str) -> None:
    metrics = {"auc": value} if value is not None else {}
    assert words in failed(with_metrics(line, **metrics), "compare").reason


def test_a_run_is_compared_with_the_champions_run_here(line: Line) -> None:
    before = up_to(line, "compare")
    candidate = Candidate(Kind.PIPELINE, "churn-training", "train-6", "dev", "ws")
    champion = Champion("p", candidate, NOW, before.evidence)
    gate = {"metric": "auc", "no_worse_than_champion_by": 0.005, "without_champion": "fail"}
    line = before.with_settings(validate=[gate])
    assert "there is no champion: fail" in failed(line, "compare").reason
    line = line.with_(champion=champion)
    assert isinstance(line.run("compare"), Succeeded)
    line.prod.children[line.job_name] = [(ChildJob("guid-2", "train", "Completed"), {"auc": 0.88})]
    assert "no worse than the champion's 0.89 by more than 0.005, found 0.88" in failed(line, "compare").reason


# --- register ---


def test_the_output_becomes_a_version_of_the_model_that_leads_back(line: Line) -> None:
    line = up_to(line, "register_model")
    model = line.prod.models["churn", "1"]
    assert model.job == line.job_name
    assert model.tags["promote"] == "true"
    assert model.properties["mlpromote.promotion"] == line.promotion
    assert model.properties["mlpromote.source_job"] == JOB
    assert model.properties["mlpromote.commit"] == "f00d"
    assert model.properties["mlpromote.data.rows"] == "churn-production:7"
    assert model.properties["mlpromote.pipeline"] == line.evidence["register_components"]["pipeline"]


def test_from_jobs_and_register_that_claim_the_same_output_make_one_version(line: Line) -> None:
    line = up_to(line, "compare")
    line.prod.has_model("churn", "4", job=line.job_name, tags={"mlpromote.job": line.job_name})
    line = line.after("register_model")
    assert line.evidence["register_model"]["version"] == "4"
    assert list(line.prod.models) == [("churn", "4")]


def test_an_output_that_the_run_does_not_have_is_told(line: Line) -> None:
    line = up_to(line, "compare").with_settings(register={"output": "modell", "model": "churn"})
    assert "has no output modell. Its outputs: model." in failed(line, "register_model").reason


def test_a_stage_that_registers_nothing_still_makes_a_champion(line: Line) -> None:
    settings = {name: value for name, value in line.settings.items() if name != "register"}
    line = up_to(line.with_(settings=settings), "register_model")
    assert line.evidence["register_model"]["version"] == ""
    assert not line.prod.models


def test_what_a_run_left_behind_stays_when_it_is_rolled_back(line: Line) -> None:
    outcome = up_to(line, "register_model").run("withdraw")
    assert outcome == Succeeded({"model": "churn", "version": "1"})
    assert ("churn", "1") in line.prod.models


@pytest.mark.parametrize(
    ("step", "method"),
    [
        *(("inspect", each) for each in ("component", "code_files", "environment_asset", "has_compute", "data_asset")),
        *(
            ("run", each)
            for each in ("submitted_job", "job_creator", "pipeline_job", "start_pipeline", "missing_region")
        ),
        *(("compare", each) for each in ("metrics", "step_metrics")),
        *(("register_model", each) for each in ("model_versions", "job", "register_output")),
    ],
)
def test_throttling_of_any_call_is_tried_again(line: Line, step: str, method: str) -> None:
    line = up_to(line, ALL[ALL.index(step) - 1])
    line.prod.raises[method] = UnavailableError("throttled", timedelta(seconds=3))
    assert line.poll(step) == Retry(timedelta(seconds=3), "throttled")
    assert isinstance(line.run(step), Succeeded)
