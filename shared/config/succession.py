"""The order of a route's stages."""

from itertools import pairwise
from typing import TypeVar

from shared.config.pipeline_stage import PipelineStage
from shared.config.stage import StageSettings

StageT = TypeVar("StageT", StageSettings, PipelineStage)


def one_after_the_other(stages: tuple[StageT, ...]) -> tuple[StageT, ...]:
    """The stages, each after the one before it in the list unless its `after` says otherwise."""
    return stages[:1] + tuple(
        stage if "after" in stage.model_fields_set else stage.model_copy(update={"after": (before.name,)})
        for before, stage in pairwise(stages)
    )
