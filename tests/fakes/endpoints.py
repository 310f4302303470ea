"""Endpoint files and the settings of endpoints, for the workspace in memory."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from shared.config import plain_yaml
from shared.ports import EndpointFile, EndpointSettings, RejectedError


def endpoint_file(file: Path) -> EndpointFile:
    """What the file requests."""
    if not file.is_file():
        raise RejectedError(f"There is no endpoint file {file}")
    try:
        content = plain_yaml.load(file.read_text())
    except yaml.YAMLError as fault:
        raise RejectedError(f"The endpoint file {file.name} cannot be read") from fault
    if not isinstance(content, dict) or "traffic" in content or "compute" in content:
        raise RejectedError(f"The endpoint file {file.name} does not describe an endpoint that can be used")
    if content.get("auth_mode", "key") not in ("key", "aml_token", "aad_token"):
        raise RejectedError(f"The endpoint file {file.name} has an unknown auth_mode")
    identity = content.get("identity")
    named = (identity or {}).get("user_assigned_identities", [])
    settings = EndpointSettings(
        auth_mode=content.get("auth_mode"),
        identities=tuple(sorted(each["resource_id"].lower() for each in named)) if identity else None,
        public_network_access=content.get("public_network_access"),
        description=content.get("description"),
        tags=content.get("tags", {}),
        properties=content.get("properties", {}),
    )
    return EndpointFile(file.resolve(), settings)


def made_from(wanted: EndpointSettings, tags: Mapping[str, str]) -> EndpointSettings:
    """Settings of a new endpoint, with Azure's defaults."""
    return EndpointSettings(
        auth_mode=wanted.auth_mode or "key",
        identities=wanted.identities or (),
        public_network_access=wanted.public_network_access or "enabled",
        description=wanted.description or "",
        tags={**wanted.tags, **tags},
        properties=wanted.properties,
    )


def with_changes(has: EndpointSettings, wanted: EndpointSettings) -> EndpointSettings:
    """Settings of an endpoint after a change; identity and properties stay."""
    return replace(
        has,
        auth_mode=wanted.auth_mode or has.auth_mode,
        public_network_access=wanted.public_network_access or has.public_network_access,
        description=wanted.description if wanted.description is not None else has.description,
        tags={**has.tags, **wanted.tags},
    )
