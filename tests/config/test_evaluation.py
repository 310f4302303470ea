"""A stage's evaluation, and an environment's: their settings, and the job file that they name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.config import Configuration, StageSettings, named_files
from shared.config.evaluation import AskedData, EvaluationPolicy, EvaluationSettings
from tests.config.right import changed

GATE = {"metric": "auc", "at_least": 0.8}
ASKED = {"job": "jobs/evaluate.yml", "inputs": {"data": "holdout@latest"}, "gates": [GATE]}
BARE: dict[str, Any] = {"environment": "prod", "endpoint": "{model}", "deployment": "d.yml"}
JOB = "command: python x.py\ncode: src\ninputs: {model: {type: custom_model}, data: {type: uri_folder}}\n"


def evaluation(**changes: Any) -> EvaluationSettings:
    found = StageSettings.parse({**BARE, "evaluate": {**ASKED, **changes}}).evaluate
    assert found is not None
    return found


def test_data_is_named_with_a_version_or_as_the_latest() -> None:
    assert evaluation().asked() == {"data": AskedData("holdout", None)}
    of_version = evaluation(inputs={"data": "azureml:holdout:2026-01"})
    assert of_version.asked() == {"data": AskedData("holdout", "2026-01")}
    assert of_version.inputs == {"data": "holdout:2026-01"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inputs": {"data": "holdout"}}, "NAME@latest or NAME:VERSION"),
        ({"inputs": {"data": "/subscriptions/s/x"}}, "NAME@latest or NAME:VERSION"),
        ({"inputs": {"model": "holdout:1"}}, "is an input that the app binds itself"),
        ({"inputs": {"champion": "holdout:1"}}, "is an input that the app binds itself"),
        ({"inputs": {"da-ta": "holdout:1"}}, "must be the name of an input"),
        ({"gates": []}, "at least 1"),
        ({"gates": [{"metric": "champion.auc", "at_least": 0.5}]}, "name the metric without 'champion.'"),
        ({"job": "/etc/evaluate.yml"}, "must be relative"),
        ({"metrics": ["auc"]}, "Extra inputs"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        evaluation(**changes)


@pytest.mark.parametrize("job", ["sha256:123", "0" * 64, "sha256:" + "G" * 64])
def test_the_policys_job_is_a_digest(job: str) -> None:
    with pytest.raises(ValueError, match="must be the digest of a job"):
        EvaluationPolicy.model_validate({"job": job})
    EvaluationPolicy.model_validate({"job": "sha256:" + "0a" * 32})


def test_settings_stay_the_same_on_their_way_to_a_worker() -> None:
    settings = StageSettings.parse({**BARE, "evaluate": ASKED})
    assert StageSettings.parse(settings.frozen()) == settings
    assert "evaluate" in settings.asks_for()
    assert "evaluate" not in StageSettings.parse(BARE).asks_for()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (JOB, ""),
        (None, "there is no file jobs/evaluate.yml"),
        ("a: [", "jobs/evaluate.yml cannot be read"),
        ("- x", "jobs/evaluate.yml is not a command job"),
        ("type: pipeline", "jobs/evaluate.yml is not a command job"),
        (JOB.replace("model:", "candidate:"), "jobs/evaluate.yml needs an input model"),
        (JOB.replace("data:", "rows:"), "jobs/evaluate.yml has no input data"),
        (JOB.replace("src", "nowhere"), "there is no nowhere, which it names as code"),
    ],
)
def test_the_job_file_is_read_with_the_configuration(
    tmp_path: Path, configured: Callable[[str], Configuration], content: str | None, said: str
) -> None:
    (tmp_path / "jobs" / "src").mkdir(parents=True)
    if content is not None:
        (tmp_path / "jobs" / "evaluate.yml").write_text(content)
    asks = "evaluate: {job: jobs/evaluate.yml, inputs: {data: holdout@latest}, gates: [{metric: auc, at_least: 1}]}"
    text = changed(("        smoke: {", f"        {asks}\n        smoke: {{"))
    configuration = configured(text)
    assert "jobs/evaluate.yml" in named_files.named(configuration)
    place = "routes.churn.stages[0].evaluate.job: "
    found = [str(each) for each in named_files.faults(configuration, tmp_path) if str(each).startswith(place)]
    assert [said in each for each in found] == ([True] if said else [])


def test_a_comparison_needs_the_champion_as_an_input(
    tmp_path: Path, configured: Callable[[str], Configuration]
) -> None:
    (tmp_path / "jobs" / "src").mkdir(parents=True)
    (tmp_path / "jobs" / "evaluate.yml").write_text(JOB)
    gate = "{metric: auc, no_worse_than_champion_by: 0.1, without_champion: pass}"
    asks = f"evaluate: {{job: jobs/evaluate.yml, gates: [{gate}]}}"
    configuration = configured(changed(("        smoke: {", f"        {asks}\n        smoke: {{")))
    assert any("needs an input champion" in str(each) for each in named_files.faults(configuration, tmp_path))
