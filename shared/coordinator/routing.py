"""Which lanes a piece of news concerns, and the promotions that come of it."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from shared.config.pipeline_stage import PipelineTask
from shared.config.stage import JobStage, ModelStage
from shared.core.approval import APPROVE
from shared.core.events import PromotionRequested
from shared.core.messages import Candidate, JobEnded, Kind, LaneKey, ModelRegistered, MonitorBreached, News
from shared.core.plan import plan_for
from shared.core.promotion import Promotion, StageRun, StepRun, promotion_id

if TYPE_CHECKING:
    from shared.config import Configuration, Environment, FromJobs, Policy, Route
    from shared.config.pipeline_route import PipelineRoute
    from shared.config.pipeline_stage import PipelineStage
    from shared.config.stage import StageSettings

#: Azure ML's word for a job that came to a good end.
COMPLETED = "Completed"

#: The route of lanes that keep what no route takes.
NO_ROUTE = ""


def requests(news: News, configuration: "Configuration", now: datetime) -> Iterator[PromotionRequested]:
    """One request for each route that takes the news; for a model that none takes, one that records just that."""
    environment = configuration.environment_of(news.workspace)
    if environment is None or isinstance(news, MonitorBreached):
        return
    if isinstance(news, JobEnded):
        for route, jobs in configuration.routes_for_job(news.workspace, news.experiment, news.tags):
            yield _of_job(news, route, jobs, configuration, now)
        yield from _of_pipelines(news, configuration, now)
        return
    routes = configuration.routes_for(news.workspace, news.name)
    for route in routes:
        yield _of_model(news, route, configuration, now)
    if not routes:
        yield _of_no_route(news, environment, configuration, now)


def _of_model(
    news: ModelRegistered, route: "Route", configuration: "Configuration", now: datetime
) -> PromotionRequested:
    candidate = Candidate(Kind.MODEL, news.name, news.version, route.source, news.workspace)
    missing = route.missing_tags(news.tags)
    if missing:
        wanted = ", ".join(f"{tag}={value}" for tag, value in missing.items())
        refusal = f"route {route.name} asks for the tag {wanted}, which the model does not have"
        return _request(candidate, route.name, (), news.source, configuration, now, refusal)
    stages = stage_runs(route.stages, route, news.name, configuration)
    return _request(candidate, route.name, stages, news.source, configuration, now)


def _of_no_route(
    news: ModelRegistered, environment: "Environment", configuration: "Configuration", now: datetime
) -> PromotionRequested:
    candidate = Candidate(Kind.MODEL, news.name, news.version, environment.name, news.workspace)
    routes = [
        f"{route.name} takes {', '.join(route.models)}"
        for route in configuration.model_routes
        if route.source == environment.name
    ]
    refusal = f"no route takes {news.name} from {environment.name} ({'; '.join(routes) or 'none starts there'})"
    return _request(candidate, NO_ROUTE, (), news.source, configuration, now, refusal)


def _of_job(
    news: JobEnded, route: "Route", jobs: "FromJobs", configuration: "Configuration", now: datetime
) -> PromotionRequested:
    candidate = Candidate(Kind.JOB, jobs.model, news.job, route.source, news.workspace)
    settings = JobStage(
        output=jobs.output, tags=dict(route.require_tags), experiment=jobs.experiment, job_tags=dict(jobs.tags)
    )
    plan = plan_for(Kind.JOB, environment=route.source, source=route.source, first=True, limits={})
    stage = StageRun("register", route.source, "", (), settings.frozen(), tuple(map(StepRun, plan)))
    return _request(candidate, route.name, (stage,), news.source, configuration, now)


def _of_pipelines(news: JobEnded, configuration: "Configuration", now: datetime) -> Iterator[PromotionRequested]:
    """What failed or was cancelled is nothing to promote: nobody is told of each attempt of a developer."""
    if news.status != COMPLETED:
        return
    for route in configuration.pipeline_routes_for_job(news.workspace, news.experiment, news.tags):
        candidate = pipeline_candidate(route, news.job, configuration)
        stages = pipeline_stage_runs(route.stages, route, configuration)
        yield _request(candidate, route.name, stages, news.source, configuration, now)


def pipeline_candidate(route: "PipelineRoute", job: str, configuration: "Configuration") -> Candidate:
    """What the job ran, under the route's name."""
    workspace = configuration.environments[route.source].workspace.id
    return Candidate(Kind.PIPELINE, route.name, job, route.source, workspace)


def pipeline_stage_runs(
    stages: "Iterable[PipelineStage]", route: "PipelineRoute", configuration: "Configuration"
) -> tuple[StageRun, ...]:
    """Stages of the route as a promotion starts with them: under the policies of their environments."""
    return tuple(
        _pipeline_stage_run(stage, configuration.environments[stage.environment].policy, route) for stage in stages
    )


def _pipeline_stage_run(stage: "PipelineStage", policy: "Policy", route: "PipelineRoute") -> StageRun:
    stage = stage.under(policy)
    asked = sorted({gate.metric for each in route.stages for gate in each.gates})
    plan = plan_for(
        Kind.PIPELINE,
        environment=stage.environment,
        source=route.source,
        first=not stage.after,
        limits=stage.limits(),
        asked=stage.asks_for(),
        worked=(APPROVE,) if policy.taken_by_environment else (),
        options={"register_components": {"metrics": asked}},
    )
    task = PipelineTask(
        stage=stage,
        experiment=route.pipelines.experiment,
        job_tags=dict(route.pipelines.tags),
        definition=route.pipelines.definition,
    )
    return StageRun(
        name=stage.name,
        environment=stage.environment,
        endpoint="",
        after=tuple(stage.after),
        settings=task.frozen(),
        steps=tuple(map(StepRun, plan)),
        approval=stage.approval_rule(),
    )


def stage_runs(
    stages: "Iterable[StageSettings]", route: "Route", model: str, configuration: "Configuration"
) -> tuple[StageRun, ...]:
    """Stages of the route as a promotion of the model starts with them: under the policies of their environments."""
    return tuple(
        _stage_run(stage, configuration.environments[stage.environment].policy, route, model, configuration)
        for stage in stages
    )


def _stage_run(
    stage: "StageSettings", policy: "Policy", route: "Route", model: str, configuration: "Configuration"
) -> StageRun:
    stage = stage.under(policy)
    plan = plan_for(
        Kind.MODEL,
        environment=stage.environment,
        source=route.source,
        first=not stage.after,
        limits=stage.limits(),
        asked=stage.asks_for(),
        worked=(APPROVE,) if policy.taken_by_environment else (),
        # It runs for the first stage alone, and has to bring what the gates of all others look at.
        options={"share": {"metrics": list(configuration.metrics_asked_for())}},
    )
    return StageRun(
        name=stage.name,
        environment=stage.environment,
        endpoint=stage.endpoint_for(model),
        after=tuple(stage.after),
        settings=ModelStage(stage=stage, require_tags=dict(route.require_tags)).frozen(),
        steps=tuple(map(StepRun, plan)),
        approval=stage.approval_rule(),
    )


def _request(
    candidate: Candidate,
    route: str,
    stages: tuple[StageRun, ...],
    requested_by: str,
    configuration: "Configuration",
    now: datetime,
    refusal: str = "",
) -> PromotionRequested:
    lane = LaneKey(route, candidate.name)
    promotion = Promotion(
        promotion_id(lane, candidate), lane, candidate, stages, requested_by, configuration.hash, now, now
    )
    return PromotionRequested(promotion, refusal)
