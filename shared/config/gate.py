"""Checks of one metric: the bounds that every gate may have, and the gates of a training job or an evaluation."""

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from shared.config.fields import Margin, Number, Settings, Text


def one_of(*bounds: str) -> JsonDict:
    """Return the rules of a gate's JSON schema: one of these bounds at least, and `without_champion` if it compares."""
    return {
        "anyOf": [{"required": [bound]} for bound in bounds],
        "dependentRequired": {
            "no_worse_than_champion_by": ["without_champion"],
            "without_champion": ["no_worse_than_champion_by"],
        },
    }


class Bounds(Settings):
    """The bounds of one metric that need nothing to compare with."""

    metric: Text
    at_least: Number | None = Field(default=None, description="The lowest value that passes.")
    at_most: Number | None = Field(default=None, description="The highest value that passes.")

    @model_validator(mode="after")
    def _can_pass(self) -> Self:
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"can never pass: at_least {self.at_least:g} is greater than at_most {self.at_most:g}")
        return self


class Gate(Bounds):
    """A check of one metric of the candidate. All given bounds must hold."""

    model_config = ConfigDict(json_schema_extra=one_of("at_least", "at_most", "no_worse_than_champion_by"))

    metric: Text = Field(description="Name of the metric, as the job logged it with MLflow.")
    no_worse_than_champion_by: Margin | None = Field(
        default=None,
        description="How much worse than the champion's value it may be, in the metric's unit: 0 or more.",
    )
    without_champion: Literal["pass", "fail"] | None = Field(
        default=None,
        description="Whether the comparison passes while there is no champion. Required for every comparison.",
    )
    higher_is_better: bool = Field(
        default=True, description="The direction of the comparison: false for errors and losses."
    )

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> Self:
        compares = self.no_worse_than_champion_by is not None
        if not compares and self.at_least is None and self.at_most is None:
            raise ValueError("needs a bound: at_least, at_most or no_worse_than_champion_by")
        if compares and self.without_champion is None:
            raise ValueError("needs without_champion: pass or fail, which applies while there is no champion")
        if not compares and (self.without_champion is not None or not self.higher_is_better):
            raise ValueError("without_champion and higher_is_better require no_worse_than_champion_by")
        return self
