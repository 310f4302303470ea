"""Stops a command from changing anything after it has expired. Every change checks the time first."""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, cast

from shared.core.messages import RunStep
from shared.ports import EndpointKind, Workspace

#: The methods of the port that change something. The others only read, or send requests to a model.
CHANGES = frozenset(
    {
        "register_output",
        "start_share",
        "start_data_share",
        "start_endpoint",
        "start_endpoint_change",
        "start_traffic",
        "start_deployment",
        "start_removal",
        "start_monitor",
        "start_job",
        "start_invocation",
        "start_cancellation",
        "start_code",
        "start_environment",
        "start_environment_share",
        "start_component",
        "start_pipeline",
    }
)


class TooLateError(Exception):
    """The command expired before it made a change."""


class _Fenced:
    """A workspace that refuses a command's changes once the command has expired."""

    def __init__(self, workspace: Workspace, command: RunStep, clock: Callable[[], datetime]) -> None:
        self._workspace = workspace
        self._command = command
        self._clock = clock

    def with_endpoints(self, kind: EndpointKind) -> Workspace:
        """The other view of the workspace is behind the same fence."""
        return fenced(self._workspace.with_endpoints(kind), self._command, self._clock)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._workspace, name)
        if name not in CHANGES:
            return method

        @wraps(method)
        def change(*arguments: Any) -> Any:
            if self._command.expired(self._clock()):
                raise TooLateError(name)
            return method(*arguments)

        return change


def fenced(workspace: Workspace, command: RunStep, clock: Callable[[], datetime]) -> Workspace:
    """The workspace as the command may use it: from `not_after` on, every change raises `TooLateError`."""
    return cast(Workspace, _Fenced(workspace, command, clock))
