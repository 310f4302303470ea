"""The settings of one stage: its endpoint, its conditions, its time limits."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from shared.config import azure_names, durations
from shared.config.fields import (
    Duration,
    EndpointTemplate,
    EnvironmentName,
    FilePath,
    Frozen,
    Label,
    Margin,
    Number,
    Settings,
    Text,
)
from shared.config.policy import Approvers, Policy
from shared.config.wording import did_you_mean
from shared.core.approval import APPROVE
from shared.core.messages import Kind
from shared.core.plan import KINDS
from shared.core.promotion import APPROVER, ApprovalRule

_ONE_BOUND = [{"required": [bound]} for bound in ("at_least", "at_most", "no_worse_than_champion_by")]


class Gate(Settings):
    """A check of one metric of the candidate's training job. All given bounds must hold."""

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
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"can never pass: at_least {self.at_least:g} is greater than at_most {self.at_most:g}")
        return self


class Smoke(Settings):
    """Requests that a new deployment must answer before it gets any traffic."""

    requests: FilePath = Field(
        description='JSON Lines file. Each line is `{"request": …, "expected": …}`, with an optional `"tolerance"`.'
    )
    max_latency: Duration | None = Field(
        default=None, description="The maximum time for any one answer. Default: not checked."
    )
    tolerance: Margin = Field(
        default=0.0, description="How far numbers may be from the expected ones. A line can override it. 0 is exact."
    )


class ApprovalSettings(Settings):
    """People who must agree, after the gates and before anything is deployed."""

    least: Approvers = Field(alias="min", default=1, description="How many different people must approve.")
    roles: tuple[Text, ...] = Field(
        min_length=1, default=(APPROVER,), description="App roles in Entra ID; any one of them lets a person decide."
    )
    not_requester: bool = Field(
        default=True,
        description="Whether the person who requested the promotion may not approve it. Needs a signed-in requester.",
    )
    not_author: bool = Field(
        default=False, description="Whether the person who registered the model or ran its job may not approve it."
    )
    expires: Duration = Field(
        default=timedelta(hours=72),
        description="How long to wait. After that, the promotion ends as rejected.",
        json_schema_extra={"default": "72h"},
    )


_PLAN = KINDS[Kind.MODEL].plan

#: Default time limits of a stage's steps. The name of the last undo step stands for all of them. The limit of an
#: approval is set with the approval.
DEFAULT_LIMITS = {step.name: step.limit for step in _PLAN if not step.waits} | {
    step.undo[-1]: step.undo_limit for step in _PLAN if step.undo
}


def _step(name: str) -> str:
    if name in (step.name for step in _PLAN if step.waits):
        raise ValueError("is set with the approval: approval: {expires: 72h}")
    if name not in DEFAULT_LIMITS:
        raise ValueError(f"unknown step; {did_you_mean(name, DEFAULT_LIMITS)}")
    return name


StepName = Annotated[str, AfterValidator(_step)]
_DEFAULTS = ", ".join(f"{name} {durations.text(limit)}" for name, limit in DEFAULT_LIMITS.items())


class StageSettings(Frozen):
    """One stage of a route: an environment, its endpoint, and the conditions for taking traffic."""

    environment: EnvironmentName = Field(description="Where this stage deploys: a key of `environments`.")
    name: Label = Field(
        default_factory=lambda data: data["environment"],
        description="Name within the route. Default: the environment's. Required if two stages share one.",
    )
    endpoint: EndpointTemplate = Field(
        description="Name of the online endpoint. `{model}` is the model's name; required if a route takes several."
    )
    deployment: FilePath = Field(
        description="Azure ML YAML of the managed online deployment, without a model: the app adds it."
    )
    after: tuple[Label, ...] = Field(
        default_factory=tuple,
        description="Stages that must succeed before this one starts. Default: the one before in the list.",
    )
    gates: tuple[Gate, ...] = Field(alias="validate", default=(), description="Gates that must pass before deploying.")
    approval: ApprovalSettings | None = Field(
        default=None, description="Approval that is required before this stage deploys. Default: none."
    )
    smoke: Smoke | None = Field(default=None, description="Requests that must be answered before taking traffic.")
    timeouts: dict[StepName, Duration] = Field(
        default={},
        description="How long steps may take, from first start to success, before they count as failed. "
        f"Defaults: {_DEFAULTS}.",
        json_schema_extra={"propertyNames": {"enum": [*DEFAULT_LIMITS]}},
    )

    def asks_for(self) -> Collection[str]:
        """The names of the settings that are present; they select the optional steps of the plan."""
        return {name for name in type(self).model_fields if getattr(self, name) is not None}

    def limits(self) -> Mapping[str, timedelta]:
        """The time limits that are set, by step."""
        approving = {APPROVE: self.approval.expires} if self.approval is not None else {}
        return {**self.timeouts, **approving}

    def approval_rule(self) -> ApprovalRule:
        """The approval rules that the coordinator enforces."""
        asked = self.approval or ApprovalSettings()
        return ApprovalRule(asked.least, asked.roles, asked.not_requester, asked.not_author)

    def endpoint_for(self, model: str) -> str:
        """Return the endpoint's name for `model`: deterministic, and always valid on Azure."""
        return azure_names.endpoint(self.endpoint, model)

    def under(self, policy: Policy) -> Self:
        """Return these settings tightened by the environment's policy."""
        own, asked = self.approval, policy.approvals
        if own is None and asked is None:
            return self
        approval = own or ApprovalSettings(roles=asked.roles if asked else (APPROVER,))
        wanted = {
            "least": max(approval.least, asked.least if asked else 0),
            "not_author": approval.not_author or policy.not_author,
            "roles": asked.roles if asked and asked.taken_by == "environment" else approval.roles,
        }
        return self.model_copy(update={"approval": approval.model_copy(update=wanted)})


class ModelStage(Frozen):
    """The settings of a stage for a model, as a promotion keeps them."""

    stage: StageSettings
    require_tags: dict[str, str] = Field(default={}, description="The route's.")
    # Left out of what travels where it is not set, so that workers of before understand it.
    asset: Literal["workspace"] | None = Field(
        default=None, description="What is deployed: the workspace's own model version. Default: the registry's."
    )


class JobStage(Frozen):
    """The settings of the only stage for a finished job, as a promotion keeps them."""

    output: str = Field(description="Name of the job's output to register.")
    tags: dict[str, str] = Field(default={}, description="Tags to put on the model.")
    experiment: str = Field(default="", description="Experiment that the job must be of; older versions omit it.")
    job_tags: dict[str, str] = Field(default={}, description="Tags that the job must have.")
