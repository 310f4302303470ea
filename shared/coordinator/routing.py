"""Finds the lanes that news concerns, and the promotions that it starts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.config.pipeline_stage import PipelineTask
from shared.config.stage import JobStage, ModelStage
from shared.config.window import windows
from shared.core.approval import APPROVE
from shared.core.asset_names import is_of_registry
from shared.core.events import PromotionRequested
from shared.core.job_statuses import COMPLETED
from shared.core.messages import (
    Candidate,
    EndpointAlert,
    JobEnded,
    Kind,
    LaneKey,
    ModelRegistered,
    MonitorBreached,
    News,
)
from shared.core.plan import PlanSettings, plan_for
from shared.core.promotion import Promotion, StageRun, StepRun
from shared.core.promotion_ids import promotion_id

if TYPE_CHECKING:
    from shared.config import Configuration, Environment, FromJobs, Policy, Route
    from shared.config.pipeline_route import PipelineRoute
    from shared.config.pipeline_stage import PipelineStage
    from shared.config.stage import StageSettings

#: The route of lanes for models that no route takes.
NO_ROUTE = ""


@dataclass(frozen=True)
class _Asking:
    """What all requests that one piece of news makes have in common."""

    requested_by: str
    configuration: "Configuration"
    now: datetime


def requests(news: News, configuration: "Configuration", now: datetime) -> Iterator[PromotionRequested]:
    """One request per route that takes the news. For a model that no route takes, one request that records this."""
    environment = configuration.environment_of(news.workspace)
    if isinstance(news, MonitorBreached | EndpointAlert):
        return
    if environment is None and not is_of_registry(news.workspace):
        return
    asking = _Asking(news.source, configuration, now)
    if isinstance(news, JobEnded):
        for route, jobs in configuration.routes_for_job(news.workspace, news.experiment, news.tags):
            yield _of_job(news, route, jobs, asking)
        yield from _of_pipelines(news, asking)
        return
    routes = configuration.routes_for(news.workspace, news.name)
    for route in routes:
        yield _of_model(news, route, asking)
    if not routes and environment is not None:  # of the registry only what a route takes is anybody's business here
        yield _of_no_route(news, environment, asking)


def _of_model(news: ModelRegistered, route: "Route", asking: _Asking) -> PromotionRequested:
    candidate = Candidate(Kind.MODEL, news.name, news.version, route.source, news.workspace)
    missing = route.missing_tags(news.tags)
    if missing:
        wanted = ", ".join(f"{tag}={value}" for tag, value in missing.items())
        refusal = f"route {route.name} requires the tag {wanted}, which the model does not have"
        return _request(candidate, route.name, (), asking, refusal)
    stages = stage_runs(route.stages, route, news.name, asking.configuration)
    return _request(candidate, route.name, stages, asking, bundle=route.bundle)


def _of_no_route(news: ModelRegistered, environment: "Environment", asking: _Asking) -> PromotionRequested:
    candidate = Candidate(Kind.MODEL, news.name, news.version, environment.name, news.workspace)
    routes = [
        f"{route.name} takes {', '.join(route.models)}"
        for route in asking.configuration.model_routes
        if route.source == environment.name
    ]
    refusal = f"no route takes {news.name} from {environment.name} ({'; '.join(routes) or 'none starts there'})"
    return _request(candidate, NO_ROUTE, (), asking, refusal)


def _of_job(news: JobEnded, route: "Route", jobs: "FromJobs", asking: _Asking) -> PromotionRequested:
    candidate = Candidate(Kind.JOB, jobs.model, news.job, route.source, news.workspace)
    settings = JobStage(
        output=jobs.output, tags=dict(route.require_tags), experiment=jobs.experiment, job_tags=dict(jobs.tags)
    )
    plan = plan_for(Kind.JOB, PlanSettings(), environment=route.source, source=route.source, first=True)
    stage = StageRun("register", route.source, "", (), settings.frozen(), tuple(map(StepRun, plan)))
    return _request(candidate, route.name, (stage,), asking, bundle=route.bundle)


def _of_pipelines(news: JobEnded, asking: _Asking) -> Iterator[PromotionRequested]:
    """What failed or was cancelled is nothing to promote: nobody is told of each attempt of a developer."""
    if news.status != COMPLETED:
        return
    for route in asking.configuration.pipeline_routes_for_job(news.workspace, news.experiment, news.tags):
        candidate = pipeline_candidate(route, news.job, asking.configuration)
        stages = pipeline_stage_runs(route.stages, route, asking.configuration)
        yield _request(candidate, route.name, stages, asking, bundle=route.bundle)


def pipeline_candidate(route: "PipelineRoute", job: str, configuration: "Configuration") -> Candidate:
    """What the job ran, under the route's name."""
    workspace = configuration.environments[route.source].workspace.id
    return Candidate(Kind.PIPELINE, route.name, job, route.source, workspace)


