"""Which settings a promotion carries that its route has otherwise by now."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shared.config import Configuration, load
from shared.coordinator import rerunning, routing
from shared.coordinator.changed_settings import changed_settings
from shared.core.messages import JobEnded, Kind, ModelRegistered
from shared.core.promotion import Promotion, PromotionStatus, StageStatus
from shared.core.replacing import replace
from tests.config.right import RIGHT, SETTINGS
from tests.config.test_pipeline_routes import ROUTE
from tests.steps.promotion import NOW

#: Reads the right configuration with each text replaced once.
Configured = Callable[..., Configuration]


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    def read(*changes: tuple[str, str]) -> Configuration:
        text = RIGHT + ROUTE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / "promotion.yml").write_text(text)
        return load(tmp_path / "promotion.yml", SETTINGS)

    return read


def of_model(configuration: Configuration) -> Promotion:
    news = ModelRegistered(SETTINGS["DEV"], "churn-eu", "1", {"promote": "true"}, "event-grid")
    [request] = routing.requests(news, configuration, NOW)
    return request.promotion


def of_pipeline(configuration: Configuration) -> Promotion:
    news = JobEnded(SETTINGS["DEV"], "brave_fox", "churn-pipeline", "Completed", {"promote": "true"}, "event-grid")
    [request] = routing.requests(news, configuration, NOW)
    return request.promotion


def test_a_promotion_with_the_routes_settings_has_none(configured: Configured) -> None:
    assert changed_settings(of_model(configured()), configured()) == []
    assert changed_settings(of_pipeline(configured()), configured()) == []


@pytest.mark.parametrize(
    ("change", "places"),
    [
        (("max_latency: 500ms", "max_latency: 900ms"), ["test.smoke.max_latency"]),
        (("at_least: 0.82", "at_least: 0.9"), ["test.validate.auc.at_least"]),
        (('promote: "true"', 'promote: "yes"'), ["test.require_tags.promote", "prod.require_tags.promote"]),
        (('endpoint: "{model}"\n', 'endpoint: "new-{model}"\n'), ["prod.endpoint"]),
        (("  dev: {", '  qa: {workspace: "${TEST}"}\n  dev: {'), []),
    ],
)
def test_what_differs_is_named_by_its_place(change: tuple[str, str], places: list[str], configured: Configured) -> None:
    assert changed_settings(of_model(configured()), configured(change)) == places


def test_data_that_the_route_copies_is_compared_too(configured: Configured) -> None:
    changed = configured(("    from: dev\n", "    from: dev\n    share_data: [churn-sample]\n"))
    assert changed_settings(of_model(configured()), changed) == ["test.share_data"]


def test_a_stage_that_has_succeeded_no_longer_matters(configured: Configured) -> None:
    promotion = of_model(configured())
    done = promotion.with_stage(replace(promotion.stages[0], status=StageStatus.SUCCEEDED))
    assert changed_settings(done, configured(("max_latency: 500ms", "max_latency: 900ms"))) == []


@pytest.mark.parametrize("status", list(PromotionStatus))
def test_only_a_promotion_that_runs_or_can_be_retried_has_any(status: PromotionStatus, configured: Configured) -> None:
    promotion = replace(of_model(configured()), status=status)
    places = changed_settings(promotion, configured(("max_latency: 500ms", "max_latency: 900ms")))
    assert bool(places) == (status in ("queued", "running", "failed", "refused"))


def test_a_stage_or_a_route_that_is_gone_is_named_itself(configured: Configured) -> None:
    promotion = of_model(configured())
    prod = '      - environment: prod\n        endpoint: "{model}"\n        deployment: deployments/churn.yml\n'
    assert changed_settings(promotion, configured((prod, ""))) == ["prod"]
    assert changed_settings(promotion, configured(("churn-*", "rent-*"), ("churn-eu", "rent-eu"))) == ["routes.churn"]


def test_a_promotion_of_an_earlier_version_of_the_app_carries_what_is_the_default_by_now(
    configured: Configured,
) -> None:
    promotion = of_model(configured())
    [test, _] = promotion.stages
    older = {**test.settings, "stage": {**test.settings["stage"]}}
    defaults = [key for key, value in older["stage"].items() if value in ([], {}, False)]
    assert defaults
    for key in defaults:
        del older["stage"][key]
    assert changed_settings(promotion.with_stage(replace(test, settings=older)), configured()) == []


def test_what_a_later_version_of_the_app_wrote_is_compared_as_it_stands(configured: Configured) -> None:
    promotion = of_model(configured())
    [test, _] = promotion.stages
    newer = {**test.settings, "unheard": 1}
    assert changed_settings(promotion.with_stage(replace(test, settings=newer)), configured()) == ["test.unheard"]


def test_the_settings_of_a_pipeline_are_compared_too(configured: Configured) -> None:
    changed = configured(("compute: serverless", "compute: other"))
    assert changed_settings(of_pipeline(configured()), changed) == ["prod.run.compute"]


def test_a_run_of_one_stage_alone_does_not_miss_the_stages_before_it(configured: Configured) -> None:
    configuration = configured()
    [route] = configuration.pipeline_routes
    promotion = of_pipeline(configuration)
    alone = replace(promotion, stages=(rerunning.stage_run(route, route.stages[-1], configuration),))
    assert changed_settings(alone, configuration) == []


def test_a_job_has_no_settings_that_a_new_start_would_change(configured: Configured) -> None:
    news = JobEnded(SETTINGS["DEV"], "brave_fox", "churn-training", "Completed", {}, "event-grid")
    [request] = routing.requests(news, configured(), NOW)
    assert request.promotion.candidate.kind is Kind.JOB
    assert changed_settings(request.promotion, configured(('promote: "true"', 'promote: "yes"'))) == []
