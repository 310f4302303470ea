"""Routes of pipelines: their settings, what is wrong with them in words, and what an editor marks."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.config import Configuration
from shared.config.pipeline_route import PipelineRoute
from shared.config.pipeline_stage import PipelineStage
from shared.config.policy import Policy
from shared.core.messages import Kind
from shared.core.plan import KINDS
from tests.config.right import RIGHT, SETTINGS, changed
from tests.config.test_schema import refused

Configured = Callable[..., Configuration]

ROUTE = """\
  training:
    from: dev
    pipelines: {experiment: churn-pipeline, tags: {promote: "true"}}
    stages:
      - environment: test
        approval: false
        run: {compute: cpu, inputs: {rows: churn-test:3, rate: 0.1, deep: true}}
      - environment: prod
        run: {compute: serverless, inputs: {rows: churn-production@latest}, timeout: 6h}
        validate: [{metric: auc, no_worse_than_source_by: 0.02}, {metric: auc, at_least: 0.8}]
        register: {output: model, model: churn}
        timeouts: {inspect: 5m}
"""
TEXT = RIGHT + ROUTE


def with_(old: str, new: str) -> str:
    assert TEXT.count(old) == 1, old
    return TEXT.replace(old, new)


@pytest.fixture
def route(configured: Configured) -> PipelineRoute:
    [found] = configured(TEXT).pipeline_routes
    return found


def test_a_route_promotes_either_models_or_pipelines(configured: Configured) -> None:
    configuration = configured(TEXT)
    assert [each.name for each in configuration.model_routes] == ["churn"]
    assert [each.name for each in configuration.pipeline_routes] == ["training"]
    assert configuration.routes["training"].takes("training")
    assert not configuration.routes["training"].takes("churn")


def test_a_stage_asks_one_person_unless_it_says_that_it_asks_nobody(route: PipelineRoute) -> None:
    test, prod = route.stages
    assert test.approval is None
    assert test.asks_for() == set()
    assert prod.approval_rule().least == 1
    assert prod.asks_for() == {"approval"}
    under = test.under(Policy.model_validate({"approvals": 2}))
    assert under.approval is not None
    assert under.approval.least == 2


def test_a_stage_is_the_same_after_its_way_through_a_message(route: PipelineRoute) -> None:
    for stage in route.stages:
        assert PipelineStage.parse(stage.frozen()) == stage
    assert route.stages[0].frozen()["run"]["inputs"] == {"rows": "churn-test:3", "rate": "0.1", "deep": "True"}


def test_stages_follow_one_another_and_the_run_has_its_own_limit(route: PipelineRoute) -> None:
    assert [stage.after for stage in route.stages] == [(), ("test",)]
    assert route.stages[1].limits() == {
        "inspect": timedelta(minutes=5),
        "run": timedelta(hours=6),
        "approve": timedelta(hours=72),
    }


@pytest.mark.parametrize(
    ("experiment", "tags", "takes"),
    [
        ("churn-pipeline", {"promote": "true", "more": "x"}, True),
        ("churn-pipeline", {"promote": "false"}, False),
        ("churn-pipeline", {}, False),
        ("other", {"promote": "true"}, False),
    ],
)
def test_jobs_of_the_experiment_with_the_tags_are_taken(
    configured: Configured, experiment: str, tags: dict[str, str], takes: bool
) -> None:
    configuration = configured(TEXT)
    assert bool(configuration.pipeline_routes_for_job(SETTINGS["DEV"].upper(), experiment, tags)) is takes
    assert not configuration.pipeline_routes_for_job(SETTINGS["TEST"], experiment, tags)
    assert "promote" in configuration.tags_asked_for(SETTINGS["DEV"])


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "        run: {compute: cpu,",
            "        endpoint: x\n        run: {compute: cpu,",
            "routes.training.stages[0].endpoint: belongs to a route with `models`; this route has `pipelines`",
        ),
        (
            "    pipelines: {",
            "    models: [churn]\n    pipelines: {",
            "routes.training.models: belongs to a route with `models`; this route has `pipelines`",
        ),
        (
            "        smoke: {requests",
            "        run: {compute: cpu}\n        smoke: {requests",
            "routes.churn.stages[0].run: belongs to a route with `pipelines`; this route has `models`",
        ),
        (
            "experiment: churn-pipeline",
            "experimnt: x",
            "training.pipelines.experimnt: unknown key; did you mean",
        ),
        ("{compute: cpu,", "{comput: cpu,", "routes.training.stages[0].run.compute: is missing"),
        ("timeout: 6h", "timeout: soon", "routes.training.stages[1].run.timeout: "),
        ("rows: churn-test:3", "rows: [3]", "routes.training.stages[0].run.inputs.rows: must be text, not a list"),
        (", no_worse_than_source_by: 0.02", "", "routes.training.stages[1].validate[0]: needs a bound: at_least,"),
        ("{inspect: 5m}", "{run: 5m}", "routes.training.stages[1].timeouts.run: is set with the run"),
        ("approval: false", "approval: true", "routes.training.stages[0].approval: must be a mapping"),
        (
            "      - environment: prod\n        run",
            "      - environment: pro\n        run",
            "unknown environment 'pro'",
        ),
    ],
)
def test_faults_are_told_in_words_at_their_place(
    faults_of: Callable[..., list[str]], old: str, new: str, fault: str
) -> None:
    assert any(fault in each for each in faults_of(with_(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("{compute: cpu,", "{comput: cpu,", "$.routes.training.stages[0].run"),
        ("approval: false", "approval: true", "$.routes.training.stages[0].approval"),
        (", no_worse_than_source_by: 0.02", "", "$.routes.training.stages[1].validate[0]"),
        ("{inspect: 5m}", "{inspekt: 5m}", "$.routes.training.stages[1].timeouts"),
    ],
)
def test_what_an_editor_marks(old: str, new: str, path: str) -> None:
    assert refused(TEXT) == []
    assert path in refused(with_(old, new))


def test_an_environment_limits_computes_and_identities(configured: Configured) -> None:
    policy = '  prod: {workspace: "${PROD}", policy: {computes: [serverless], identities: [IDENTITY]}}'
    policy = policy.replace("IDENTITY", "0f1e2d3c-4b5a-4678-9abc-def012345678")
    found = configured(changed(('  prod: {workspace: "${PROD}"}', policy)) + ROUTE).environments["prod"].policy
    assert found.computes == ("serverless",)
    assert found.identities == ("0f1e2d3c-4b5a-4678-9abc-def012345678",)


def test_every_step_of_the_plan_has_a_limit_that_can_be_set() -> None:
    names = {step.name for step in KINDS[Kind.PIPELINE].plan if not step.waits}
    for name in names - {"run"}:
        stage = {"environment": "x", "run": {"compute": "c"}, "timeouts": {name: "1h"}}
        assert PipelineStage.model_validate(stage).limits()[name] == timedelta(hours=1)
