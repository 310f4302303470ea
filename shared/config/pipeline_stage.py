"""The settings of a pipeline's stage: where it runs, on which compute and data, approval, gates and registration."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from shared.config import durations
from shared.config.fields import (
    ClientId,
    Duration,
    EnvironmentName,
    FilePath,
    Frozen,
    Label,
    Margin,
    ModelName,
    Settings,
    Text,
)
from shared.config.gate import Bounds, one_of
from shared.config.policy import Instances, Policy
from shared.config.rerun import OnDrift
from shared.config.stage import SET_WITH, ApprovalSettings, soak_limit, under_policy
from shared.config.window import Windows
from shared.config.wording import did_you_mean
from shared.core.approval import APPROVE
from shared.core.messages import Kind
from shared.core.plan import KINDS
from shared.core.promotion import ApprovalRule

#: The compute that Azure ML provides by itself.
SERVERLESS = "serverless"

_BOUNDS = ("at_least", "at_most", "no_worse_than_source_by", "no_worse_than_champion_by")


class RunGate(Bounds):
    """A check of one metric of the pipeline's run in this stage. Every bound that is set must hold."""

    model_config = ConfigDict(json_schema_extra=one_of(*_BOUNDS))

    metric: Text = Field(description="Name of the metric, as a step of the pipeline logged it with MLflow.")
    no_worse_than_source_by: Margin | None = Field(
        default=None,
        description="How much worse than the source's run it may be, in the metric's unit: 0 or more.",
    )
    no_worse_than_champion_by: Margin | None = Field(
        default=None,
        description="How much worse than the champion's run here it may be, in the metric's unit: 0 or more.",
    )
    without_champion: Literal["pass", "fail"] | None = Field(
        default=None,
        description="Whether no_worse_than_champion_by passes while there is no champion. Required if that is set.",
    )
    higher_is_better: bool = Field(
        default=True, description="The direction of the comparisons: false for errors and losses."
    )

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> Self:
        if all(getattr(self, bound) is None for bound in _BOUNDS):
            raise ValueError(f"needs a bound: {', '.join(_BOUNDS[:-1])} or {_BOUNDS[-1]}")
        has_champion = self.no_worse_than_champion_by is not None
        if has_champion and self.without_champion is None:
            raise ValueError("needs without_champion: pass or fail, which applies while there is no champion")
        if not has_champion and self.without_champion is not None:
            raise ValueError("without_champion requires no_worse_than_champion_by")
        if not has_champion and self.no_worse_than_source_by is None and not self.higher_is_better:
            raise ValueError("higher_is_better requires no_worse_than_source_by or no_worse_than_champion_by")
        return self


def _as_text(value: Any) -> Any:
    """Write numbers and booleans as Azure ML does."""
    return str(value) if isinstance(value, bool | int | float) else value


InputValue = Annotated[
    Text, BeforeValidator(_as_text), WithJsonSchema({"type": ["string", "number", "boolean"], "minLength": 1})
]


class RunSettings(Settings):
    """How a pipeline runs in a stage."""

    compute: Text = Field(
        description=f"Name of a compute in the environment's workspace, or `{SERVERLESS}`. Every step runs there."
    )
    inputs: dict[Text, InputValue] = Field(
        default={},
        description="What the pipeline's inputs are bound to. For data: `NAME:VERSION` or `NAME@latest`, an asset in "
        "the environment's workspace. For others: the value. An input that is left out keeps its value from the "
        "source's job; data inputs must be given.",
    )
    timeout: Duration = Field(
        default=timedelta(hours=24),
        description="How long the run may take, including queueing. After that it is cancelled.",
        json_schema_extra={"default": "24h"},
    )
    every: Duration | None = Field(
        default=None,
        description="How long after the last run the stage's champion runs again, on fresh data, under its existing "
        "approval. The app looks every 15 minutes, so it may be that much later. Each run is a promotion. Default: it "
        "runs again only when somebody asks.",
    )
    on_drift: OnDrift | None = Field(
        default=None, description="The model monitor whose breaches make the stage's champion run again."
    )
    identity: ClientId | None = Field(
        default=None,
        description="Client id of the managed identity that the steps run as. Default: the compute's identity.",
    )
    instance_type: Text | None = Field(
        default=None, description=f"Machine size for every step. Only for `{SERVERLESS}`."
    )
    instances: Instances | None = Field(
        default=None, description="Number of machines for every step. Default: the number in the source's job."
    )


