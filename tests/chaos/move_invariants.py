"""What must hold of the requests of prod's endpoints as they were seen: nobody gets any before a journal says so, an
endpoint that was served stays so, and the default of a batch endpoint is one that passed its test."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from tests.chaos.world import Move, Promotion, Stage, World

STAGE = "prod"
_MOVES = ("rollout", "shift")


def moves_before_their_step(world: World) -> Iterator[str]:
    """Only of stages that were tried once: of earlier attempts, nobody knows when their steps began."""
    by_deployment = _by_deployment(world)
    for move in world.moves:
        promotion, stage = by_deployment.get(move.deployment or "", (None, None))
        if promotion is None or stage is None or stage.attempt != 1:
            continue
        begun = [step.started for step in stage.steps if step.name.partition("-")[0] in _MOVES and step.started]
        if not begun or move.at < min(begun):
            at = f"at {min(begun)}" if begun else "never"
            yield f"{move.deployment} of {move.endpoint} got requests at {move.at}, and {promotion.id} began that {at}"


def _by_deployment(world: World) -> Mapping[str, tuple[Promotion, Stage]]:
    found = ((each, stage) for each in world.promotions if (stage := each.stage(STAGE)) is not None)
    return {stage.deployment: (each, stage) for each, stage in found if stage.deployment is not None}


def endpoints_that_nobody_served(world: World) -> Iterator[str]:
    """Once something has come to serve a stage, something always does: the first one cannot be rolled back."""
    for move in world.moves:
        if move.deployment is None and (champion := _served_before(world, move)) is not None:
            yield f"{move.endpoint} was served by nobody at {move.at}, and {champion} had come to serve it before"


def _served_before(world: World, move: Move) -> str | None:
    lanes = {
        (each.route, each.model) for each in world.serving if (each.stage, each.endpoint) == (STAGE, move.endpoint)
    }
    for promotion in world.promotions:
        if (promotion.route, promotion.model) in lanes and _crowned(promotion) < move.at:
            return promotion.id
    return None


def _crowned(promotion: Promotion) -> datetime:
    crowned = (line.at for line in promotion.journal if (line.what, line.step, line.stage) == _CROWNED)
    return min(crowned, default=datetime.max.replace(tzinfo=promotion.journal[0].at.tzinfo))


_CROWNED = ("step-succeeded", "shift", STAGE)


def candidates_that_differ_and_serve(world: World) -> Iterator[str]:
    """Where a model that scores as it should served before, the comparison must have shown it."""
    for serving in world.serving:
        promotion = world.promotion(serving.promotion) if serving.promotion else None
        stage = promotion.stage(serving.stage) if promotion else None
        if promotion is None or stage is None or stage.replaces is None:
            continue
        differs = [(promotion.model, version) in world.differing for version in (promotion.version, stage.replaces)]
        if promotion.has_ended and differs == [True, False]:
            yield f"{promotion.id} serves {serving.stage} in place of version {stage.replaces}, and scores otherwise"
