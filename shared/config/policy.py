"""The rules of an environment for every deployment, whatever its route.

The worker enforces them from its own configuration, so a command cannot relax them.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from shared.config.evaluation import EvaluationPolicy
from shared.config.fields import SETTING, ClientId, Duration, GroupId, Settings, Text, no_truth_value
from shared.config.workspace import WorkspaceId
from shared.core.promotion import APPROVER

#: More than any team has approvers.
MOST_APPROVERS = 20
#: More than any endpoint has.
MOST_INSTANCES = 1000


def _whole(least: int, most: int) -> WithJsonSchema:
    number = {"type": "integer", "minimum": least, "maximum": most}
    return WithJsonSchema({"anyOf": [number, {"type": "string", "pattern": SETTING}]})


#: How many different people.
Approvers = Annotated[int, BeforeValidator(no_truth_value), Field(ge=1, le=MOST_APPROVERS), _whole(1, MOST_APPROVERS)]

Instances = Annotated[int, BeforeValidator(no_truth_value), Field(ge=1, le=MOST_INSTANCES), _whole(1, MOST_INSTANCES)]


class ApprovalPolicy(Settings):
    """How many people must approve a deployment in an environment, and which app records the approvals."""

    least: Approvers = Field(alias="min", default=1, description="How many different people must approve.")
    roles: tuple[Text, ...] = Field(
        min_length=1, default=(APPROVER,), description="App roles in Entra ID. A person needs one of them to decide."
    )
    groups: tuple[GroupId, ...] | None = Field(
        default=None,
        min_length=1,
        description="Object ids of Entra ID groups: a person must be in one of them, too. Default: no group is needed.",
    )
    taken_by: Literal["coordinator", "environment"] = Field(
        default="coordinator",
        description="Which app takes approvals: the coordinator, or the environment's own, which trusts no other.",
    )

    @property
    def named_roles(self) -> tuple[str, ...]:
        """The roles that limit who may approve, whichever app takes the approvals; empty if the policy names none.
        Then a stage may choose its own where the coordinator takes them."""
        return self.roles if self.taken_by == "environment" or "roles" in self.model_fields_set else ()


def _counted(value: Any) -> Any:
    return value if isinstance(value, Mapping | ApprovalPolicy) else {"min": value}


def _number_or_more(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"type": "integer", "minimum": 1, "maximum": MOST_APPROVERS}, *schema["anyOf"]]


class Policy(Settings):
    """The rules of an environment. Routes can be stricter, never more lenient."""

    approvals: Annotated[
        ApprovalPolicy | None, BeforeValidator(lambda value: None if value is None else _counted(value))
    ] = Field(
        default=None,
        description="How many people must approve each deployment: a number, or a mapping with more settings. "
        "Also applies to stages that require fewer approvals, or none.",
        json_schema_extra=_number_or_more,
    )
    not_author: bool = Field(
        default=False,
        description="Whether the model's author, who registered it or ran its job, may not approve it.",
    )
    unknown_author: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="With not_author: what happens if the model's author is unknown, or is not a person but a service "
        "principal.",
    )
    source_workspace: WorkspaceId | None = Field(
        default=None,
        description="ARM id of the workspace that models come from, if this environment's identity may read it. This "
        "environment's worker then reads the author itself; otherwise it trusts the source's worker.",
    )
    instance_types: tuple[Text, ...] = Field(
        default=(),
        description="The instance types that a deployment, and a job on serverless compute, may use here. "
        "Default: any.",
    )
    max_instances: Instances | None = Field(
        default=None,
        description="The maximum number of instances of a deployment here, and of machines for a job or a step.",
    )
    computes: tuple[Text, ...] = Field(
        default=(),
        description="The computes that a pipeline or an evaluation may run on here, by name; `serverless` is one. "
        "Default: any.",
    )
    identities: tuple[ClientId, ...] = Field(
        default=(),
        description="The managed identities, by client id, that a pipeline may run as here. If set, each run must name "
        "one of them. Default: any.",
    )

    rerun_for: Duration = Field(
        default=timedelta(days=90),
        description="How long after its approval a pipeline may run here again (by schedule, for drift, or on request) "
        "without new approval.",
        json_schema_extra={"default": "90d"},
    )

    share_data: tuple[Text, ...] = Field(
        default=(),
        description="Names of the data assets that published routes may copy from here to the registry. Default: none. "
        "Routes in the same file as this policy need no entry.",
    )

    evaluation: EvaluationPolicy | None = Field(
        default=None,
        description="The evaluation that every model must pass before it is deployed here. The worker reads the job.",
    )

    @property
    def taken_by_environment(self) -> bool:
        """Whether the environment's own app takes the approvals."""
        return self.approvals is not None and self.approvals.taken_by == "environment"
