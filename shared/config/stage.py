"""The settings of one stage: its endpoint, its conditions, its time limits."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator

from shared.config import azure_names, durations
from shared.config.batch import BATCH_ONLY, INVOKE, ONLINE_ONLY, BatchTest
from shared.config.evaluation import EvaluationSettings
from shared.config.fields import (
    Duration,
    EndpointTemplate,
    EnvironmentName,
    FilePath,
    Frozen,
    GroupId,
    Label,
    Margin,
    Settings,
    Text,
)
from shared.config.gate import Gate as Gate
from shared.config.policy import ApprovalPolicy, Approvers, Policy
from shared.config.rollout import Rollout, removed_after
from shared.config.window import Windows
from shared.config.wording import did_you_mean
from shared.core.approval import APPROVE
from shared.core.messages import Kind
from shared.core.plan import KINDS
from shared.core.promotion import APPROVER, ApprovalRule
from shared.core.soaking import MOST_HELD, SOAK


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
    # Left out of what travels where it is not set, so that workers of before understand it.
    groups: tuple[GroupId, ...] | None = Field(
        default=None,
        min_length=1,
        description="Object ids of Entra ID groups: a person must be in one of them, too. Default: no group is needed.",
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

    def rule(self) -> ApprovalRule:
        """The approval rules that the coordinator enforces."""
        return ApprovalRule(self.least, self.roles, self.not_requester, self.not_author, self.groups or ())


def soak_limit(soak: timedelta | None) -> Mapping[str, timedelta]:
    """The time limit of the step that waits for a stage's soak, which a hold may prolong."""
    return {SOAK: soak + MOST_HELD} if soak is not None else {}


def under_policy(own: ApprovalSettings | None, policy: Policy) -> ApprovalSettings | None:
    """What a stage asks for, tightened by the environment's policy; None where neither asks for approval."""
    asked = policy.approvals
    if own is None and asked is None:
        return None
    approval = own or ApprovalSettings(roles=asked.roles if asked else (APPROVER,))
    wanted = {
        "least": max(approval.least, asked.least if asked else 0),
        "not_author": approval.not_author or policy.not_author,
        "roles": _roles(approval, asked) if asked else approval.roles,
        "groups": _groups(approval, asked) if asked else approval.groups,
    }
    return approval.model_copy(update=wanted)


def _roles(approval: ApprovalSettings, asked: ApprovalPolicy) -> tuple[str, ...]:
    """The roles that a stage and the policy both name; the policy's if the stage names none of them."""
    if not asked.named_roles or asked.taken_by == "environment":
        return asked.named_roles or approval.roles
    return tuple(each for each in approval.roles if each in asked.named_roles) or asked.named_roles


def _groups(approval: ApprovalSettings, asked: ApprovalPolicy) -> tuple[str, ...] | None:
    """The groups that a stage and the policy both name; the policy's if the stage names none of them."""
    if not asked.groups or asked.taken_by == "environment":
        return asked.groups if asked.taken_by == "environment" else approval.groups
    return tuple(each for each in approval.groups or () if each in asked.groups) or asked.groups


_PLAN = KINDS[Kind.MODEL].plan

#: Default time limits of a stage's steps. The name of the last undo step stands for all of them. The limit of an
#: approval is set with the approval.
_OF_ROLLOUT = {step.name for step in _PLAN if step.repeats or step.holds}
_ELSEWHERE = {*_OF_ROLLOUT, INVOKE}
DEFAULT_LIMITS = {step.name: step.limit for step in _PLAN if not step.waits and step.name not in _ELSEWHERE} | {
    step.undo[-1]: step.undo_limit for step in _PLAN if step.undo
}


#: Where the time of a wait is set.
SET_WITH = {
    APPROVE: "is set with the approval: approval: {expires: 72h}",
    SOAK: "is set with `soak`, as in `soak: 24h`",
    INVOKE: "is set with the test: test: {timeout: 2h}",
}


def _step(name: str) -> str:
    if name in SET_WITH:
        raise ValueError(SET_WITH[name])
    if name in _OF_ROLLOUT:
        raise ValueError("follows from the times in rollout: change them there")
    if name not in DEFAULT_LIMITS:
        raise ValueError(f"unknown step; {did_you_mean(name, DEFAULT_LIMITS)}")
    return name


StepName = Annotated[str, AfterValidator(_step)]
_DEFAULTS = ", ".join(f"{name} {durations.text(limit)}" for name, limit in DEFAULT_LIMITS.items())


