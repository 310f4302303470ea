"""Decides which messages each queue may carry. A message's queue proves who sent it; its body proves nothing.

- `promotion-events`: news from workspaces. Only the coordinator may send there.
- `steps-<environment>`: commands for that environment's worker. Only the coordinator may send there.
- `reports-<environment>`: the answers of that environment's worker, and the registrations that it found in its own
  workspace. Only that worker may send there, and the coordinator when it replays dead letters.

A message in the wrong queue is treated like one that cannot be read: it becomes a dead letter.
"""

from collections.abc import Callable
from typing import Protocol

from shared.core.message_bodies import decode
from shared.core.messages import (
    RECONCILE,
    Command,
    EndpointAlert,
    Event,
    FindRegistrations,
    JobEnded,
    ModelRegistered,
    MonitorBreached,
    News,
    Report,
    RunStep,
    StepReported,
)
from shared.core.queues import environment_of, steps_queue
from shared.core.replacing import replace
from shared.core.wire import UndecodableError


class OwnWorkspace(Protocol):
    """An environment's workspace."""

    @property
    def id(self) -> str: ...

    def has_id(self, arm_id: str) -> bool: ...


#: Finds an environment's workspace in the configuration.
WorkspaceOf = Callable[[str], OwnWorkspace]


class MisplacedError(UndecodableError):
    """The message can be read, but does not belong in the queue that it came through; the text says why."""

    def __init__(self, says: str, message: Command | Event) -> None:
        super().__init__(says)
        self.message = message


def read(queue: str, body: bytes, workspace_of: WorkspaceOf, registry: str | None = None) -> Command | Event:
    """The message that came through a queue. This and the following functions raise `UndecodableError`."""
    environment = environment_of(queue)
    if environment is None:
        return read_news(body)
    if queue == steps_queue(environment):
        return read_command(environment, body)
    return read_report(environment, body, workspace_of, registry)


def read_news(body: bytes) -> News:
    """A message of `promotion-events`."""
    message = decode(body)
    if isinstance(message, ModelRegistered | JobEnded | MonitorBreached | EndpointAlert):
        return message
    raise MisplacedError(f"{type(message).__name__} is not news from a workspace", message)


def read_command(environment: str, body: bytes) -> Command:
    """A message of `steps-<environment>`."""
    message = decode(body)
    if not isinstance(message, RunStep | FindRegistrations):
        raise MisplacedError(f"{type(message).__name__} is not a command", message)
    if message.environment != environment:
        says = f"the command is for the worker of {message.environment}, and the worker of {environment} refuses it"
        raise MisplacedError(says, message)
    return message


def read_report(environment: str, body: bytes, workspace_of: WorkspaceOf, registry: str | None = None) -> Report:
    """A message of `reports-<environment>`; `registry`: its id, where that worker's word on it counts."""
    message = decode(body)
    if isinstance(message, StepReported):
        return replace(message, environment=environment)
    if not isinstance(message, ModelRegistered):
        raise MisplacedError(f"{type(message).__name__} is not a message that a worker sends", message)
    if message.source != RECONCILE:
        says = f"a worker may report registrations only with the source {RECONCILE}, not {message.source[:50]!r}"
        raise MisplacedError(says, message)
    if registry is not None and message.workspace.casefold() == registry.casefold():
        return replace(message, workspace=registry)
    own = workspace_of(environment)
    if not own.has_id(message.workspace):
        says = f"the worker of {environment} reported a model in {message.workspace}, which is not its workspace"
        raise MisplacedError(says, message)
    return replace(message, workspace=own.id)
