"""A stage with a batch endpoint: its settings, its plan, and the example in the docs."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from textwrap import indent

import pytest
import yaml

from shared.config import Configuration
from shared.coordinator.routing import stage_runs
from tests.config.right import RIGHT, changed

Configured = Callable[..., Configuration]
FaultsOf = Callable[..., list[str]]

PAGE = (Path(__file__).parents[2] / "docs" / "batch.md").read_text(encoding="utf-8")
ON_BATCH = changed(
    ('endpoint: "{model}-test"', 'batch_endpoint: "{model}-scoring"'),
    ("smoke: {requests: smoke/churn.jsonl, max_latency: 500ms}", "test: {input: sample:1}"),
)


def steps(configuration: Configuration) -> list[str]:
    """The names of the steps of the first stage."""
    (route,) = configuration.model_routes
    return [step.plan.name for step in stage_runs(route.stages, route, "churn-eu", configuration)[0].steps]


def test_the_example_in_the_docs_is_a_right_stage(configured: Configured) -> None:
    example = yaml.safe_load(re.findall(r"```yaml\n(stages:.*?)```", PAGE, re.DOTALL)[0])
    configuration = yaml.safe_load(RIGHT)
    configuration["routes"]["churn"]["stages"] = example["stages"]
    (stage,) = configured(yaml.safe_dump(configuration)).model_routes[0].stages
    assert (stage.is_batch, stage.keep, stage.endpoint_for("churn-eu")) == (True, timedelta(days=1), "churn-eu-scoring")
    assert stage.test is not None
    assert (stage.test.input, stage.test.disagreement) == ("churn-batch-sample:1", 0.02)
    for word in ("disagreement", "tolerance", "timeout", "input"):
        assert f"| `{word}` |" in PAGE


def test_its_plan_invokes_in_place_of_smoke_requests(configured: Configured) -> None:
    planned = steps(configured(ON_BATCH))
    first = ["share", "validate", "check_capacity"]
    assert planned == [*first, "deploy", "invoke", "shift", "retire"]
    kept = ON_BATCH.replace("test: {input", "keep: 2h\n        test: {input")
    assert steps(configured(kept)) == [*first, "make_room", "deploy", "invoke", "shift", "retire"]
    without = ON_BATCH.replace("test: {input: sample:1}", "after: []")
    assert steps(configured(without)) == [*first, "deploy", "shift", "retire"]


def test_an_online_stage_has_the_plan_that_it_had(configured: Configured) -> None:
    assert steps(configured(RIGHT)) == ["share", "validate", "check_capacity", "deploy", "smoke", "shift", "retire"]


def test_the_times_of_the_test_and_of_what_is_kept_are_those_of_the_stage(configured: Configured) -> None:
    text = ON_BATCH.replace("test: {input: sample:1}", "test: {input: sample:1, timeout: 40m}\n        keep: 2h")
    configuration = configured(text)
    (route,) = configuration.model_routes
    plan = {step.plan.name: step.plan for step in stage_runs(route.stages, route, "churn-eu", configuration)[0].steps}
    assert plan["invoke"].limit == timedelta(minutes=40)
    assert plan["retire"].delay == timedelta(hours=2)


def test_the_source_is_told_which_deployment_files_are_of_which_kind(configured: Configured) -> None:
    configuration = configured(ON_BATCH.replace("deployment: deployments/churn.yml", "deployment: batch.yml", 1))
    (route,) = configuration.model_routes
    (share, *_) = stage_runs(route.stages, route, "churn-eu", configuration)[0].steps
    assert (share.plan.options["deployments"], share.plan.options["batch_deployments"]) == (
        ["deployments/churn.yml"],
        ["batch.yml"],
    )


@pytest.mark.parametrize(
    "name", ["sample:1", "sample@latest", "azureml:sample:1", "azureml://registries/contoso-ml/data/sample/versions/1"]
)
def test_the_input_is_a_data_asset_of_the_workspace_or_a_registry(name: str, configured: Configured) -> None:
    assert configured(ON_BATCH.replace("sample:1", name)).model_routes[0].stages[0].test


@pytest.mark.parametrize(
    "name", ["sample", "sample@1", "azureml://registries/contoso-ml/models/m/versions/1", "azureml://datastores/x/y"]
)
def test_nothing_else_is_an_input(name: str, faults_of: FaultsOf) -> None:
    (fault,) = faults_of(ON_BATCH.replace("sample:1", f'"{name}"'))
    assert fault.startswith("routes.churn.stages[0].test.input: must be a data asset")


def test_a_batch_endpoint_and_an_online_endpoint_of_one_workspace_may_not_share_a_name(faults_of: FaultsOf) -> None:
    more = indent('- {environment: test, name: again, endpoint: "{model}-scoring", deployment: d.yml}\n', " " * 6)
    found = faults_of(ON_BATCH + more)
    assert found == [
        "routes.churn.stages[2].endpoint: '{model}-scoring' is in the same workspace as "
        "routes.churn.stages[0].batch_endpoint and may be the same endpoint"
    ]


def test_one_batch_endpoint_for_several_models_is_refused_where_it_is_named(faults_of: FaultsOf) -> None:
    (fault,) = faults_of(ON_BATCH.replace("{model}-scoring", "scoring"))
    assert fault.startswith("routes.churn.stages[0].batch_endpoint: several models of this route")
