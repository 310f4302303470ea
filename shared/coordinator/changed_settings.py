"""Which settings a promotion carries that its route has otherwise by now. A promotion keeps those it started with."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from shared.config.fields import Frozen
from shared.config.pipeline_route import PipelineRoute
from shared.config.pipeline_stage import PipelineTask
from shared.config.stage import ModelStage
from shared.config.team_changes import differences
from shared.coordinator import rerunning, routing
from shared.core.messages import Kind
from shared.core.promotion import Promotion, PromotionStatus, StageRun, StageStatus

if TYPE_CHECKING:
    from shared.config import Configuration, Route

#: Statuses of promotions that run or can be retried. For others, no setting matters any more.
_OPEN = (PromotionStatus.QUEUED, PromotionStatus.RUNNING, PromotionStatus.FAILED, PromotionStatus.REFUSED)


def changed_settings(promotion: Promotion, configuration: "Configuration") -> list[str]:
    """The places of the settings that differ, such as `prod.smoke.max_latency`, of stages that have not succeeded.

    Empty for a promotion that has ended and cannot be retried, and for a job, whose only stage registers its model.
    """
    if promotion.status not in _OPEN or promotion.candidate.kind is Kind.JOB or not promotion.stages:
        return []
    route = configuration.routes.get(promotion.lane.route)
    if route is None or not route.takes(promotion.lane.model):
        return [f"routes.{promotion.lane.route}"]
    kind: type[Frozen] = PipelineTask if isinstance(route, PipelineRoute) else ModelStage
    present = {stage.name: stage for stage in _present(promotion, route, configuration)}
    left = [stage for stage in promotion.stages if stage.status is not StageStatus.SUCCEEDED]
    return [place for stage in left for place in _differing(stage, present.get(stage.name), kind)]


def _present(
    promotion: Promotion, route: "Route | PipelineRoute", configuration: "Configuration"
) -> tuple[StageRun, ...]:
    """The promotion's stages as it would start with them now."""
    names = {stage.name for stage in promotion.stages}
    if isinstance(route, PipelineRoute):
        stages = [stage for stage in route.stages if stage.name in names]
        if len(stages) == 1 and not promotion.stages[0].after:  # a run of this stage alone
            return (rerunning.stage_run(route, stages[0], configuration),)
        return routing.pipeline_stage_runs(stages, route, configuration)
    chosen = [stage for stage in route.stages if stage.name in names]
    return routing.stage_runs(chosen, route, promotion.lane.model, configuration)


def _differing(carried: StageRun, present: StageRun | None, kind: type[Frozen]) -> Iterator[str]:
    if present is None:
        yield carried.name
        return
    old, new = _settings(carried, kind), _settings(present, kind)
    for change in differences(old, new):
        yield f"{carried.name}.{change.place.removeprefix('stage.')}"


def _settings(stage: StageRun, kind: type[Frozen]) -> Mapping[str, Any]:
    """What `promotion.yml` says of the stage, with what later versions of the app have added as it is by default."""
    try:
        settings = kind.parse(stage.settings).frozen()
    except ValueError:
        settings = dict(stage.settings)
    # The route's data assets are options of the step that copies them, which is named like the setting.
    data = {step.plan.name: list(names) for step in stage.steps if (names := step.plan.options.get("data"))}
    return {**settings, **data}
