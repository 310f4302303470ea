"""The part of host.json that this host reads, with the defaults of the real host."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.functions.definition import HostError
from localcloud.functions.json_file import read_json_file
from localcloud.functions.log_levels import LogLevels
from localcloud.functions.timespan import parse_timespan

#: How app settings begin that replace log levels of host.json; a category, or `default`, follows.
LOG_LEVEL_SETTING = "AzureFunctionsJobHost__logging__logLevel__"


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
    log_levels: LogLevels = field(default_factory=lambda: LogLevels({}))


def load_host_configuration(folder: Path) -> HostConfiguration:
    """Reads FOLDER/host.json; raises HostError when it is missing, malformed or of another version than 2.0."""
    path = folder / "host.json"
    try:
        content = read_json_file(path)
    except FileNotFoundError as error:
        raise HostError(f'{path} does not exist; every function app has one, at least {{"version": "2.0"}}.') from error
    if not isinstance(content, dict) or content.get("version") != "2.0":
        raise HostError(f'{path}: "version" must be "2.0".')
    try:
        return _configuration(content)
    except ValueError as error:
        raise HostError(f"{path}: {error}") from error


def _configuration(content: dict[str, Any]) -> HostConfiguration:
    http = _section(content, "extensions", "http")
    return HostConfiguration(
        route_prefix=_text(http, "extensions.http.routePrefix", "api").strip("/"),
        function_timeout=_timeout(content),
        service_bus=_service_bus(_section(content, "extensions", "serviceBus")),
        log_levels=_log_levels(content),
    )


def _service_bus(section: dict[str, Any]) -> ServiceBusLimits:
    default = ServiceBusLimits()
    return ServiceBusLimits(
        prefetch_count=_whole_number(section, "prefetchCount", default.prefetch_count, at_least=0),
        complete_messages=_truth(section, "autoCompleteMessages", default.complete_messages),
        concurrent_calls=_whole_number(section, "maxConcurrentCalls", default.concurrent_calls, at_least=1),
        lock_renewal_duration=_timespan(section, "extensions.serviceBus.maxAutoLockRenewalDuration", "00:05:00"),
        batch_size=_whole_number(section, "maxMessageBatchSize", default.batch_size, at_least=1),
    )


def _timeout(content: dict[str, Any]) -> float | None:
    return None if content.get("functionTimeout") == "-1" else _timespan(content, "functionTimeout", "00:30:00")


def _log_levels(content: dict[str, Any]) -> LogLevels:
    """The log levels of host.json, unless a setting replaces them."""
    section = _section(content, "logging", "logLevel")
    for category, level in section.items():
        if not isinstance(level, str):
            raise ValueError(f"logging.logLevel.{category} must be text, not {level!r}.")
    rules = dict(section)
    prefix = LOG_LEVEL_SETTING.lower()
    for name, level in os.environ.items():
        if name.lower().startswith(prefix):
            replaced = name[len(prefix) :]
            rules = {category: kept for category, kept in rules.items() if category.lower() != replaced.lower()}
            rules[replaced] = level
    return LogLevels(rules)


def _section(content: dict[str, Any], *names: str) -> dict[str, Any]:
    section = content
    for depth, name in enumerate(names, start=1):
        section = section.get(name, {})
        if not isinstance(section, dict):
            raise ValueError(f"{'.'.join(names[:depth])} must be an object, not {section!r}.")
    return section


def _text(section: dict[str, Any], place: str, default: str) -> str:
    value = section.get(place.rpartition(".")[2], default)
    if not isinstance(value, str):
        raise ValueError(f"{place} must be text, not {value!r}.")
    return value


def _timespan(section: dict[str, Any], place: str, default: str) -> float:
    text = _text(section, place, default)
    try:
        return parse_timespan(text)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def _truth(section: dict[str, Any], name: str, default: bool) -> bool:
    value = section.get(name, default)
    if not isinstance(value, bool):
        raise ValueError(f"extensions.serviceBus.{name} must be true or false, not {value!r}.")
    return value


def _whole_number(section: dict[str, Any], name: str, default: int, *, at_least: int) -> int:
    value = section.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise ValueError(f"extensions.serviceBus.{name} must be a whole number of at least {at_least}, not {value!r}.")
    return value
