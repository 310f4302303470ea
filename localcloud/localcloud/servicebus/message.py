"""A message in the broker: what its sender wrote, kept byte for byte, and what the broker knows about it.

Only the header and the message annotations are rewritten; everything from the properties section on (the bare message)
is passed on unchanged. Section codes: OASIS AMQP 1.0, part 3 (messaging).
"""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from localcloud.servicebus import decoding, encoding
from localcloud.servicebus.amqp_types import CodecError, Described, Int, Symbol, Timestamp, UByte, UInt, ULong

HEADER = 0x70
DELIVERY_ANNOTATIONS = 0x71
MESSAGE_ANNOTATIONS = 0x72
PROPERTIES = 0x73
APPLICATION_PROPERTIES = 0x74
DATA = 0x75
VALUE = 0x77

#: The message format of a batch: every data section is an encoded message of its own.
BATCH_FORMAT = 0x80013700

_SECTION_TYPES: dict[int, type] = {
    HEADER: list,
    MESSAGE_ANNOTATIONS: dict,
    PROPERTIES: list,
    APPLICATION_PROPERTIES: dict,
    DATA: bytes,
}

#: Position of the group id in the properties.
_GROUP_ID = 10

_LONGEST_TTL = 2**32 - 1  # milliseconds, the most that the header can say

_SEQUENCE_NUMBER = Symbol("x-opt-sequence-number")
_ENQUEUE_SEQUENCE_NUMBER = Symbol("x-opt-enqueue-sequence-number")
_ENQUEUED_TIME = Symbol("x-opt-enqueued-time")
_LOCKED_UNTIL = Symbol("x-opt-locked-until")
_LOCK_TOKEN = Symbol("x-opt-lock-token")
_STATE = Symbol("x-opt-message-state")
_DEAD_LETTER_SOURCE = Symbol("x-opt-deadletter-source")
_SCHEDULED_TIME = Symbol("x-opt-scheduled-enqueue-time")
#: Annotations that only the broker may set; a sender's are dropped (it may send on what it received).
_BROKER_ANNOTATIONS = {
    _SEQUENCE_NUMBER,
    _ENQUEUE_SEQUENCE_NUMBER,
    _ENQUEUED_TIME,
    _LOCKED_UNTIL,
    _STATE,
    _DEAD_LETTER_SOURCE,
}


