"""Model monitors of a workspace, in memory: implements the port `Monitors` for fast tests."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from shared.config import plain_yaml
from shared.ports import Monitor, MonitorFile, RejectedError
from tests.fakes.work import FakeWork

#: What a deployment must collect to be watched.
COLLECTED = {"model_inputs", "model_outputs"}


@dataclass(kw_only=True)
class FakeMonitors(FakeWork):
    """State that tests set up and look at directly."""

    monitors: dict[str, Monitor] = field(default_factory=dict)
    collecting: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)  #: by endpoint and deployment

    def monitor_file(self, file: Path) -> MonitorFile:
        self._called("monitor_file")
        return _monitor_file(file)

    def monitor(self, name: str) -> Monitor | None:
        self._called("monitor")
        found = self.monitors.get(name)
        if found and found.state == "Creating" and self._is_ready(("monitor", name)):
            found = self.monitors[name] = replace(found, state="Succeeded")
        return found

    def start_monitor(self, file: Path, name: str, endpoint: str, deployment: str, tags: Mapping[str, str]) -> None:
        self._called("start_monitor")
        _monitor_file(file)
        if not self._is_deployed(endpoint, deployment):
            raise RejectedError(f"there is no deployment {deployment}")
        if not self.collecting.get((endpoint, deployment), frozenset()) >= COLLECTED:
            raise RejectedError(f"deployment {deployment} does not collect model_inputs and model_outputs")
        self.monitors[name] = Monitor(name, "Creating", True, f"{endpoint}/{deployment}", dict(tags))
        self._begin("monitor", name)
        self._died("start_monitor")

    def _is_deployed(self, endpoint: str, deployment: str) -> bool:
        raise NotImplementedError


def _monitor_file(file: Path) -> MonitorFile:
    if not file.is_file():
        raise RejectedError(f"There is no monitor file {file}")
    content = plain_yaml.load(file.read_text())
    if not isinstance(content, dict) or not isinstance(content.get("create_monitor"), dict) or not content.get("name"):
        raise RejectedError(f"The monitor file {file.name} does not describe a monitor")
    return MonitorFile(file.resolve(), content["name"])
