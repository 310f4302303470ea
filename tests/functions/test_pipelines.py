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
