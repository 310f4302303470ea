"""Finds the lanes that news concerns, and the promotions that it starts."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from shared.config.stage import JobStage, ModelStage
from shared.core.approval import APPROVE
from shared.core.events import PromotionRequested
from shared.core.messages import Candidate, JobEnded, Kind, LaneKey, ModelRegistered, News
from shared.core.plan import plan_for
from shared.core.promotion import Promotion, StageRun, StepRun, promotion_id

if TYPE_CHECKING:
    from shared.config import Configuration, Environment, FromJobs, Policy, Route
    from shared.config.stage import StageSettings

#: The route of lanes for models that no route takes.
NO_ROUTE = ""


def requests(news: News, configuration: "Configuration", now: datetime) -> Iterator[PromotionRequested]:
    """One request per route that takes the news. For a model that no route takes, one request that records this."""
    environment = configuration.environment_of(news.workspace)
    if environment is None:
        return
    if isinstance(news, JobEnded):
        for route, jobs in configuration.routes_for_job(news.workspace, news.experiment, news.tags):
            yield _of_job(news, route, jobs, configuration, now)
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
        refusal = f"route {route.name} requires the tag {wanted}, which the model does not have"
        return _request(candidate, route.name, (), news.source, configuration, now, refusal)
    stages = stage_runs(route.stages, route, news.name, configuration)
    return _request(candidate, route.name, stages, news.source, configuration, now)


def _of_no_route(
    news: ModelRegistered, environment: "Environment", configuration: "Configuration", now: datetime
) -> PromotionRequested:
    candidate = Candidate(Kind.MODEL, news.name, news.version, environment.name, news.workspace)
    routes = [
        f"{route.name} takes {', '.join(route.models)}"
        for route in configuration.routes.values()
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


def stage_runs(
    stages: "Iterable[StageSettings]", route: "Route", model: str, configuration: "Configuration"
) -> tuple[StageRun, ...]:
    """The stages of a new promotion of the model along the route, with the policies of their environments applied."""
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
        # It runs only in the first stage, but must collect what the gates of all stages use.
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