class State(IntEnum):
    """As in the annotation `x-opt-message-state`."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2


@dataclass(slots=True, eq=False)
class Message:
    """One message of one queue. Times are seconds since 1970; `time_to_live` is in seconds."""

    #: The encoded sections from the properties on.
    content: bytes
    #: What the sender annotated.
    annotations: dict[Any, Any]
    durable: bool | None = None
    priority: int | None = None
    time_to_live: float | None = None
    #: When a scheduled message becomes available.
    scheduled_time: float | None = None
    sequence_number: int = 0
    enqueued_time: float = 0.0
    expires_at: float | None = None
    state: State = State.ACTIVE
    #: Deliveries that ended without the message being settled for good.
    delivery_count: int = 0
    #: The queue from which a dead letter comes.
    dead_letter_source: str | None = None
    #: AMQP's group id.
    session_id: str | None = None


class Section(NamedTuple):
    """A part of an encoded message, from `start` to `end`."""

    code: int
    value: Any
    start: int
    end: int


def sections(encoded: bytes) -> Iterator[Section]:
    """The sections of an encoded message, in order. Raises `CodecError`."""
    offset = 0
    while offset < len(encoded):
        described, end = decoding.decode(encoded, offset)
        if not isinstance(described, Described) or not isinstance(described.descriptor, int):
            raise CodecError("a message consists of described sections only")
        yield Section(described.descriptor, described.value, offset, end)
        offset = end


def read_message(encoded: bytes) -> tuple[Message, str]:
    """A message as its sender encoded it, and its message id, which is generated if it has none.

    Raises `CodecError`, also for faults in the parts that are passed on unread.
    """
    message = Message(content=b"", annotations={})
    properties: list[Any] = []
    content_start = rest_start = len(encoded)
    for section in sections(encoded):
        if section.code >= PROPERTIES and content_start == len(encoded):
            content_start = rest_start = section.start
        kind = _SECTION_TYPES.get(section.code)
        if kind is not None and not isinstance(section.value, kind):
            raise CodecError(f"section 0x{section.code:02x} must be a {kind.__name__}")
        if section.code == HEADER:
            _read_header(message, section.value)
        elif section.code == MESSAGE_ANNOTATIONS:
            _read_annotations(message, section.value)
        elif section.code == PROPERTIES:
            properties, rest_start = section.value, section.end
    session_id = properties[_GROUP_ID] if len(properties) > _GROUP_ID else None
    message.session_id = session_id if isinstance(session_id, str) else None
    message_id = properties[0] if properties else None
    if message_id is not None:
        message.content = encoded[content_start:]
    else:
        message_id = uuid.uuid4().hex
        message.content = encode_section(PROPERTIES, [message_id, *properties[1:]]) + encoded[rest_start:]
    return message, str(message_id)


def _read_header(message: Message, fields: list[Any]) -> None:
    durable, priority, time_to_live = (*fields, None, None, None)[:3]
    for value, kind in ((durable, bool), (priority, UByte), (time_to_live, UInt)):
        if value is not None and not isinstance(value, kind):
            raise CodecError(f"the header has {value!r} instead of a {kind.__name__}")
    message.durable, message.priority = durable, priority
    message.time_to_live = None if time_to_live is None else time_to_live / 1000


def _read_annotations(message: Message, annotations: dict[Any, Any]) -> None:
    message.annotations = {key: value for key, value in annotations.items() if key not in _BROKER_ANNOTATIONS}
    scheduled = annotations.get(_SCHEDULED_TIME)
    message.scheduled_time = scheduled / 1000 if isinstance(scheduled, int) else None


def read_batch(encoded: bytes) -> list[bytes]:
    """The encoded messages in a batch. Raises `CodecError`."""
    return [section.value for section in sections(encoded) if section.code == DATA]


def write_delivery(message: Message, lock_token: uuid.UUID, locked_until: float) -> bytes:
    """The message as a link delivers it when it is locked: with its lock token, as in its delivery tag."""
    return write_message(message, locked_until, {_LOCK_TOKEN: lock_token})


def write_message(
    message: Message, locked_until: float | None = None, delivery_annotations: Mapping[Symbol, Any] | None = None
) -> bytes:
    """The message as a receiver gets it; `locked_until` only for one that is locked."""
    annotations = dict(message.annotations)
    annotations[_SEQUENCE_NUMBER] = message.sequence_number
    annotations[_ENQUEUE_SEQUENCE_NUMBER] = message.sequence_number
    annotations[_ENQUEUED_TIME] = milliseconds(message.enqueued_time)
    annotations[_STATE] = Int(message.state)
    if locked_until is not None:
        annotations[_LOCKED_UNTIL] = milliseconds(locked_until)
    if message.dead_letter_source is not None:
        annotations[_DEAD_LETTER_SOURCE] = message.dead_letter_source
    if message.state is State.SCHEDULED and message.scheduled_time is not None:
        annotations[_SCHEDULED_TIME] = milliseconds(message.scheduled_time)
    time_to_live = None
    if message.time_to_live is not None:
        time_to_live = UInt(min(message.time_to_live * 1000, _LONGEST_TTL))
    header = [message.durable, message.priority, time_to_live, None, UInt(message.delivery_count)]
    encoded = encode_section(HEADER, header)
    if delivery_annotations is not None:
        encoded += encode_section(DELIVERY_ANNOTATIONS, delivery_annotations)
    return encoded + encode_section(MESSAGE_ANNOTATIONS, annotations) + message.content


def milliseconds(seconds: float) -> Timestamp:
    return Timestamp(seconds * 1000)


def encode_section(code: int, value: Any) -> bytes:
    return encoding.encode(Described(ULong(code), value))


def with_application_properties(content: bytes, added: Mapping[str, Any]) -> bytes:
    """The bare message with these application properties set."""
    start = end = 0
    properties: dict[Any, Any] = {}
    for section in sections(content):
        if section.code == PROPERTIES:
            start = end = section.end
        elif section.code == APPLICATION_PROPERTIES:
            start, end, properties = section.start, section.end, section.value
        else:
            break
    return content[:start] + encode_section(APPLICATION_PROPERTIES, {**properties, **added}) + content[end:]
