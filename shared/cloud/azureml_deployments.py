"""Reads deployments from Azure ML's own YAML, and converts endpoints and deployments to the port's dataclasses."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from shared.cloud.azureml_errors import brief
from shared.cloud.azureml_uploads import is_remote, local_files
from shared.ports import Deployment, DeploymentFile, Endpoint, RejectedError

if TYPE_CHECKING:
    from azure.ai.ml.entities import ManagedOnlineDeployment


def load(file: Path, endpoint: str, name: str, model: str | None) -> "ManagedOnlineDeployment":
    """The deployment that the file describes. The arguments replace the file's own values.

    Raises `RejectedError` if the file is missing or does not describe a managed online deployment.
    """
    from azure.ai.ml import load_online_deployment
    from azure.ai.ml.entities import ManagedOnlineDeployment
    from azure.ai.ml.exceptions import MlException
    from marshmallow import ValidationError

    _mapping(file)
    ours: dict[str, Any] = {"name": name, "endpoint_name": endpoint}
    if model is not None:
        ours["model"] = model
    try:
        deployment = load_online_deployment(file, params_override=[{key: value} for key, value in ours.items()])
    except (MlException, ValidationError, ValueError, TypeError, KeyError, AttributeError, OSError) as fault:
        # The SDK does not document what it raises for content of the wrong shape. These were observed.
        raise RejectedError(f"The deployment file {file.name} cannot be used: {brief(str(fault))}") from fault
    if not isinstance(deployment, ManagedOnlineDeployment):
        raise RejectedError(f"The deployment file {file.name} does not describe a managed online deployment.")
    return deployment


def described(file: Path) -> DeploymentFile:
    """What the file requests, and the local files that the deployment is made from. `RejectedError` as in `load`."""
    deployment = load(file, "checked-only", "checked-only", None)
    scales = getattr(deployment.scale_settings, "max_instances", None)
    instances = max((count for count in (deployment.instance_count, scales) if count is not None), default=None)
    files = dict.fromkeys(each.resolve() for each in (file, *_of_code(file, deployment), *_of_environment(file)))
    return DeploymentFile(tuple(files), deployment.instance_type, instances)


def _of_code(file: Path, deployment: "ManagedOnlineDeployment") -> Iterator[Path]:
    code = deployment.code_configuration.code if deployment.code_configuration else None
    if code and not is_remote(str(code)):
        yield from local_files(file, file.parent / str(code))


def _of_environment(file: Path) -> Iterator[Path]:
    """The conda file and build context of an environment that the deployment file describes."""
    environment = _mapping(file).get("environment")
    environment = environment if isinstance(environment, dict) else {}
    build = environment.get("build")
    for place in (environment.get("conda_file"), build.get("path") if isinstance(build, dict) else None):
        if isinstance(place, str) and not is_remote(place):
            yield from local_files(file, file.parent / place)


def endpoint_from(found: Any, error: str, unread: str) -> Endpoint:
    return Endpoint(
        name=found.name,
        state=_text(found.provisioning_state),
        traffic=dict(found.traffic or {}),
        tags=dict(found.tags or {}),
        scoring_uri=found.scoring_uri,
        error=error,
        unread=unread,
    )


def deployment_from(found: Any, error: str = "", unread: str = "") -> Deployment:
    return Deployment(
        name=found.name,
        state=_text(found.provisioning_state),
        tags=dict(found.tags or {}),
        model=found.model,
        error=error,
        unread=unread,
    )


def _mapping(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as fault:
        raise RejectedError(f"There is no deployment file {file}. Correct `deployment` of the stage.") from fault
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        raise RejectedError(f"The deployment file {file.name} cannot be read: {brief(str(fault))}") from fault
    if not isinstance(content, dict):
        raise RejectedError(f"The deployment file {file.name} does not describe a managed online deployment in YAML.")
    return content


def _text(state: Any) -> str:
    """Azure ML's term, which the SDK returns as an enum or a text."""
    return str(getattr(state, "value", state) or "")
