"""Event Grid deliveries over HTTP: both schemas, both handshakes, and the answer that steers Event Grid's retries.

On 400, Event Grid dead-letters the event. On 503, it delivers the event again later.
https://learn.microsoft.com/azure/event-grid/delivery-and-retry
"""

from collections.abc import Callable, Mapping
from typing import Any

from shared.coordinator import alerts
from shared.coordinator.alerts import MalformedAlertError
from shared.coordinator.notifications import MalformedNotificationError
from shared.core import json_text
from shared.http.refusals import BadRequestError, unavailable
from shared.ports import QueueUnavailableError

#: Takes source, type and data of an event; raises `MalformedNotificationError` in words.
Intake = Callable[[Any, Any, Any], None]


#: Takes the `data` of an alert; raises `MalformedAlertError` in words.
TakeAlert = Callable[[Any], None]


def take(event_type: str, body: bytes, intake: Intake, take_alert: TakeAlert) -> dict[str, Any] | None:
    """Handle a delivery by its header `aeg-event-type`, or an alert of Azure Monitor, which has none; return the answer
    to a handshake, None for events.

    Raises `RefusedError`. The well-formed events of a batch are taken even then.
    """
    kind = event_type.lower()
    if kind == "unsubscribe":
        return None
    if not kind and (alert := _alert(body)) is not None:
        _take(alert, take_alert)
        return None
    if kind not in ("subscriptionvalidation", "notification"):
        raise BadRequestError("aeg-event-type must be Notification, SubscriptionValidation or Unsubscribe")
    try:
        content = json_text.read(body)
    except ValueError as fault:
        raise BadRequestError(f"the body is not JSON: {str(fault)[:200]}") from fault
    events = content if isinstance(content, list) else [content]
    if kind == "subscriptionvalidation":
        return _handshake(events)
    faults = [_taken(number, event, intake) for number, event in enumerate(events)]
    if any(faults):
        raise BadRequestError("; ".join([each for each in faults if each][:10]))
    return None


def allowed(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that answer the CloudEvents handshake, an OPTIONS request."""
    origin = headers.get("WebHook-Request-Origin", "")
    known = ("eventgrid.azure.net", "eventgrid.azure.us", "eventgrid.azure.cn")
    return {"WebHook-Allowed-Origin": origin if origin in known else known[0], "WebHook-Allowed-Rate": "*"}


def _taken(number: int, event: Any, intake: Intake) -> str | None:
    """Take one event. Return why not, if it is malformed."""
    if not isinstance(event, dict):
        return f"event {number} must be a JSON object"
    is_cloud_event = "specversion" in event
    source, kind = ("source", "type") if is_cloud_event else ("topic", "eventType")
    try:
        intake(event.get(source), event.get(kind), event.get("data"))
    except QueueUnavailableError as fault:
        raise unavailable(fault, "Deliver it again.") from fault
    except MalformedNotificationError as fault:
        return f"event {number}: {fault}"
    return None


def _alert(body: bytes) -> Any:
    """The data of an alert in the common schema; None for anything else."""
    try:
        content = json_text.read(body)
    except ValueError:
        return None
    is_alert = isinstance(content, dict) and content.get("schemaId") == alerts.SCHEMA
    return (content.get("data") or {}) if is_alert else None


def _take(alert: Any, take_alert: TakeAlert) -> None:
    try:
        take_alert(alert)
    except QueueUnavailableError as fault:
        raise unavailable(fault, "Deliver it again.") from fault
    except MalformedAlertError as fault:
        raise BadRequestError(str(fault)) from fault


def _handshake(events: list[Any]) -> dict[str, Any]:
    data = events[0].get("data") if events and isinstance(events[0], dict) else None
    code = data.get("validationCode") if isinstance(data, dict) else None
    if not isinstance(code, str):
        raise BadRequestError("the validation event holds no data.validationCode")
    return {"validationResponse": code}
