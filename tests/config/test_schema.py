"""The JSON Schema that editors use for promotion.yml, and the examples that show it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it comes without types
from pydantic import ValidationError

from shared.config import Configuration, load, schema
from shared.config.rerun import OnDrift
from tests.config.right import CLIENT_ID, RIGHT, WORKSPACE, changed

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*/promotion.yml"))

SCHEMA = json.loads(schema.text())


def refused(text: str) -> list[str]:
    return [error.json_path for error in Draft202012Validator(SCHEMA).iter_errors(yaml.safe_load(text))]


def keys(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, inner in part.get("properties", {}).items():
        yield f"{path}.{name}", inner
    for name, inner in part.get("$defs", {}).items():
        yield from keys(inner, name)


def test_the_checked_in_schema_is_up_to_date() -> None:
    for path in (schema.PATH, schema.PLATFORM_PATH, schema.TEAM_PATH):
        assert path.read_text(encoding="utf-8") == schema.text(path), "run python -m shared.config.schema"


def test_it_is_a_schema_that_describes_every_key() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert [path for path, key in keys(SCHEMA) if not key.get("description", "").endswith(".")] == []


def test_the_right_configuration_passes() -> None:
    assert refused(RIGHT) == []


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("registry: contoso-ml\n", "", "$"),
        ("smoke: {", "smok: {", "$.routes.churn.stages[0]"),
        ("500ms", "soon", "$.routes.churn.stages[0].smoke.max_latency"),
        ("at_least: 0.82", "at_least: high", "$.routes.churn.stages[0].validate[0].at_least"),
        (", at_least: 0.82", "", "$.routes.churn.stages[0].validate[0]"),
        ("at_least: 0.82", "no_worse_than_champion_by: 0.1", "$.routes.churn.stages[0].validate[0]"),
        ("  prod: {", "  Prod: {", "$.environments"),
        ("        smoke: {", "        timeouts: {deploi: 1h}\n        smoke: {", "$.routes.churn.stages[0].timeouts"),
        ("from: dev", "from: my dev", "$.routes.churn.from"),
        (CLIENT_ID, "test-client", "$.environments.test.identity"),
        ('endpoint: "{model}-test"', "name: first", "$.routes.churn.stages[0]"),
        ('endpoint: "{model}-test"', "endpoint: a\n        batch_endpoint: b", "$.routes.churn.stages[0]"),
        ("smoke: {", "rollout: {steps: [{for: 1m}]}\n        smoke: {", "$.routes.churn.stages[0].rollout.steps[0]"),
    ],
)
def test_what_an_editor_marks(old: str, new: str, path: str) -> None:
    assert refused(changed((old, new))) == [path]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('endpoint: "{model}-test"', 'batch_endpoint: "{model}-test"'),
        ("smoke: {", "rollout: {steps: [{traffic: 10, for: 1m}]}\n        smoke: {"),
        ("smoke: {", "rollout: {steps: [{mirror: 10, for: 1m}]}\n        smoke: {"),
    ],
)
def test_an_editor_takes_each_of_two_keys_of_which_one_is_needed(old: str, new: str) -> None:
    assert refused(changed((old, new))) == []


def loaded(example: Path) -> Configuration:
    settings = {
        f"{name}_{kind}": value
        for name in ("DEV", "TEST", "PROD", "PROD_WEST", "PROD_NORTH")
        for kind, value in (("WORKSPACE", WORKSPACE.format(name)), ("IDENTITY", CLIENT_ID))
    }
    return load(example, settings)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)
def test_an_example_passes_and_can_be_loaded(example: Path) -> None:
    assert refused(example.read_text(encoding="utf-8")) == []
    assert loaded(example).registry == "contoso-ml"


def test_two_regions_of_prod_start_together_when_test_is_done() -> None:
    [example] = [path for path in EXAMPLES if path.parent.name == "two-regions"]
    [route] = loaded(example).routes.values()
    assert {stage.environment: stage.after for stage in route.stages} == {
        "test": (),
        "prod-west": ("test",),
        "prod-north": ("test",),
    }


def test_the_check_passes_while_the_file_is_up_to_date_and_fails_when_it_is_stale(tmp_path: Path) -> None:
    assert schema.main(["--check"]) == 0
    copy = tmp_path / "promotion.schema.json"
    assert schema.main(["--check", "--file", str(copy)]) == 1
    assert schema.main(["--file", str(copy)]) == 0
    assert schema.main(["--check", "--file", str(copy)]) == 0
    copy.write_text(copy.read_text(encoding="utf-8").replace("registry", "register"), encoding="utf-8")
    assert schema.main(["--check", "--file", str(copy)]) == 1


@pytest.mark.parametrize(
    ("written", "is_right"),
    [("4 a month", True), (2, True), (30, True), (0, False), (31, False), ("31 a month", False), (True, False)],
)
def test_editor_and_app_agree_on_how_often_drift_may_start_a_run(written: object, is_right: bool) -> None:
    drift = {"monitor": "churn-*", "at_most": written}
    described = json.loads(schema.text())
    found = Draft202012Validator({"$ref": "#/$defs/OnDrift", "$defs": described["$defs"]}).is_valid(drift)
    try:
        OnDrift.model_validate(drift)
        taken = True
    except ValidationError:
        taken = False
    assert (found, taken) == (is_right, is_right)


def test_an_editor_takes_an_analysis_by_a_job_and_shows_a_wrong_one_where_it_is() -> None:
    smoke = "        smoke:"
    job = "{job: jobs/compare.yml, gates: [{metric: disagreement, at_most: 0.02}]}"
    rollout = f"        rollout: {{steps: [{{traffic: 10, for: 5m}}], analysis: [{job}]}}\n{smoke}"
    assert refused(changed((smoke, rollout))) == []
    assert refused(changed((smoke, rollout.replace("gates", "gate")))) != []
    figure = rollout.replace(job, "{metric: error_rate, at_most: 1%}")
    assert refused(changed((smoke, figure))) == []