class RegisterSettings(Settings):
    """The model that the run's output becomes in the environment's own workspace."""

    output: Text = Field(description="Name of the pipeline's output that holds the model.")
    model: ModelName = Field(description="Name of the model. Each run registers its next version.")
    tags: dict[Text, str] = Field(default={}, description="Tags for the model, in addition to this app's own.")


_PLAN = KINDS[Kind.PIPELINE].plan
_RUN = "run"

#: Default time limits of a stage's steps, as in `stage.DEFAULT_LIMITS`.
RUN_LIMITS = {step.name: step.limit for step in _PLAN if not step.waits and step.name != _RUN} | {
    step.undo[-1]: step.undo_limit for step in _PLAN if step.undo
}
_DEFAULTS = ", ".join(f"{name} {durations.text(limit)}" for name, limit in RUN_LIMITS.items())


def _step(name: str) -> str:
    if name in SET_WITH:
        raise ValueError(SET_WITH[name])
    if name == _RUN:
        raise ValueError("is set with the run: run: {timeout: 24h}")
    if name not in RUN_LIMITS:
        raise ValueError(f"unknown step; {did_you_mean(name, RUN_LIMITS)}")
    return name


def _asks_nobody(value: Any) -> Any:
    return None if value is False else value


def _or_false(schema: dict[str, Any]) -> None:
    schema["anyOf"].append({"const": False})


class PipelineStage(Frozen):
    """One stage of a pipeline's route: the environment whose data the pipeline runs on."""

    environment: EnvironmentName = Field(description="Where the pipeline runs: a key of `environments`.")
    name: Label = Field(
        default_factory=lambda data: data["environment"],
        description="Name within the route. Default: the environment's. Required if two stages share one.",
    )
    after: tuple[Label, ...] = Field(
        default_factory=tuple,
        description="Stages that must succeed before this one starts. Default: the one before in the list.",
    )
    soak: Duration | None = Field(
        default=None,
        description="How long the stages in `after` must have been served by the pipeline, without a rollback, before "
        "anything is done here. Default: not at all.",
    )
    window: Windows = Field(
        default=None,
        description="When the run may begin: one window, or a list of which any may be open. Default: always.",
    )
    approval: Annotated[ApprovalSettings | None, BeforeValidator(_asks_nobody)] = Field(
        default=ApprovalSettings(),
        description="Approval that is required before the pipeline runs, because its code can read the environment's "
        "data. Default: one person. `false` asks nobody, unless the environment's policy requires approval.",
        json_schema_extra=_or_false,
    )
    run: RunSettings = Field(description="Compute, data and limits of the run.")
    gates: tuple[RunGate, ...] = Field(
        alias="validate", default=(), description="Gates that the run's metrics must pass."
    )
    register_as: RegisterSettings | None = Field(
        alias="register",
        default=None,
        description="The model that an output of the run is registered as. Default: nothing is registered.",
    )
    timeouts: dict[Annotated[str, AfterValidator(_step)], Duration] = Field(
        default={},
        description="How long steps may take, from first start to success, before they count as failed. "
        f"Defaults: {_DEFAULTS}.",
        json_schema_extra={"propertyNames": {"enum": [*RUN_LIMITS]}},
    )

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write `approval: false` explicitly, because without the key the stage would ask one person."""
        written: dict[str, Any] = handler(self)
        return written if self.approval is not None else {**written, "approval": False}

    def asks_for(self) -> Collection[str]:
        """The names of the settings that are present; they select the optional steps of the plan."""
        return {name for name in ("approval", "soak") if getattr(self, name)}

    def limits(self) -> Mapping[str, timedelta]:
        """The time limits that are set, by step."""
        approving = {APPROVE: self.approval.expires} if self.approval else {}
        return {**self.timeouts, **approving, **soak_limit(self.soak), _RUN: self.run.timeout}

    def approval_rule(self) -> ApprovalRule:
        """The approval rules that the coordinator enforces."""
        return (self.approval or ApprovalSettings()).rule()

    def under(self, policy: Policy) -> Self:
        """Return these settings tightened by the environment's policy."""
        approval = under_policy(self.approval, policy)
        return self if approval is None else self.model_copy(update={"approval": approval})


class PipelineTask(Frozen):
    """The settings of a stage for a pipeline, as a promotion keeps them."""

    stage: PipelineStage
    experiment: str = Field(description="From the route.")
    job_tags: dict[str, str] = Field(default={}, description="From the route: tags that the source's job must have.")
    definition: FilePath | None = Field(default=None, description="From the route: the file that defines the graph.")
