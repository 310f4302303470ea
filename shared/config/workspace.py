"""An Azure ML workspace and its ARM id."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from shared.config import azure_names
from shared.config.fields import SETTING

_WORKSPACE_ID = (
    r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/Microsoft\.MachineLearningServices/workspaces/([^/]+)/?"
)


@dataclass(frozen=True)
class WorkspaceReference:
    """An Azure ML workspace, identified by its ARM id."""

    subscription: str
    resource_group: str
    name: str

    @classmethod
    def parse(cls, arm_id: str) -> Self:
        """Parse a workspace's ARM id, in any casing; raise ValueError for anything else."""
        parts = re.fullmatch(_WORKSPACE_ID, arm_id.strip(), re.IGNORECASE)
        if parts is None:
            raise ValueError(
                "must be a workspace's ARM id: /subscriptions/…/resourceGroups/…"
                "/providers/Microsoft.MachineLearningServices/workspaces/…"
            )
        return cls(parts[1], parts[2], azure_names.WORKSPACE.check(parts[3]))

    @property
    def id(self) -> str:
        """The ARM id, in the casing of the configuration and without a trailing slash."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.name}"
        )

    def has_id(self, arm_id: str) -> bool:
        """Return whether `arm_id` names this workspace. ARM ignores case."""
        return self.id.casefold() == arm_id.rstrip("/").casefold()


def _workspace(value: Any) -> WorkspaceReference:
    if not isinstance(value, str):
        raise ValueError("must be a workspace's ARM id in quotes")
    return WorkspaceReference.parse(value)


WorkspaceId = Annotated[
    WorkspaceReference,
    BeforeValidator(_workspace),
    PlainSerializer(lambda workspace: workspace.id, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^/subscriptions/.+/workspaces/[^/]+/?$|{SETTING}"}),
]
