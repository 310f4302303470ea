"""One stop of a route as its settings describe it: the endpoint, what must hold there, how long steps may take."""

from datetime import timedelta
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from shared.config import azure_names
from shared.config.fields import (
    Duration,
    EndpointTemplate,
    EnvironmentName,
    FilePath,
    Label,
    Margin,
    Number,
    Settings,
    Text,
)

_ONE_BOUND = [{"required": [bound]} for bound in ("at_least", "at_most", "no_worse_than_champion_by")]


class Gate(Settings):
    """A check of one metric of the candidate's training job. All bounds that are given must hold."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": _ONE_BOUND,  # type: ignore[dict-item]  # a list of objects is JSON; list is invariant
            "dependentRequired": {
                "no_worse_than_champion_by": ["without_champion"],
                "without_champion": ["no_worse_than_champion_by"],
            },
        }
    )

    metric: Text = Field(description="Name of the metric, as the training job logged it with MLflow.")
    at_least: Number | None = Field(default=None, description="The lowest value that passes.")
    at_most: Number | None = Field(default=None, description="The highest value that passes.")
    no_worse_than_champion_by: Margin | None = Field(
        default=None,
        description="How much worse than the champion's the value may be: 0 or more, in the metric's unit.",
    )
    without_champion: Literal["pass", "fail"] | None = Field(
        default=None,
        description="Whether the comparison passes while there is no champion. To be chosen wherever one compares.",
    )
    higher_is_better: bool = Field(
        default=True, description="Which way the comparison looks: false for errors and losses."
    )

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> Self:
        compares = self.no_worse_than_champion_by is not None
        if not compares and self.at_least is None and self.at_most is None:
            raise ValueError("needs a bound: at_least, at_most or no_worse_than_champion_by")
        if compares and self.without_champion is None:
            raise ValueError("needs without_champion: pass or fail, for the time when there is no champion yet")
        if not compares and (self.without_champion is not None or not self.higher_is_better):
            raise ValueError("without_champion and higher_is_better mean nothing without no_worse_than_champion_by")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"nothing can pass: at_least {self.at_least:g} is above at_most {self.at_most:g}")
        return self


class Smoke(Settings):
    """Requests that a new deployment must answer before it gets any traffic."""

    requests: FilePath = Field(
        description='JSON Lines file; a line is `{"request": …, "expected": …}`, with `"tolerance"` where it differs.'
    )
    max_latency: Duration | None = Field(
        default=None, description="The longest that any one answer may take; not checked if left out."
    )
    tolerance: Margin = Field(
        default=0.0, description="How far numbers may be from the expected ones, where a line does not say. 0 is exact."
    )


def _limit(default: str, description: str, alias: str | None = None) -> Any:
    # Written as in the file, so that the JSON Schema shows it that way.
    return Field(alias=alias, default=default, validate_default=True, description=description)


class Timeouts(Settings):
    """How long each step may take, from its first start to its success, before it counts as failed."""

    share: Duration = _limit("1h", "Copying the model to the registry.")
    validate_: Duration = _limit("15m", "Checking the gates.", alias="validate")
    deploy: Duration = _limit("1h", "Creating the endpoint, if need be, and the new deployment.")
    smoke: Duration = _limit("15m", "The smoke requests.")
    shift: Duration = _limit("30m", "Giving the traffic to the new deployment.")
    retire: Duration = _limit("30m", "Removing the old deployment.")

    def of(self, step: str) -> timedelta:
        """The time limit of the step named `step`; KeyError if no step of a stage has that name."""
        for name, field in type(self).model_fields.items():
            if step == (field.alias or name):
                limit: timedelta = getattr(self, name)
                return limit
        raise KeyError(step)


class StageSettings(Settings):
    """One stop of a route: an environment, the endpoint there, and what must hold before it takes traffic."""

    environment: EnvironmentName = Field(description="Where this stage deploys: a key of `environments`.")
    name: Label = Field(
        default_factory=lambda data: data["environment"],
        description="Name within the route; the environment's if left out. Needed where two stages share one.",
    )
    endpoint: EndpointTemplate = Field(
        description="Name of the online endpoint. `{model}` is the model's name; needed where a route takes many."
    )
    deployment: FilePath = Field(
        description="Azure ML YAML of the managed online deployment, without a model: that is put in."
    )
    after: tuple[Label, ...] = Field(
        default_factory=tuple,
        description="Stages that must be done before this one starts; the one before in the list if left out.",
    )
    gates: tuple[Gate, ...] = Field(alias="validate", default=(), description="What must hold before deploying.")
    smoke: Smoke | None = Field(default=None, description="Requests to answer before taking traffic.")
    timeouts: Timeouts = Field(
        default_factory=Timeouts, description="Time limits of steps, where the defaults do not fit."
    )

    def endpoint_for(self, model: str) -> str:
        """The endpoint's name for the model named `model`; always the same, and always one that Azure accepts."""
        return azure_names.endpoint(self.endpoint, model)

    def frozen(self) -> dict[str, Any]:
        """These settings, defaults included, as JSON-able data that is copied into a promotion when it starts."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @classmethod
    def parse(cls, frozen: dict[str, Any]) -> Self:
        """The settings that `frozen()` gave. ValueError for anything else, also for keys of a newer version:
        leaving out a check that one does not know would be worse than stopping."""
        return cls.model_validate(frozen)
