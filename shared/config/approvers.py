"""Who may approve what a bundle promotes: its stages can name fewer roles and groups than the policy, and no others."""

from collections.abc import Iterator, Sequence

from shared.config.configuration import Route
from shared.config.faults import Fault, Steps, place
from shared.config.pipeline_route import PipelineRoute
from shared.config.pipeline_stage import PipelineStage
from shared.config.platform import Platform
from shared.config.stage import StageSettings


def beyond_policy(route: Route | PipelineRoute, steps: Steps, platform: Platform) -> Iterator[Fault]:
    """Yield a fault for each approver whom the environment's policy does not name; `steps` lead to the route.

    A policy that asks for approvals and names no roles means its default role here: a team must not choose by itself
    who approves what it deploys.
    """
    stages: Sequence[StageSettings | PipelineStage] = route.stages
    for position, stage in enumerate(stages):
        environment = platform.environments.get(stage.environment)
        asked = environment.policy.approvals if environment else None
        own = stage.approval
        if own is None or asked is None:
            continue
        at = (*steps, "stages", position, "approval")
        if "roles" in own.model_fields_set:
            yield from _others((*at, "roles"), own.roles, asked.roles, stage.environment)
        if own.groups and asked.groups:
            yield from _others((*at, "groups"), own.groups, asked.groups, stage.environment)


def _others(steps: Steps, own: Sequence[str], allowed: Sequence[str], environment: str) -> Iterator[Fault]:
    for position, name in enumerate(own):
        if name not in allowed:
            says = f"{name} may not approve in {environment}, whose policy names {', '.join(allowed)}"
            yield Fault(place((*steps, position)), says)