def pipeline_stage_runs(
    stages: "Iterable[PipelineStage]", route: "PipelineRoute", configuration: "Configuration"
) -> tuple[StageRun, ...]:
    """The stages of a new promotion of the model along the route, with the policies of their environments applied."""
    return tuple(
        _pipeline_stage_run(stage, configuration.environments[stage.environment].policy, route) for stage in stages
    )


def _pipeline_stage_run(stage: "PipelineStage", policy: "Policy", route: "PipelineRoute") -> StageRun:
    stage = stage.under(policy)
    asked = sorted({gate.metric for each in route.stages for gate in each.gates})
    plan = plan_for(
        Kind.PIPELINE,
        PlanSettings(
            asked=_asked(stage, route),
            limits=stage.limits(),
            options={"register_components": {"metrics": asked}, "share_data": {"data": list(route.share_data)}},
        ),
        environment=stage.environment,
        source=route.source,
        first=not stage.after,
        worked=(APPROVE,) if policy.taken_by_environment else (),
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
        soak=stage.soak or timedelta(0),
        windows=windows(stage.window),
    )


def _asked(stage: "StageSettings | PipelineStage", route: "Route | PipelineRoute") -> list[str]:
    """The settings of the stage and its route that select optional steps of the plan."""
    return [*stage.asks_for(), *(["share_data"] if route.share_data else [])]


def stage_runs(
    stages: "Iterable[StageSettings]", route: "Route", model: str, configuration: "Configuration"
) -> tuple[StageRun, ...]:
    """Stages of the route as a promotion of the model starts with them: under the policies of their environments."""
    chosen = tuple(stages)
    copies = not route.is_from_registry and any(not configuration.is_at_home(route, stage) for stage in chosen)
    elsewhere = [stage for stage in chosen if copies and not configuration.is_at_home(route, stage)]
    return tuple(_stage_run(stage, elsewhere, route, model, configuration) for stage in chosen)


def _stage_run(
    stage: "StageSettings",
    elsewhere: "Sequence[StageSettings]",
    route: "Route",
    model: str,
    configuration: "Configuration",
) -> StageRun:
    """`elsewhere`: as in `_plan_settings`."""
    policy, is_at_home = configuration.environments[stage.environment].policy, configuration.is_at_home(route, stage)
    stage = stage.under(policy)
    plan = plan_for(
        Kind.MODEL,
        _plan_settings(stage, elsewhere, route, configuration),
        environment=stage.environment,
        source=configuration.source_of(route).name,
        first=not stage.after,
        worked=(APPROVE,) if policy.taken_by_environment else (),
    )
    return StageRun(
        name=stage.name,
        environment=stage.environment,
        endpoint=stage.endpoint_for(model),
        after=tuple(stage.after),
        settings=ModelStage(
            stage=stage, require_tags=dict(route.require_tags), asset="workspace" if is_at_home else None
        ).frozen(),
        steps=tuple(map(StepRun, plan)),
        approval=stage.approval_rule(),
        soak=stage.soak or timedelta(0),
        windows=windows(stage.window),
    )


def _plan_settings(
    stage: "StageSettings", elsewhere: "Sequence[StageSettings]", route: "Route", configuration: "Configuration"
) -> PlanSettings:
    """`elsewhere`: the stages that need the model in the registry, where it is not yet."""
    online, batch = (
        list(dict.fromkeys(each.deployment for each in elsewhere if each.is_batch is is_batch))
        for is_batch in (False, True)
    )
    return PlanSettings(
        asked=_asked(stage, route),
        limits=stage.limits(),
        # They run only in the first stage, but must collect what the gates of all stages use.
        options={
            "share_data": {"data": list(route.share_data)},
            "share": {
                "metrics": list(configuration.metrics_asked_for()),
                **({} if elsewhere else {"copies": False}),
                **({"deployments": online} if online else {}),
                **({"batch_deployments": batch} if batch else {}),
            },
        },
        times=stage.rollout.times() if stage.rollout else {},
        delays=stage.delays(),
    )


def _request(
    candidate: Candidate,
    route: str,
    stages: tuple[StageRun, ...],
    asking: _Asking,
    refusal: str = "",
    bundle: str = "",
) -> PromotionRequested:
    lane, configuration, now = LaneKey(route, candidate.name), asking.configuration.hash, asking.now
    promotion = Promotion(
        promotion_id(lane, candidate),
        lane,
        candidate,
        stages,
        asking.requested_by,
        configuration,
        now,
        now,
        bundle=bundle,
    )
    return PromotionRequested(promotion, refusal)
