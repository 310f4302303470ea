"""Events in both schemas: read from a publish request, checked, and turned from one schema into the other."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

#: The most bytes that a publish request may have.
LARGEST_REQUEST = 1024 * 1024

_REQUIRED_STRINGS = {
    "EventGrid": ("id", "eventType", "subject", "eventTime"),
    "CloudEvents": ("id", "source", "type", "specversion"),
}


class Schema(StrEnum):
    """The form an event has on the wire."""

    EVENT_GRID = "EventGrid"
    CLOUD_EVENTS = "CloudEvents"


class InvalidEventsError(Exception):
    """A publish request that the topic refuses; the text says which event and why."""


@dataclass(frozen=True)
class Event:
    """One published event, with its content as the publisher sent it."""

    schema: Schema
    body: dict[str, Any]

    @property
    def type(self) -> str:
        """What happened, as `Microsoft.MachineLearningServices.ModelRegistered`."""
        return str(self.body["eventType" if self.schema is Schema.EVENT_GRID else "type"])

    @property
    def subject(self) -> str:
        """What it happened to; empty for a CloudEvent without a subject."""
        return str(self.body.get("subject") or "")

    def rendered(self, schema: Schema) -> dict[str, Any]:
        """The event's JSON object in the given schema."""
        if schema is self.schema:
            return self.body
        return _to_cloud_event(self.body) if schema is Schema.CLOUD_EVENTS else _to_event_grid(self.body)


def read_events(content_type: str, content: bytes, source: str) -> list[Event]:
    """The events of a publish request; `source` becomes the topic of Event Grid events that name none.

    The content type tells the schema: `application/cloudevents+json` is one CloudEvent, `…-batch+json` an array of
    them, anything else an array of Event Grid events. Raises `InvalidEventsError`.
    """
    try:
        decoded = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidEventsError(f"The request is not valid JSON: {error}") from error
    if content_type == "application/cloudevents+json":
        decoded = [decoded]
    if not isinstance(decoded, list):
        raise InvalidEventsError("The request must be a JSON array of events, even for a single event.")
    schema = Schema.CLOUD_EVENTS if content_type.startswith("application/cloudevents") else Schema.EVENT_GRID
    events = [_checked(schema, body, place) for place, body in enumerate(decoded)]
    if schema is Schema.EVENT_GRID:
        for event in events:
            event.body["topic"] = event.body.get("topic") or source
            event.body.setdefault("dataVersion", "")
            event.body["metadataVersion"] = "1"
    return events


def refuse_others(events: Sequence[Event], source: str) -> None:
    """Raises `InvalidEventsError` for events of another source than the one whose system topic this is."""
    for place, event in enumerate(events):
        name = "topic" if event.schema is Schema.EVENT_GRID else "source"
        given = event.body[name]
        if str(given).lower() != source.lower():
            raise InvalidEventsError(f"Event {place} has the {name} {given!r}; this topic belongs to {source}.")


def _checked(schema: Schema, body: Any, place: int) -> Event:
    if not isinstance(body, dict):
        raise InvalidEventsError(f"Event {place} is not a JSON object.")
    missing = [name for name in _REQUIRED_STRINGS[schema] if not isinstance(body.get(name), str) or not body[name]]
    if missing:
        raise InvalidEventsError(f"Event {place} lacks, in the {schema} schema, the text of: {', '.join(missing)}.")
    time = "time" if schema is Schema.CLOUD_EVENTS else "eventTime"
    if not _is_time(body.get(time)):
        raise InvalidEventsError(
            f"Event {place} has {time} {body[time]!r}; it must be a time such as 2026-01-31T12:00:00Z."
        )
    if schema is Schema.CLOUD_EVENTS and "data" in body and "data_base64" in body:
        raise InvalidEventsError(f"Event {place} has data and data_base64; a CloudEvent may have only one of them.")
    if schema is Schema.CLOUD_EVENTS and body["specversion"] != "1.0":
        raise InvalidEventsError(f"Event {place} has specversion {body['specversion']!r}; only '1.0' is supported.")
    return Event(schema, body)


def _is_time(value: Any) -> bool:
    """Whether it is a time in ISO 8601, or none, which only a CloudEvent may have."""
    try:
        return value is None or datetime.fromisoformat(value) is not None
    except (ValueError, TypeError):
        return False


def _to_cloud_event(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": body["id"],
        "source": body["topic"],
        "subject": body["subject"],
        "type": body["eventType"],
        "time": body["eventTime"],
        "datacontenttype": "application/json",
        "data": body.get("data"),
    }


def _to_event_grid(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": body["id"],
        "topic": body["source"],
        "subject": body.get("subject") or "",
        "eventType": body["type"],
        "eventTime": body.get("time") or datetime.now(UTC).isoformat(),
        "dataVersion": "",
        "metadataVersion": "1",
        "data": body.get("data", body.get("data_base64")),
    }
