"""A workspace's monitors, from Azure ML's own YAML and as the REST API gives them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from shared.cloud.azureml_connection import ConnectedWorkspace
from shared.cloud.azureml_errors import brief
from shared.cloud.azureml_rest import Rest
from shared.cloud.azureml_sdk import importing
from shared.cloud.azureml_yaml import mapping, usable
from shared.ports import Monitor, MonitorFile, RejectedError

if TYPE_CHECKING:
    from azure.ai.ml.entities import MonitorSchedule

#: The version that azure-ai-ml 1.35 asks for.
_SCHEDULES = {"api-version": "2023-06-01-preview"}
_DEPLOYMENT = re.compile(r".*/onlineEndpoints/(?P<endpoint>[^/]+)/deployments/(?P<name>[^/]+)", re.IGNORECASE)


def load(file: Path, name: str, target: str, tags: Mapping[str, str]) -> "MonitorSchedule":
    """The monitor that the file describes, under this name, for the deployment `target` (`azureml:ENDPOINT:NAME`).

    Raises `RejectedError` if the file is missing or does not describe a monitor.
    """
    with importing():
        from azure.ai.ml.entities import MonitoringTarget, MonitorSchedule
        from azure.ai.ml.entities._load_functions import load_schedule

    content = mapping(file, "monitor", "monitor")
    if not isinstance(content.get("create_monitor"), dict):
        raise RejectedError(f"The monitor file {file.name} does not describe a monitor: it needs create_monitor.")
    try:
        with usable(file, "monitor"):
            schedule = load_schedule(file, params_override=[{"name": name}])
    except NotImplementedError as fault:  # raised while the SDK puts its refusal of a schedule into words
        refusal = fault.__context__
        raise RejectedError(f"The monitor file {file.name} cannot be used: {brief(str(refusal))}") from refusal
    if not isinstance(schedule, MonitorSchedule):
        raise RejectedError(f"The monitor file {file.name} does not describe a monitor.")
    watched = schedule.create_monitor.monitoring_target or MonitoringTarget()
    watched.endpoint_deployment_id = target
    schedule.create_monitor.monitoring_target = watched
    schedule.tags = {**(schedule.tags or {}), **tags}
    return schedule


def described(file: Path) -> MonitorFile:
    """What the file says. `RejectedError` as in `load`."""
    load(file, "checked-only", "azureml:checked-only:checked-only", {})
    name = mapping(file, "monitor", "monitor").get("name")
    if not isinstance(name, str) or not name:
        raise RejectedError(f"The monitor file {file.name} needs a name.")
    return MonitorFile(file.resolve(), name)


def read(rest: Rest, workspace: str, name: str) -> Monitor | None:
    """A schedule of the workspace with this ARM id; one that is no monitor watches no deployment."""
    found = rest.get(f"{workspace}/schedules/{quote(name, safe='')}", **_SCHEDULES)
    if not found:
        return None
    properties = found.get("properties") or {}
    definition = (properties.get("action") or {}).get("monitorDefinition") or {}
    target = str((definition.get("monitoringTarget") or {}).get("deploymentId") or "")
    watched = _DEPLOYMENT.fullmatch(target)
    return Monitor(
        name=name,
        state=properties.get("provisioningState") or "",
        is_enabled=properties.get("isEnabled", True) is not False,
        deployment=f"{watched['endpoint']}/{watched['name']}" if watched else "",
        tags=dict(properties.get("tags") or {}),
    )


class MonitorsOfWorkspace(ConnectedWorkspace):
    """The part of a workspace that reads and starts its monitors."""

    def monitor_file(self, file: Path) -> MonitorFile:
        return described(file)

    def monitor(self, name: str) -> Monitor | None:
        with self._rest(f"read monitor {name}") as rest:
            return read(rest, self._id, name)

    def start_monitor(self, file: Path, name: str, endpoint: str, deployment: str, tags: Mapping[str, str]) -> None:
        schedule = load(file, name, f"azureml:{endpoint}:{deployment}", tags)
        with self._client(f"create monitor {name}") as client:
            try:
                client.schedules.begin_create_or_update(schedule)
            except AttributeError as fault:  # what azure-ai-ml meets where a deployment lacks a collection
                raise RejectedError(
                    f"Monitor {name} cannot watch deployment {deployment}: it does not collect model_inputs and "
                    "model_outputs. Add both to `data_collector` of the deployment file."
                ) from fault
