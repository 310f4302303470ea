"""Reads deployments from Azure ML's own YAML, and converts endpoints and deployments to the port's dataclasses.

They are read by REST: azure-ai-ml lists an endpoint's deployments each time that it reads the endpoint.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from shared.cloud.azureml_endpoints import settings_from
from shared.cloud.azureml_rest import Rest
from shared.cloud.azureml_sdk import importing
from shared.cloud.azureml_uploads import is_remote, local_files
from shared.cloud.azureml_yaml import environment_files, environment_of_workspace, mapping, usable
from shared.ports import Deployment, DeploymentFile, Endpoint, RejectedError

if TYPE_CHECKING:
    from azure.ai.ml.entities import ManagedOnlineDeployment


_KIND = "managed online deployment"

# The versions that azure-ai-ml 1.35 asks for itself.
_ENDPOINTS = "2022-02-01-preview"
_DEPLOYMENTS = "2023-04-01-preview"


def load(file: Path, endpoint: str, name: str, model: str | None, environment: str = "") -> "ManagedOnlineDeployment":
    """The deployment that the file describes. The arguments replace the file's own values.

    Raises `RejectedError` if the file is missing or does not describe a managed online deployment.
    """
    with importing():
        from azure.ai.ml import load_online_deployment
        from azure.ai.ml.entities import ManagedOnlineDeployment

    mapping(file, _KIND)
    ours: dict[str, Any] = {"name": name, "endpoint_name": endpoint}
    if model is not None:
        ours["model"] = model
    if environment:
        ours["environment"] = environment
    with usable(file, "deployment"):
        deployment = load_online_deployment(file, params_override=[{key: value} for key, value in ours.items()])
    if not isinstance(deployment, ManagedOnlineDeployment):
        raise RejectedError(f"The deployment file {file.name} does not describe a managed online deployment.")
    return deployment


def described(file: Path) -> DeploymentFile:
    """What the file requests, and the local files that the deployment is made from. `RejectedError` as in `load`."""
    deployment = load(file, "checked-only", "checked-only", None)
    scales = getattr(deployment.scale_settings, "max_instances", None)
    instances = max((count for count in (deployment.instance_count, scales) if count is not None), default=None)
    content = mapping(file, _KIND)
    files = dict.fromkeys(
        each.resolve() for each in (file, *_of_code(file, deployment), *environment_files(file, content))
    )
    collections = deployment.data_collector.collections if deployment.data_collector else {}
    collects = frozenset(name for name, each in collections.items() if str(each.enabled).lower() == "true")
    return DeploymentFile(
        tuple(files), deployment.instance_type, instances, collects, environment_of_workspace(content)
    )


def _of_code(file: Path, deployment: "ManagedOnlineDeployment") -> Iterator[Path]:
    code = deployment.code_configuration.code if deployment.code_configuration else None
    if code and not is_remote(str(code)):
        yield from local_files(file, file.parent / str(code))


def endpoint_from(found: Mapping[str, Any], error: str = "", unread: str = "") -> Endpoint:
    """An endpoint as the REST API gives it."""
    properties = found.get("properties") or {}
    return Endpoint(
        name=found["name"],
        state=properties.get("provisioningState") or "",
        traffic=_shares(properties.get("traffic")),
        tags=dict(found.get("tags") or {}),
        scoring_uri=properties.get("scoringUri"),
        error=error,
        unread=unread,
        mirror=_shares(properties.get("mirrorTraffic")),
        settings=settings_from(found),
    )


def _shares(found: Mapping[str, int] | None) -> dict[str, int]:
    """Per cent by deployment, without those that get nothing."""
    return {each: percent for each, percent in (found or {}).items() if percent}


def deployment_from(found: Mapping[str, Any], error: str = "", unread: str = "") -> Deployment:
    """A deployment as the REST API gives it."""
    properties = found.get("properties") or {}
    return Deployment(
        name=found["name"],
        state=properties.get("provisioningState") or "",
        tags=dict(found.get("tags") or {}),
        model=properties.get("model"),
        request_timeout=_request_timeout(properties.get("requestSettings")),
        error=error,
        unread=unread,
        instance_type=properties.get("instanceType"),
        instances=(found.get("sku") or {}).get("capacity"),
        environment=properties.get("environmentId"),
    )


#: ISO 8601, as far as Azure ML uses it: `PT5S`, `PT1M30S`.
_DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?")
_USUAL_TIMEOUT = timedelta(seconds=5)


def _request_timeout(settings: Mapping[str, Any] | None) -> timedelta:
    found = _DURATION.fullmatch(str((settings or {}).get("requestTimeout")))
    if found is None:
        return _USUAL_TIMEOUT
    hours, minutes, seconds = (float(number or 0) for number in found.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def read_endpoint(rest: Rest, workspace: str, name: str) -> Mapping[str, Any] | None:
    """An endpoint of the workspace with this ARM id, as the REST API gives it."""
    found: Mapping[str, Any] | None = rest.get(_endpoint(workspace, name), **{"api-version": _ENDPOINTS})
    return found


def read_deployment(rest: Rest, workspace: str, endpoint: str, name: str) -> Mapping[str, Any] | None:
    path = f"{_endpoint(workspace, endpoint)}/deployments/{quote(name, safe='')}"
    found: Mapping[str, Any] | None = rest.get(path, **{"api-version": _DEPLOYMENTS})
    return found


def read_deployments(rest: Rest, workspace: str, endpoint: str) -> Iterator[Mapping[str, Any]]:
    """Those of an endpoint; none where the endpoint is not there."""
    page = rest.get(f"{_endpoint(workspace, endpoint)}/deployments", **{"api-version": _DEPLOYMENTS})
    while page:
        yield from page.get("value", [])
        following = page.get("nextLink")
        page = rest.get(following) if following else None


def _endpoint(workspace: str, name: str) -> str:
    return f"{workspace}/onlineEndpoints/{quote(name, safe='')}"
