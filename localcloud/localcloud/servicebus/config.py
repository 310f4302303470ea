"""Reads the queues from a `Config.json` of Microsoft's Service Bus emulator, reporting all faults at once.

Properties are those of the emulator's configuration file, so that the same file works with both, except for
`MaxMessageSizeInKilobytes`, which is Azure's. What only the emulator has (topics, and queues with forwarding) is
skipped with a warning. A missing property has the default of the real service; the emulator's own defaults are 3
deliveries, an hour to live and a window of 20 seconds. Shorter lock durations than the real service's five seconds are
accepted, since tests need them.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.json_comments import without_comments

#: What `--help` shows.
EXAMPLE = """\
{"UserConfig": {"Namespaces": [{"Name": "sbemulatorns", "Queues": [
  {"Name": "orders", "Properties": {"LockDuration": "PT1M", "MaxDeliveryCount": 10}}
]}]}}
"""

LONGEST_LOCK_DURATION = 5 * 60.0
LONGEST_DUPLICATE_DETECTION_WINDOW = 7 * 24 * 3600.0
MOST_DELIVERIES = 2000
#: TimeSpan.MaxValue, in seconds: Azure's default time to live, which means none.
ENDLESS = 10_675_199 * 86_400.0
#: Message sizes in KB: the limit of the Standard tier, and the maximum of Premium.
STANDARD_MESSAGE_SIZE, LARGEST_MESSAGE_SIZE = 256, 102_400

_QUEUE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,258}[A-Za-z0-9])?")
_DURATION = re.compile(
    r"P(?=.)(?:(?P<days>\d+(?:\.\d+)?)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_SECONDS = {"days": 86_400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """How one queue behaves. Durations are in seconds."""

    name: str
    lock_duration: float = 60.0
    max_delivery_count: int | None = 10
    #: None: messages without a time to live of their own never expire.
    default_time_to_live: float | None = None
    dead_letter_expired: bool = False
    #: None: duplicates are not detected.
    duplicate_detection_window: float | None = None
    #: Every message belongs to a session, which one receiver at a time holds.
    requires_session: bool = False
    #: In bytes, of one message or of a batch.
    max_message_size: int = STANDARD_MESSAGE_SIZE * 1024


class ConfigurationError(ValueError):
    """A configuration with faults; the message has one line per fault, each beginning with its place."""

    def __init__(self, path: Path, faults: list[str]) -> None:
        super().__init__("\n  ".join([f"{path} cannot be used:", *faults]))
        self.faults = faults


def read_config(path: Path) -> list[QueueSettings]:
    """The queues of a `Config.json` that can be served. Raises `ConfigurationError` with every fault in it."""
    try:
        document = json.loads(without_comments(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise ConfigurationError(path, [f"cannot be read: {error.strerror}"]) from error
    except ValueError as error:
        raise ConfigurationError(path, [f"not valid JSON: {error}"]) from error
    reader = _Reader()
    queues = list(reader.queues(document))
    if reader.faults:
        raise ConfigurationError(path, reader.faults)
    for left_out in reader.left_out:
        _log.warning("%s: %s", path, left_out)
    return queues


class _Reader:
    """Walks the document, collecting faults instead of stopping at the first."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.left_out: list[str] = []

    def fault(self, place: str, what: str) -> None:
        self.faults.append(f"{place}: {what}")

    def queues(self, document: object) -> Iterator[QueueSettings]:
        root = self._object(document, "(document)", {"$schema", "UserConfig"})
        user = self._object(root.get("UserConfig"), "UserConfig", {"Namespaces", "Logging"})
        namespaces = self._list(user.get("Namespaces"), "UserConfig.Namespaces")
        if len(namespaces) > 1:
            self.fault("UserConfig.Namespaces", "only one namespace is supported, as in Microsoft's emulator")
        if not namespaces and not self.faults:
            self.fault("UserConfig.Namespaces", "a namespace with its queues is missing")
        for index, namespace in enumerate(namespaces):
            yield from self._namespace(namespace, f"UserConfig.Namespaces[{index}]")

    def _namespace(self, value: object, place: str) -> Iterator[QueueSettings]:
        namespace = self._object(value, place, {"Name", "Queues", "Topics"})
        if not isinstance(namespace.get("Name"), str) or not namespace["Name"]:
            self.fault(f"{place}.Name", "a name is missing")
        if topics := self._list(namespace.get("Topics"), f"{place}.Topics"):
            self.left_out.append(f"the topics are left out ({len(topics)}): this broker has queues only")
        seen: set[str] = set()
        for index, queue in enumerate(self._list(namespace.get("Queues"), f"{place}.Queues")):
            settings = self._queue(queue, f"{place}.Queues[{index}]")
            if settings is None:
                continue
            if settings.name.lower() in seen:
                self.fault(f"{place}.Queues[{index}].Name", f"{settings.name!r} is defined twice (case is ignored)")
            seen.add(settings.name.lower())
            yield settings

    def _queue(self, value: object, place: str) -> QueueSettings | None:
        """The queue, or None if it cannot be served, which is recorded as a fault or as left out."""
        queue = self._object(value, place, {"Name", "Properties"})
        if not isinstance(value, dict):
            return None
        name = queue.get("Name")
        if not isinstance(name, str) or not _QUEUE_NAME.fullmatch(name):
            self.fault(
                f"{place}.Name",
                f"{name!r} is not a valid queue name: use at most 260 letters and digits, and . _ - / inside",
            )
            name = place
        place = f"{place}.Properties"
        properties = _Properties(self, self._object(queue.get("Properties", {}), place, PROPERTIES), place)
        needs = [name for name in _NOT_HERE if properties.values.get(name) not in (None, False, "")]
        window = properties.duration("DuplicateDetectionHistoryTimeWindow", 600.0, LONGEST_DUPLICATE_DETECTION_WINDOW)
        to_live = properties.duration("DefaultMessageTimeToLive", None)
        size = properties.count("MaxMessageSizeInKilobytes", STANDARD_MESSAGE_SIZE, LARGEST_MESSAGE_SIZE)
        settings = QueueSettings(
            name=name,
            lock_duration=properties.duration("LockDuration", 60.0, LONGEST_LOCK_DURATION),
            max_delivery_count=properties.count("MaxDeliveryCount", 10, MOST_DELIVERIES),
            default_time_to_live=None if to_live is not None and to_live >= ENDLESS else to_live,
            dead_letter_expired=properties.flag("DeadLetteringOnMessageExpiration"),
            duplicate_detection_window=window if properties.flag("RequiresDuplicateDetection") else None,
            requires_session=properties.flag("RequiresSession"),
            max_message_size=size * 1024,
        )
        if needs:
            self.left_out.append(
                f"the queue {name} is left out: it has {' and '.join(needs)}, which this broker does not support"
            )
            return None
        return settings

    def _object(self, value: object, place: str, known: set[str]) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            self.fault(place, "an object is missing" if value is None else "must be an object")
            return {}
        for unknown in value.keys() - known:
            self.fault(f"{place}.{unknown}", f"unknown; known here: {', '.join(sorted(known))}")
        return value

    def _list(self, value: object, place: str) -> list[Any]:
        if value is None or isinstance(value, list):
            return value or []
        self.fault(place, "must be a list")
        return []


