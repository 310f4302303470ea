"""What must hold of rollouts: callers are served throughout, and a candidate that is no good does not stay."""

from collections.abc import Iterator

from tests.chaos.world import Promotion, Stage, World

#: By how a stage ended: one of these lines of the journal says why.
_EXPLAINED_BY = {
    "failed": ("step-failed", "abandoned"),
    "refused": ("step-failed",),
    "cancelled": ("cancelled",),
    "rejected": ("rejected", "step-failed"),
    "rolled-back": ("rolled-back",),
}


def callers_that_failed(world: World) -> Iterator[str]:
    for each in world.failures:
        by = each.deployment or "no deployment"
        yield f"a request to {each.endpoint} was answered with {each.status or each.error} by {by}"


def requests_misdirected(world: World) -> Iterator[str]:
    yield from world.misdirected


def candidates_that_fail_and_serve(world: World) -> Iterator[str]:
    """Where something else served before, live requests must have shown it."""
    for serving in world.serving:
        promotion = world.promotion(serving.promotion) if serving.promotion else None
        stage = promotion.stage(serving.stage) if promotion else None
        if promotion is None or stage is None or (promotion.model, promotion.version) not in world.failing:
            continue
        if promotion.has_ended and stage.replaces is not None:
            yield f"{promotion.id} serves {serving.stage} in place of version {stage.replaces}, and fails on purpose"


def breaches_without_consequence(world: World) -> Iterator[str]:
    for promotion in world.promotions:
        for stage in promotion.stages:
            if stage.breached and stage.status == "succeeded" and stage.replaces is not None:
                yield f"{promotion.id} has succeeded in {stage.name} though {', '.join(sorted(stage.breached))} refused"


def ends_without_reason(world: World) -> Iterator[str]:
    for promotion in world.promotions:
        if promotion.status == "succeeded" and any(stage.status != "succeeded" for stage in promotion.stages):
            stages = ", ".join(f"{stage.name} {stage.status}" for stage in promotion.stages)
            yield f"{promotion.id} has succeeded, and its stages have not: {stages}"
        for stage in promotion.stages:
            if stage.status in _EXPLAINED_BY and not _is_explained(promotion, stage):
                yield f"{promotion.id} is {stage.status} in {stage.name}, and no line of its journal says why"


def steps_that_broke(world: World) -> Iterator[str]:
    """Whatever dies, no step may end because of the app itself."""
    for promotion in world.promotions:
        for line in promotion.journal:
            if line.what == "step-failed" and line.text.startswith("bug: "):
                yield f"{promotion.id} failed in {line.stage}.{line.step}: {line.text}"


def _is_explained(promotion: Promotion, stage: Stage) -> bool:
    return any(
        line.what in _EXPLAINED_BY[stage.status] and line.stage in (stage.name, "") for line in promotion.journal
    )
