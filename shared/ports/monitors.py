"""Model monitors: schedules of Azure ML that compare a deployment's production data with a reference."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class MonitorFile:
    """What a file says of a monitor. `{model}` in its name stands for the model's."""

    file: Path
    name: str


@dataclass(frozen=True)
class Monitor:
    """A monitor. `state` is Azure ML's provisioning state: Creating, Updating, Succeeded, Failed."""

    name: str
    state: str
    is_enabled: bool
    deployment: str  #: what it watches, as `endpoint/deployment`; empty if it watches no deployment
    tags: Mapping[str, str] = field(default_factory=dict)


class Monitors(Protocol):
    """A workspace's monitors. Nothing waits, as in `Workspace`."""

    def monitor_file(self, file: Path) -> MonitorFile: ...  # RejectedError if it cannot be used
    def monitor(self, name: str) -> Monitor | None: ...
    # Makes it, or replaces it as a whole. RejectedError if the deployment does not collect its inputs and outputs.
    def start_monitor(self, file: Path, name: str, endpoint: str, deployment: str, tags: Mapping[str, str]) -> None: ...
