"""How a promotion of a pipeline begins: by a job that has completed, or by a person."""

from pathlib import Path

import pytest

from shared.config import Configuration, load
from shared.coordinator import routing
from shared.core.messages import JobEnded, Kind
from shared.http.refusals import BadRequestError
from shared.http.starting import Start, requested
from tests.config.right import RIGHT, SETTINGS
from tests.config.test_pipeline_routes import ROUTE
from tests.steps.promotion import NOW

TAGS = {"promote": "true"}


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    (tmp_path / "promotion.yml").write_text(RIGHT + ROUTE)
    return load(tmp_path / "promotion.yml", SETTINGS)


def ended(status: str = "Completed", tags: dict[str, str] = TAGS, experiment: str = "churn-pipeline") -> JobEnded:
    return JobEnded(SETTINGS["DEV"], "brave_fox", experiment, status, tags, "event-grid")


def test_a_completed_job_starts_a_promotion_of_what_it_ran(configuration: Configuration) -> None:
    [request] = routing.requests(ended(), configuration, NOW)
    promotion = request.promotion
    assert promotion.lane.model == promotion.candidate.name == promotion.lane.route == "training"
    assert (promotion.candidate.kind, promotion.candidate.version) == (Kind.PIPELINE, "brave_fox")
    assert [stage.name for stage in promotion.stages] == ["test", "prod"]
    plans = [[(step.plan.name, step.plan.environment) for step in stage.steps] for stage in promotion.stages]
    assert plans[0] == [
        ("register_components", "dev"),
        *((name, "test") for name in ("inspect", "run", "compare", "register_model")),
    ]
    assert plans[1] == [(name, "prod") for name in ("inspect", "approve", "run", "compare", "register_model")]
    assert promotion.stages[0].steps[0].plan.options == {"metrics": ["auc"]}


@pytest.mark.parametrize("news", [ended("Failed"), ended("Canceled"), ended(tags={}), ended(experiment="other")])
def test_other_jobs_start_nothing(configuration: Configuration, news: JobEnded) -> None:
    assert list(routing.requests(news, configuration, NOW)) == []


def test_a_person_starts_one_by_the_route_and_the_job(configuration: Configuration) -> None:
    promotion = requested(
        Start(model="training", version="calm_owl", reason="now"), configuration, None, "r", NOW
    ).promotion
    assert (promotion.candidate.kind, promotion.candidate.version) == (Kind.PIPELINE, "calm_owl")
    through = Start(model="training", version="calm_owl", reason="now", through="test")
    stages = requested(through, configuration, None, "r", NOW).promotion.stages
    assert [stage.name for stage in stages] == ["test"]


def test_a_stage_that_the_route_does_not_have_is_refused_in_words(configuration: Configuration) -> None:
    with pytest.raises(BadRequestError, match=r"route training has no stage 'qa'\. Its stages: test, prod"):
        requested(
            Start(model="training", version="calm_owl", reason="now", through="qa"), configuration, None, "r", NOW
        )
