"""host.json: the part of it that this host honours, with the defaults of the real host."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.functions.definition import HostError
from localcloud.functions.timespan import parse_timespan

#: An app setting that replaces the default log level of host.json, named as Azure names such settings.
LOG_LEVEL_SETTING = "AzureFunctionsJobHost__logging__logLevel__default"


@dataclass(frozen=True)
class ServiceBusLimits:
    """`extensions.serviceBus`; the lock renewal duration is in seconds."""

    prefetch_count: int = 0
    complete_messages: bool = True
    concurrent_calls: int = field(default_factory=lambda: 16 * (os.cpu_count() or 1))
    lock_renewal_duration: float = 300.0
    batch_size: int = 1000


@dataclass(frozen=True)
class HostConfiguration:
    """What host.json says; `function_timeout` is in seconds, None means unbounded."""

    route_prefix: str = "api"
    function_timeout: float | None = 1800.0
    service_bus: ServiceBusLimits = field(default_factory=ServiceBusLimits)
    log_level: str = "Information"


def load_host_configuration(folder: Path) -> HostConfiguration:
    """Reads FOLDER/host.json; raises HostError when it is missing, malformed or of another version than 2.0."""
    path = folder / "host.json"
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError as error:
        raise HostError(f'{path} does not exist; every function app has one, at least {{"version": "2.0"}}.') from error
    except ValueError as error:
        raise HostError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict) or content.get("version") != "2.0":
        raise HostError(f'{path}: "version" must be "2.0".')
    try:
        return _configuration(content)
    except (TypeError, ValueError, AttributeError) as error:
        raise HostError(f"{path}: {error}") from error


def _configuration(content: dict[str, Any]) -> HostConfiguration:
    extensions = content.get("extensions", {})
    timeout = content.get("functionTimeout", "00:30:00")
    return HostConfiguration(
        route_prefix=extensions.get("http", {}).get("routePrefix", "api").strip("/"),
        function_timeout=None if timeout == "-1" else parse_timespan(timeout),
        service_bus=_service_bus(extensions.get("serviceBus", {})),
        log_level=os.environ.get(
            LOG_LEVEL_SETTING, content.get("logging", {}).get("logLevel", {}).get("default", "Information")
        ),
    )


def _service_bus(section: dict[str, Any]) -> ServiceBusLimits:
    default = ServiceBusLimits()
    return ServiceBusLimits(
        prefetch_count=_whole_number(section, "prefetchCount", default.prefetch_count, at_least=0),
        complete_messages=bool(section.get("autoCompleteMessages", default.complete_messages)),
        concurrent_calls=_whole_number(section, "maxConcurrentCalls", default.concurrent_calls, at_least=1),
        lock_renewal_duration=parse_timespan(section.get("maxAutoLockRenewalDuration", "00:05:00")),
        batch_size=_whole_number(section, "maxMessageBatchSize", default.batch_size, at_least=1),
    )


def _whole_number(section: dict[str, Any], name: str, default: int, *, at_least: int) -> int:
    value = section.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise ValueError(f"serviceBus.{name} must be a whole number of at least {at_least}, not {value!r}.")
    return value
