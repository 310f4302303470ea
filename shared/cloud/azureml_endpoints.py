"""Reads endpoints from Azure ML's own YAML, and their settings from the REST API."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cloud.azureml_sdk import importing
from shared.cloud.azureml_yaml import mapping, usable
from shared.ports import EndpointFile, EndpointSettings, RejectedError

if TYPE_CHECKING:
    from azure.ai.ml.entities import ManagedOnlineEndpoint

#: The app gives the traffic itself.
_TRAFFIC = ("traffic", "mirror_traffic")
#: Azure's names of how callers sign in, in any casing, as YAML spells them.
_AUTH_MODES = {"key": "key", "amltoken": "aml_token", "aadtoken": "aad_token"}


def load(file: Path, name: str) -> "ManagedOnlineEndpoint":
    """The endpoint that the file describes, under this name.

    Raises `RejectedError` if the file is missing or does not describe a managed online endpoint.
    """
    with importing():
        from azure.ai.ml import load_online_endpoint
        from azure.ai.ml.entities import ManagedOnlineEndpoint

    content = mapping(file, "managed online endpoint", "endpoint_file")
    if given := [key for key in _TRAFFIC if content.get(key)]:
        raise RejectedError(f"The endpoint file {file.name} names {given[0]}, which the app gives itself. Remove it.")
    with usable(file, "endpoint"):
        endpoint = load_online_endpoint(file, params_override=[{"name": name}])
    if not isinstance(endpoint, ManagedOnlineEndpoint):
        raise RejectedError(f"The endpoint file {file.name} does not describe a managed online endpoint.")
    return endpoint


def described(file: Path) -> EndpointFile:
    """What the file requests. `RejectedError` as in `load`."""
    content, endpoint = mapping(file, "managed online endpoint", "endpoint_file"), load(file, "checked-only")
    identity = endpoint.identity
    named = [str(each.resource_id or "") for each in (identity.user_assigned_identities or ())] if identity else []
    access = str(endpoint.public_network_access or "").lower()
    settings = EndpointSettings(
        auth_mode=_auth_mode(str(endpoint.auth_mode)) if "auth_mode" in content else None,
        identities=tuple(sorted(each.lower() for each in named)) if "identity" in content else None,
        public_network_access=access or None,
        description=endpoint.description,
        tags=_texts(endpoint.tags),
        properties=_texts(endpoint.properties),
    )
    return EndpointFile(file.resolve(), settings)


def settings_from(found: Mapping[str, Any]) -> EndpointSettings:
    """The settings of an endpoint as the REST API gives it."""
    properties = found.get("properties") or {}
    identities = (found.get("identity") or {}).get("userAssignedIdentities") or {}
    return EndpointSettings(
        auth_mode=_auth_mode(properties.get("authMode") or "key"),
        identities=tuple(sorted(str(each).lower() for each in identities)),
        public_network_access=str(properties.get("publicNetworkAccess") or "enabled").lower(),
        description=properties.get("description") or "",
        tags=_texts(found.get("tags")),
        properties=_texts(properties.get("properties")),
    )


def changed(endpoint: Any, file: Path) -> Any:
    """The SDK's entity of an existing endpoint, changed to what the file names."""
    wanted = described(file).settings
    if wanted.auth_mode:
        endpoint.auth_mode = wanted.auth_mode
    if wanted.public_network_access:
        endpoint.public_network_access = wanted.public_network_access
    if wanted.description is not None:
        endpoint.description = wanted.description
    endpoint.tags = {**(endpoint.tags or {}), **wanted.tags}
    return endpoint


def _auth_mode(name: str) -> str:
    return _AUTH_MODES.get(name.replace("_", "").lower(), name)


def _texts(values: Mapping[str, Any] | None) -> dict[str, str]:
    return {str(name): str(value) for name, value in (values or {}).items()}