_NOT_HERE = ("ForwardTo", "ForwardDeadLetteredMessagesTo")
PROPERTIES = {
    "DeadLetteringOnMessageExpiration",
    "DefaultMessageTimeToLive",
    "DuplicateDetectionHistoryTimeWindow",
    "LockDuration",
    "MaxDeliveryCount",
    "MaxMessageSizeInKilobytes",
    "RequiresDuplicateDetection",
    "RequiresSession",
    *_NOT_HERE,
}


class _Properties:
    """The properties of one queue, each read with its type and bounds."""

    def __init__(self, reader: _Reader, values: Mapping[str, Any], place: str) -> None:
        self._reader = reader
        self._place = place
        self.values = values

    def duration(self, name: str, default: Any, longest: float | None = None) -> Any:
        """Seconds from an ISO 8601 duration."""
        value = self.values.get(name)
        if value is None:
            return default
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if not match:
            self._fault(name, f"{value!r} is not an ISO 8601 duration such as PT30S, PT1H or P14D")
            return default
        seconds = sum(float(number) * _SECONDS[unit] for unit, number in match.groupdict().items() if number)
        if seconds <= 0:
            self._fault(name, f"{value} must be positive")
        elif longest is not None and seconds > longest:
            self._fault(name, f"{value} is longer than the maximum, {longest:.0f} seconds")
        return seconds

    def count(self, name: str, default: int, most: int) -> int:
        value = self.values.get(name, default)
        if type(value) is not int or not 1 <= value <= most:
            self._fault(name, f"{value!r} must be a whole number from 1 to {most}")
            return default
        return value

    def flag(self, name: str) -> bool:
        value = self.values.get(name, False)
        if not isinstance(value, bool):
            self._fault(name, f"{value!r} must be true or false")
        return value is True

    def _fault(self, name: str, what: str) -> None:
        self._reader.fault(f"{self._place}.{name}", what)
