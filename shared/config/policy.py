"""What an environment demands of whatever is deployed there, whichever route it comes by.

Its worker enforces it from the worker's own configuration: what a command says cannot soften it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from shared.config.fields import SETTING, Settings, Text, no_truth_value
from shared.config.workspace import WorkspaceId
from shared.core.promotion import APPROVER

#: No team has more people who approve one thing.
MOST_APPROVERS = 20
#: No endpoint has more.
MOST_INSTANCES = 1000


def _whole(least: int, most: int) -> WithJsonSchema:
    number = {"type": "integer", "minimum": least, "maximum": most}
    return WithJsonSchema({"anyOf": [number, {"type": "string", "pattern": SETTING}]})


#: How many different people.
Approvers = Annotated[int, BeforeValidator(no_truth_value), Field(ge=1, le=MOST_APPROVERS), _whole(1, MOST_APPROVERS)]

Instances = Annotated[int, BeforeValidator(no_truth_value), Field(ge=1, le=MOST_INSTANCES), _whole(1, MOST_INSTANCES)]


class ApprovalPolicy(Settings):
    """How many people must approve what is deployed in an environment, and who keeps their word."""

    least: Approvers = Field(alias="min", default=1, description="How many different people must approve.")
    roles: tuple[Text, ...] = Field(
        min_length=1, default=(APPROVER,), description="App roles in Entra ID; any one of them lets a person decide."
    )
    taken_by: Literal["coordinator", "environment"] = Field(
        default="coordinator",
        description="Which app takes them: the coordinator, or the environment's own app, which believes nobody else.",
    )


def _counted(value: Any) -> Any:
    return value if isinstance(value, Mapping | ApprovalPolicy) else {"min": value}


def _number_or_more(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"type": "integer", "minimum": 1, "maximum": MOST_APPROVERS}, *schema["anyOf"]]


class Policy(Settings):
    """The rules of an environment. Routes can ask for more, and for nothing less."""

    approvals: Annotated[
        ApprovalPolicy | None, BeforeValidator(lambda value: None if value is None else _counted(value))
    ] = Field(
        default=None,
        description="People who must approve each deployment: how many, or a mapping with more. Stages that ask for "
        "fewer, or for none, ask for as many.",
        json_schema_extra=_number_or_more,
    )
    not_author: bool = Field(
        default=False,
        description="Whether who made the model is kept from approving it: who registered it, or ran its job.",
    )
    unknown_author: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="With not_author: what becomes of a model whose author is unknown or no person, such as a service "
        "principal that runs pipelines.",
    )
    source_workspace: WorkspaceId | None = Field(
        default=None,
        description="ARM id of the workspace that models come from, if this environment's identity may read it. Its "
        "worker then finds out itself who the author is; else it takes the word of the source's worker.",
    )
    instance_types: tuple[Text, ...] = Field(
        default=(), description="The only sizes that a deployment may have here; any if left out."
    )
    max_instances: Instances | None = Field(
        default=None, description="The most instances that a deployment may have here."
    )

    @property
    def taken_by_environment(self) -> bool:
        """Whether the environment's own app takes the approvals."""
        return self.approvals is not None and self.approvals.taken_by == "environment"
