"""The runs that schedules, monitors and people ask for in the stages of pipelines."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from shared.coordinator import routing
from shared.core.events import RunAsked
from shared.core.lane_notes import Cause
from shared.core.messages import LaneKey, MonitorBreached
from shared.core.promotion import StageRun

if TYPE_CHECKING:
    from shared.config import Configuration
    from shared.config.pipeline_route import PipelineRoute
    from shared.config.pipeline_stage import PipelineStage


def scheduled(configuration: "Configuration") -> Iterator[RunAsked]:
    """For every stage with a schedule; its lane knows whether it is time."""
    for route in configuration.pipeline_routes:
        for stage in route.stages:
            if stage.run.every is not None:
                yield RunAsked(
                    lane_of(route),
                    stage_run(route, stage, configuration),
                    Cause.SCHEDULE,
                    "the schedule",
                    configuration.hash,
                    pause=stage.run.every,
                    bundle=route.bundle,
                )


def for_breach(news: MonitorBreached, configuration: "Configuration") -> Iterator[RunAsked]:
    """For the stages in the monitor's workspace that its breach asks to run."""
    for route in configuration.pipeline_routes:
        for stage in route.stages:
            drift = stage.run.on_drift
            here = configuration.environments[stage.environment].workspace.has_id(news.workspace)
            if here and drift is not None and drift.takes(news.monitor):
                yield RunAsked(
                    lane_of(route),
                    stage_run(route, stage, configuration),
                    Cause.DRIFT,
                    f"monitor {news.monitor}",
                    configuration.hash,
                    pause=drift.cooldown,
                    most_in_month=drift.at_most,
                    bundle=route.bundle,
                    reason=f"{news.says} (run {news.run})",
                )


def lane_of(route: "PipelineRoute") -> LaneKey:
    return LaneKey(route.name, route.name)


def stage_run(route: "PipelineRoute", stage: "PipelineStage", configuration: "Configuration") -> StageRun:
    """The stage as a run of it alone starts with it: with its present settings, and no stage before it."""
    [alone] = routing.pipeline_stage_runs([stage.model_copy(update={"after": (), "soak": None})], route, configuration)
    return alone
