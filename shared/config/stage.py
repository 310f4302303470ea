"""One stop of a route as its settings describe it: the endpoint, what must hold there, how long steps may take."""

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


class ApprovalSettings(Settings):
    """People who must agree, after the gates and before anything is deployed."""

    least: Approvers = Field(alias="min", default=1, description="How many different people must approve.")
    roles: tuple[Text, ...] = Field(
        min_length=1, default=(APPROVER,), description="App roles in Entra ID; any one of them lets a person decide."
    )
    not_requester: bool = Field(
        default=True,
        description="Whether the person who asked for the promotion is kept from approving it, if they had signed in.",
    )
    not_author: bool = Field(
        default=False, description="Whether who registered the model, or ran its job, is kept from approving it."
    )
    expires: Duration = Field(
        default=timedelta(hours=72),
        description="How long to wait; then the promotion ends as rejected.",
        json_schema_extra={"default": "72h"},
    )


_PLAN = KINDS[Kind.MODEL].plan

#: How long each step of a stage may take where no time limit is set; the name of the last step that undoes another
#: stands for all that do. How long an approval may take is said with the approval.
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
    approval: ApprovalSettings | None = Field(
        default=None, description="People who must agree before this stage deploys; nobody is asked if left out."
    )
    smoke: Smoke | None = Field(default=None, description="Requests to answer before taking traffic.")
    timeouts: dict[StepName, Duration] = Field(
        default={},
        description="How long steps may take, from first start to success, before they count as failed. "
        f"Where left out: {_DEFAULTS}.",
        json_schema_extra={"propertyNames": {"enum": [*DEFAULT_LIMITS]}},
    )

    def asks_for(self) -> Collection[str]:
        """The names of the settings that are there: optional steps of the plan go by these."""
        return {name for name in type(self).model_fields if getattr(self, name) is not None}

    def limits(self) -> Mapping[str, timedelta]:
        """By step: how long it may take, where that is set."""
        approving = {APPROVE: self.approval.expires} if self.approval is not None else {}
        return {**self.timeouts, **approving}

    def approval_rule(self) -> ApprovalRule:
        """What the coordinator holds people to."""
        asked = self.approval or ApprovalSettings()
        return ApprovalRule(asked.least, asked.roles, asked.not_requester, asked.not_author)

    def endpoint_for(self, model: str) -> str:
        """The endpoint's name for the model named `model`; always the same, and always one that Azure accepts."""
        return azure_names.endpoint(self.endpoint, model)

    def under(self, policy: Policy) -> Self:
        """These settings with what the environment's policy asks for beyond them; they stay as they are in all else."""
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
    """What a stage for a model is started with."""

    stage: StageSettings
    require_tags: dict[str, str] = Field(default={}, description="Of the route.")


class JobStage(Frozen):
    """What the one stage for a finished job is started with."""

    output: str = Field(description="Name of the job's output that is registered.")
    tags: dict[str, str] = Field(default={}, description="Tags that the model gets.")
    experiment: str = Field(default="", description="Experiment that the job must be of; older versions do not say.")
    job_tags: dict[str, str] = Field(default={}, description="Tags that the job must have.")
