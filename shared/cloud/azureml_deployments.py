"""Online endpoints and deployments: from Azure ML's own YAML, and into the dataclasses of the port."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from shared.cloud.azureml_errors import brief
from shared.ports import Deployment, Endpoint, RejectedError

if TYPE_CHECKING:
    from azure.ai.ml.entities import ManagedOnlineDeployment


def load(file: Path, endpoint: str, name: str, model: str | None) -> "ManagedOnlineDeployment":
    """The deployment that the file describes, with these in place of what it may say itself.

    Raises `RejectedError` where the file is missing or no managed online deployment.
    """
    from azure.ai.ml import load_online_deployment
    from azure.ai.ml.entities import ManagedOnlineDeployment
    from azure.ai.ml.exceptions import MlException
    from marshmallow import ValidationError

    _check_is_mapping(file)
    ours: dict[str, Any] = {"name": name, "endpoint_name": endpoint}
    if model is not None:
        ours["model"] = model
    try:
        deployment = load_online_deployment(file, params_override=[{key: value} for key, value in ours.items()])
    except (MlException, ValidationError, ValueError, TypeError, KeyError, AttributeError, OSError) as fault:
        # What the SDK raises for content of the wrong shape is not documented: this is what it was seen to raise.
        raise RejectedError(f"The deployment file {file.name} cannot be used: {brief(str(fault))}") from fault
    if not isinstance(deployment, ManagedOnlineDeployment):
        raise RejectedError(f"The deployment file {file.name} describes no managed online deployment.")
    return deployment


def endpoint_from(found: Any, error: str) -> Endpoint:
    return Endpoint(
        name=found.name,
        state=_text(found.provisioning_state),
        traffic=dict(found.traffic or {}),
        tags=dict(found.tags or {}),
        scoring_uri=found.scoring_uri,
        error=error,
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


def _check_is_mapping(file: Path) -> None:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as fault:
        raise RejectedError(f"There is no deployment file {file}: see `deployment` of the stage.") from fault
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        raise RejectedError(f"The deployment file {file.name} cannot be read: {brief(str(fault))}") from fault
    if not isinstance(content, dict):
        raise RejectedError(f"The deployment file {file.name} is no YAML mapping of a managed online deployment.")


def _text(state: Any) -> str:
    """Azure ML's word; the SDK gives an enum or a text."""
    return str(getattr(state, "value", state) or "")
