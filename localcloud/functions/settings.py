"""Application settings: the environment, filled up from local.settings.json, and what is looked up in it."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.functions.definition import HostError

_PLACEHOLDER = re.compile(r"%([^%]*)%")


@dataclass(frozen=True)
class ServiceBusConnection:
    """How to reach a Service Bus namespace: a connection string, or its host name and an identity's client id."""

    connection_string: str | None = None
    namespace: str | None = None
    client_id: str | None = None
    managed_identity: bool = False


def load_local_settings(folder: Path) -> None:
    """Puts the `Values` of local.settings.json into the environment, where they never replace what is there."""
    path = folder / "local.settings.json"
    if not path.exists():
        return
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except ValueError as error:
        raise HostError(f"{path} is not valid JSON: {error}") from error
    values = content.get("Values", {}) if isinstance(content, dict) else None
    if not isinstance(values, dict):
        raise HostError(f'{path} must be of the form {{"Values": {{"NAME": "value"}}}}.')
    if content.get("IsEncrypted"):
        raise HostError(f"{path} is encrypted; run `func settings decrypt` or write the values in clear.")
    for name, value in values.items():
        if not isinstance(value, str):
            raise HostError(f"{path}: the value of '{name}' must be a string.")
        os.environ.setdefault(name, value)


def replace_placeholders(text: str, settings: Mapping[str, str]) -> str:
    """The text with each `%NAME%` replaced by the setting; raises HostError for a setting that is not there."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in settings:
            raise HostError(f"'%{name}%' does not resolve to a value: the setting '{name}' is missing.")
        return settings[name]

    return _PLACEHOLDER.sub(value, text)


def service_bus_connection(name: str, settings: Mapping[str, str]) -> ServiceBusConnection:
    """Looks up `AzureWebJobs<name>`, then `<name>`: a connection string, or a section that names an identity."""
    prefixes = [f"AzureWebJobs{name}", name] if name else ["AzureWebJobsServiceBus"]
    for prefix in prefixes:
        if settings.get(prefix):
            return ServiceBusConnection(connection_string=settings[prefix])
        section = _section(prefix, settings)
        if namespace := section.get("fullyqualifiednamespace"):
            return ServiceBusConnection(
                namespace=namespace,
                client_id=section.get("clientid"),
                managed_identity=section.get("credential", "").lower() == "managedidentity",
            )
    wanted = " or ".join(f"'{prefix}'" for prefix in prefixes)
    raise HostError(
        f"No connection '{name}': set {wanted} to a connection string, or '{prefixes[-1]}__fullyQualifiedNamespace'."
    )


def _section(prefix: str, settings: Mapping[str, Any]) -> dict[str, str]:
    start = f"{prefix}__".lower()
    return {key[len(start) :].lower(): value for key, value in settings.items() if key.lower().startswith(start)}
