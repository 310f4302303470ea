"""Application settings: the environment, filled up from local.settings.json, and what is looked up in it."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.functions.definition import HostError
from localcloud.functions.json_file import read_json_file

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
    content = read_json_file(path)
    values = content.get("Values", {}) if isinstance(content, dict) else None
    if not isinstance(values, dict):
        raise HostError(f'{path} must be of the form {{"Values": {{"NAME": "value"}}}}.')
    if content.get("IsEncrypted"):
        raise HostError(f"{path} is encrypted; run `func settings decrypt` or store the values unencrypted.")
    for name, value in values.items():
        if isinstance(value, dict | list):
            raise HostError(f"{path}: the value of '{name}' must be a string.")
        if value is not None:  # Core Tools skip null, and turn numbers and booleans into text
            os.environ.setdefault(name, str(value))


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
            _check_connection_string(prefix, settings[prefix])
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


def is_disabled(function: str, settings: Mapping[str, str]) -> bool:
    """Whether `AzureWebJobs.NAME.Disabled` is true, or the same with underscores, for shells that allow no dots."""
    names = (f"azurewebjobs.{function}.disabled".lower(), f"azurewebjobs_{function}_disabled".lower())
    return any(value.strip().lower() in ("true", "1") for name, value in settings.items() if name.lower() in names)


def _check_connection_string(setting: str, text: str) -> None:
    """Raises HostError. The message leaves out the text, which may hold a key."""
    parts = {name.strip().lower(): value for name, _, value in (part.partition("=") for part in text.split(";"))}
    signed = parts.get("sharedaccesssignature") or (parts.get("sharedaccesskeyname") and parts.get("sharedaccesskey"))
    if not parts.get("endpoint", "").startswith("sb://") or not signed:
        form = "Endpoint=sb://HOST;SharedAccessKeyName=NAME;SharedAccessKey=KEY"
        raise HostError(f"The setting '{setting}' is not a Service Bus connection string such as {form}.")


def _section(prefix: str, settings: Mapping[str, Any]) -> dict[str, str]:
    start = f"{prefix}__".lower()
    return {key[len(start) :].lower(): value for key, value in settings.items() if key.lower().startswith(start)}
