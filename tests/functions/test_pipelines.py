"""Promotions of pipelines over HTTP."""

import pytest

from tests.config.right import RIGHT
from tests.config.test_pipeline_routes import ROUTE
from tests.functions.conftest import Api


@pytest.fixture
def pipelines(api: Api) -> Api:
    """An app with a route of pipelines: an edit of its file counts at once."""
    api.app.settings.configuration_path.write_text(RIGHT + ROUTE)
    return api


def test_a_person_starts_a_promotion_of_what_a_job_ran(pipelines: Api) -> None:
    started = pipelines.post("promotions", {"model": "training", "version": "brave_fox", "reason": "try"})
    assert started.status == 202
    assert (started.body["kind"], started.body["version"]) == ("pipeline", "brave_fox")
    assert started.body["journal"][0]["text"] == ("training, after job brave_fox from dev, by function key: try")
    steps = [[step["name"] for step in stage["steps"]] for stage in started.body["stages"]]
    assert steps[0] == ["register_components", "inspect", "run", "compare", "register_model"]
    assert steps[1] == ["inspect", "approve", "run", "compare", "register_model"]
    assert [command.environment for command in pipelines.bus.commands] == ["dev"]


def test_a_pipelines_lane_is_shown_by_its_route(pipelines: Api) -> None:
    pipelines.post("promotions", {"model": "training", "version": "brave_fox", "reason": "try"})
    [lane] = pipelines.get("routes?route=training").body["value"]
    assert [stage["name"] for stage in lane["stages"]] == ["test", "prod"]


def test_a_plan_has_the_gates_the_data_and_the_compute_of_a_run(pipelines: Api) -> None:
    test, prod = pipelines.get("plans/training/brave_fox").body["stages"]
    assert test["gates"] == []
    assert test["pipeline_run"] == {
        "compute": "cpu",
        "inputs": {"rows": "churn-test:3", "rate": "0.1", "deep": "True"},
        "registers": None,
    }
    assert [(gate["step"], gate["metric"], gate["measured"]) for gate in prod["gates"]] == [
        ("compare", "auc", True),
        ("compare", "auc", True),
    ]
    assert prod["gates"][1]["settings"]["at_least"] == 0.8
    assert prod["pipeline_run"] == {
        "compute": "serverless",
        "inputs": {"rows": "churn-production@latest"},
        "registers": {"output": "model", "model": "churn"},
    }


def test_in_a_plan_a_version_that_is_under_way_is_not_behind_itself(pipelines: Api) -> None:
    for job in ("brave_fox", "shy_owl"):
        pipelines.post("promotions", {"model": "training", "version": job, "reason": "try"})
    assert pipelines.get("plans/training/brave_fox").body["stages"][0]["queue"] == ["shy_owl"]
