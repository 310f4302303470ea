"""Which promotions copy a model to the registry, and which stages deploy what."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.config import Configuration, load
from shared.coordinator import routing
from shared.core.messages import ModelRegistered
from shared.core.promotion import StageRun
from tests.config.right import SETTINGS, changed
from tests.steps.promotion import NOW

JOBS = "    from_jobs: {experiment: churn-training, output: model, model: churn-eu}\n"
Stages = Callable[..., Mapping[str, StageRun]]


@pytest.fixture
def stages(tmp_path: Path) -> Stages:
    """The stages of a promotion of churn-eu from a source, by name, with the configuration changed."""

    def promoted(source: str, *changes: tuple[str, str]) -> Mapping[str, StageRun]:
        file = tmp_path / "promotion.yml"
        file.write_text(changed(*changes, ("from: dev", f"from: {source}"), (JOBS, "")))
        configuration: Configuration = load(file, SETTINGS)
        (route,) = configuration.model_routes
        news = ModelRegistered(configuration.origin_of(route), "churn-eu", "1", {"promote": "true"}, "a test")
        (request,) = routing.requests(news, configuration, NOW)
        return {stage.name: stage for stage in request.promotion.stages}

    return promoted


def share(stage: StageRun) -> dict[str, Any]:
    (plan,) = (step.plan for step in stage.steps if step.plan.name == "share")
    return {"environment": plan.environment, "copies": plan.options.get("copies", True)}


def assets(stages: Mapping[str, StageRun]) -> dict[str, str]:
    """What each stage deploys."""
    return {name: stage.settings.get("asset", "registry") for name, stage in stages.items()}


def test_stages_elsewhere_deploy_a_copy_that_the_source_makes(stages: Stages) -> None:
    found = stages("dev")
    assert share(found["test"]) == {"environment": "dev", "copies": True}
    assert assets(found) == {"test": "registry", "prod": "registry"}


def test_a_stage_in_the_source_deploys_its_own_model_and_the_next_one_a_copy(stages: Stages) -> None:
    found = stages("test")
    assert share(found["test"]) == {"environment": "test", "copies": True}
    assert assets(found) == {"test": "workspace", "prod": "registry"}


def test_nothing_is_copied_where_all_stages_are_in_the_source(stages: Stages) -> None:
    found = stages("test", ('prod: {workspace: "${PROD}"}', 'prod: {workspace: "${TEST}"}'))
    assert share(found["test"]) == {"environment": "test", "copies": False}
    assert assets(found) == {"test": "workspace", "prod": "workspace"}


def test_a_model_of_the_registry_is_looked_at_by_the_first_stage_and_never_copied(stages: Stages) -> None:
    found = stages("registry")
    assert share(found["test"]) == {"environment": "test", "copies": False}
    assert assets(found) == {"test": "registry", "prod": "registry"}
