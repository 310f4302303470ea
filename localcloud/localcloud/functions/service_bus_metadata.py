"""The trigger metadata of Service Bus messages, name by name as the real host sends it.

From ServiceBusTriggerBindingStrategy.AddBindingData (azure-sdk-for-net), and from Utility.ApplyBindingData and
GrpcMessageConversionExtensions (azure-functions-host). Nulls are left out, text goes as text, the rest as JSON. Neither
the scheduled time, the time to live, the lock's end, the state nor the reason of a dead letter is among them.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from localcloud.functions.definition import FunctionDefinition
from localcloud.functions.runtime import Datum, collection, json_value, string

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusReceivedMessage

Values = Mapping[str, Any]

_NEVER = "9999-12-31T23:59:59.9999999"
_TEXTS = (
    "DeadLetterSource",
    "LockToken",
    "MessageId",
    "ContentType",
    "ReplyTo",
    "To",
    "Subject",
    "Label",
    "CorrelationId",
    "SessionId",
    "ReplyToSessionId",
    "PartitionKey",
    "TransactionPartitionKey",
)

_HAND_MADE: Values = {
    **dict.fromkeys(_TEXTS),
    "DeliveryCount": 0,
    "LockToken": str(UUID(int=0)),
    "ExpiresAtUtc": _NEVER,
    "ExpiresAt": f"{_NEVER}+00:00",
    "EnqueuedTimeUtc": "0001-01-01T00:00:00",
    "EnqueuedTime": "0001-01-01T00:00:00+00:00",
    "SequenceNumber": 0,
    "ApplicationProperties": {},
    "UserProperties": {},
}


def message_body(message: "ServiceBusReceivedMessage") -> bytes:
    """The body's bytes; that of a message whose body is an AMQP value as the SDK writes it."""
    body = message.body
    if isinstance(body, bytes | str):
        return body.encode() if isinstance(body, str) else body
    try:
        return b"".join(body)
    except TypeError:
        return str(message).encode()


def single_metadata(values: Values, body: str | None = None) -> dict[str, Datum]:
    """The metadata of one message, which the body's own fields may have overwritten (see `overwrite_from_body`)."""
    metadata = {
        name: string(value) if name in _TEXTS else json_value(value)
        for name, value in values.items()
        if value is not None
    }
    if body is not None:
        overwrite_from_body(metadata, body)
    return metadata


def batch_metadata(rows: Sequence[Values]) -> dict[str, Datum]:
    """The metadata of several messages: an array for each name.

    Arrays of text lose their empty entries on the way, as in Azure, so their places tell nothing in a mixed batch.
    """
    metadata = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name in _TEXTS:
            metadata[f"{name}Array"] = collection([value for value in values if value])
        elif name == "SequenceNumber":
            metadata[f"{name}Array"] = collection(values)
        else:
            metadata[f"{name}Array"] = json_value(values)
    return metadata


def hand_made_message(definition: FunctionDefinition, body: str) -> tuple[Datum, dict[str, Datum]]:
    """The trigger's value and metadata for a message that was in no queue, as the admin API runs a function."""
    if definition.trigger.properties.get("cardinality") == "MANY":
        return collection([body]), batch_metadata([_HAND_MADE])
    return string(body), single_metadata(_HAND_MADE, body)


def overwrite_from_body(metadata: dict[str, Datum], body: str) -> None:
    """Lets the top-level fields of a JSON object replace metadata of the same name, whatever its case; arrays do not.

    This is issue 7119 of azure-functions-host, reproduced so that it shows before production.
    """
    trimmed = body.strip()
    if not (trimmed.startswith("{") and trimmed.endswith("}")):
        return
    try:
        fields = json.loads(trimmed)
    except ValueError:
        return
    known = {name.lower(): name for name in metadata}
    for field, value in fields.items():
        if value is None or isinstance(value, list):
            continue
        name = known.setdefault(field.lower(), field)
        metadata[name] = json_value(value) if isinstance(value, dict) else string(_newtonsoft_text(value))


def _newtonsoft_text(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, bool) else json.dumps(value)


def message_values(message: "ServiceBusReceivedMessage") -> Values:
    """The metadata of one message by name; None for what it does not have."""
    raw = message.raw_amqp_message
    annotations = raw.annotations or {}

    # The SDK's own attributes for these count all properties at each access.
    def of_properties(name: str) -> Any:
        return _decoded(getattr(raw.properties, name, None))

    expires, enqueued = _time(message.expires_at_utc) or _NEVER, _time(message.enqueued_time_utc)
    subject = of_properties("subject")
    application_properties = _plain(message.application_properties or {})
    return {
        # The SDK for .NET counts this delivery, the wire and the SDK for Python only those that failed before.
        "DeliveryCount": (message.delivery_count or 0) + 1,
        "DeadLetterSource": _decoded(annotations.get(b"x-opt-deadletter-source")),
        "LockToken": _text(message.lock_token),
        "ExpiresAtUtc": expires,
        "ExpiresAt": f"{expires}+00:00",
        "EnqueuedTimeUtc": enqueued,
        "EnqueuedTime": f"{enqueued}+00:00" if enqueued else None,
        "MessageId": _text(of_properties("message_id")),
        "ContentType": of_properties("content_type"),
        "ReplyTo": of_properties("reply_to"),
        "SequenceNumber": message.sequence_number,
        "To": of_properties("to"),
        "Subject": subject,
        "Label": subject,
        "CorrelationId": _text(of_properties("correlation_id")),
        "ApplicationProperties": application_properties,
        "UserProperties": application_properties,
        "SessionId": of_properties("group_id"),
        "ReplyToSessionId": of_properties("reply_to_group_id"),
        "PartitionKey": message.partition_key,
        "TransactionPartitionKey": _decoded(annotations.get(b"x-opt-via-partition-key")),
    }


def _time(moment: datetime | None) -> str | None:
    """A time as .NET writes one of no particular zone: seven digits at most, no trailing zeros, no offset."""
    if moment is None:
        return None
    text = moment.replace(tzinfo=None).isoformat()  # without a fraction if it is zero
    return text.rstrip("0") if "." in text else text


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_decoded(key): _plain(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    return _decoded(value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _decoded(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