class StageSettings(Frozen):
    """One stage of a route: an environment, its endpoint, and the conditions for taking traffic."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["endpoint"]}, {"required": ["batch_endpoint"]}]}
    )

    environment: EnvironmentName = Field(description="Where this stage deploys: a key of `environments`.")
    name: Label = Field(
        default_factory=lambda data: data["environment"],
        description="Name within the route. Default: the environment's. Required if two stages share one.",
    )
    batch_endpoint: EndpointTemplate | None = Field(
        default=None, description="Name of the batch endpoint, in place of `endpoint`. `{model}` is the model's name."
    )
    endpoint: EndpointTemplate | None = Field(
        default=None,
        validate_default=True,
        description="Name of the online endpoint. `{model}` is the model's name; required if a route takes several.",
    )
    deployment: FilePath = Field(
        description="Azure ML YAML of the managed online deployment, or of the batch deployment, without a model: the "
        "app adds it."
    )
    endpoint_file: FilePath | None = Field(
        default=None,
        description="Azure ML YAML of the managed online endpoint: `auth_mode`, `identity`, `public_network_access`, "
        "`tags`, `properties`. Default: an endpoint with keys. For a batch endpoint: `description`, `tags`, "
        "`properties`.",
    )
    monitor: FilePath | None = Field(
        default=None,
        description="Azure ML YAML of a model monitor that watches the deployment that serves. `{model}` in its `name` "
        "is the model's name. Default: none.",
    )
    after: tuple[Label, ...] = Field(
        default_factory=tuple,
        description="Stages that must succeed before this one starts. Default: the one before in the list.",
    )
    soak: Duration | None = Field(
        default=None,
        description="How long the stages in `after` must have served the candidate before anything is done here. "
        "Default: not at all.",
    )
    gates: tuple[Gate, ...] = Field(alias="validate", default=(), description="Gates that must pass before deploying.")
    evaluate: EvaluationSettings | None = Field(
        default=None, description="A job here that measures the model and the champion. Default: none."
    )
    approval: ApprovalSettings | None = Field(
        default=None, description="Approval that is required before this stage deploys. Default: none."
    )
    window: Windows = Field(
        default=None,
        description="When the steps of the deployment may begin: one window, or a list of which any may be open. "
        "Default: always.",
    )
    smoke: Smoke | None = Field(default=None, description="Requests that must be answered before taking traffic.")
    test: BatchTest | None = Field(
        default=None,
        description="Test of a new batch deployment before it becomes the default of its endpoint. Default: none.",
    )
    keep: Duration | None = Field(
        default=None,
        description="How long a batch endpoint keeps the replaced deployment, so that a rollback takes seconds. "
        "Default: it is removed at once.",
    )
    rollout: Rollout | None = Field(
        default=None,
        description="How the traffic moves to the new deployment, and the way back. Default: all at once, and the "
        "replaced deployment is removed at once.",
    )
    timeouts: dict[StepName, Duration] = Field(
        default={},
        description="How long steps may take, from first start to success, before they count as failed. "
        f"Defaults: {_DEFAULTS}.",
        json_schema_extra={"propertyNames": {"enum": [*DEFAULT_LIMITS]}},
    )

    @field_validator(*ONLINE_ONLY, *BATCH_ONLY)
    @classmethod
    def _fits_the_endpoint(cls, value: Any, info: ValidationInfo) -> Any:
        is_batch, name = info.data.get("batch_endpoint") is not None, str(info.field_name)
        if value is not None and is_batch and name in ONLINE_ONLY:
            raise ValueError(f"makes no sense for a batch endpoint: {ONLINE_ONLY[name]}")
        if value is not None and not is_batch and name in BATCH_ONLY:
            raise ValueError(f"is for a batch endpoint: {BATCH_ONLY[name]}")
        return value

    @field_validator("endpoint")
    @classmethod
    def _has_one_endpoint(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "batch_endpoint" not in info.data:  # it is wrong, which is a fault of its own
            return value
        is_batch = info.data["batch_endpoint"] is not None
        if value is None and not is_batch:
            raise ValueError("is missing; name one here, or in batch_endpoint")
        if value is not None and is_batch:
            raise ValueError("is in one stage with batch_endpoint; give each a stage of its own")
        return value

    @property
    def is_batch(self) -> bool:
        """Whether its endpoint is a batch endpoint."""
        return self.batch_endpoint is not None

    @property
    def endpoint_template(self) -> str:
        """The endpoint's name, which may contain `{model}`."""
        return self.endpoint or self.batch_endpoint or ""

    @property
    def endpoint_key(self) -> str:
        """The setting that names the endpoint."""
        return "batch_endpoint" if self.is_batch else "endpoint"

    def asks_for(self) -> Collection[str]:
        """The names of the settings that are present; they select the optional steps of the plan."""
        present = {name for name in type(self).model_fields if getattr(self, name) is not None}
        return present | set(self.rollout.asks_for()) if self.rollout is not None else present

    def limits(self) -> Mapping[str, timedelta]:
        """The time limits that are set, by step."""
        approving = {APPROVE: self.approval.expires} if self.approval is not None else {}
        rolling = self.rollout.limits() if self.rollout is not None else {}
        testing = {INVOKE: self.test.timeout} if self.test is not None else {}
        return {**self.timeouts, **approving, **soak_limit(self.soak), **rolling, **testing}

    def delays(self) -> Mapping[str, timedelta]:
        """How long after the stage's end steps of the plan run."""
        return removed_after(self.keep) if self.rollout is None else self.rollout.delays()

    @property
    def runs_jobs(self) -> bool:
        """Whether it runs jobs in its environment's workspace."""
        return self.evaluate is not None or (self.rollout is not None and self.rollout.job is not None)

    def approval_rule(self) -> ApprovalRule:
        """The approval rules that the coordinator enforces."""
        return (self.approval or ApprovalSettings()).rule()

    def endpoint_for(self, model: str) -> str:
        """Return the endpoint's name for `model`: deterministic, and always valid on Azure."""
        return azure_names.endpoint(self.endpoint_template, model)

    def under(self, policy: Policy) -> Self:
        """Return these settings tightened by the environment's policy."""
        approval = under_policy(self.approval, policy)
        return self if approval is None else self.model_copy(update={"approval": approval})


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
