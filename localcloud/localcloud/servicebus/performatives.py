"""AMQP 1.0 frames: the performatives of connections, sessions and links, delivery outcomes, errors, and SASL.

Each performative is a named tuple whose annotations give the AMQP type of every field; a field that the peer left out
is None. Source: OASIS AMQP 1.0, parts 2 (transport), 3 (messaging) and 5 (security).
"""

import struct
from enum import IntEnum
from itertools import zip_longest
from typing import Annotated, Any, NamedTuple, TypeAlias, TypeVar, get_args, get_type_hints

from localcloud.servicebus import amqp_types, decoding, encoding
from localcloud.servicebus.amqp_types import Array, CodecError, Described, Symbol, ULong

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
AMQP_FRAME = 0
SASL_FRAME = 1

UInt: TypeAlias = Annotated[int, amqp_types.UInt]
UShort: TypeAlias = Annotated[int, amqp_types.UShort]
UByte: TypeAlias = Annotated[int, amqp_types.UByte]
UInt64: TypeAlias = Annotated[int, amqp_types.ULong]
Binary: TypeAlias = Annotated[bytes, bytes]
Boolean: TypeAlias = Annotated[bool, bool]
String: TypeAlias = Annotated[str, str]
#: A value that knows its own AMQP type.
Value: TypeAlias = Annotated[Any, None]

_CODES: dict[type, int] = {}
_CLASSES: dict[int, type] = {}
_FIELD_ENCODERS: dict[type, list[encoding.Encoder]] = {}
_FIELD_READERS: dict[type, list["_FieldReader"]] = {}

Performative = TypeVar("Performative", bound=type)


class _WithCode:
    """Registers a named tuple under its descriptor and works out how its fields are encoded."""

    def __init__(self, code: int) -> None:
        self._code = code

    def __call__(self, kind: Performative) -> Performative:
        _CODES[kind] = self._code
        _CLASSES[self._code] = kind
        hints = get_type_hints(kind, include_extras=True)
        _FIELD_ENCODERS[kind] = [_field_encoder(hint) for hint in hints.values()]
        defaults: dict[str, Any] = getattr(kind, "_field_defaults")  # noqa: B009 - of a named tuple
        _FIELD_READERS[kind] = [_FieldReader(name, hint, defaults) for name, hint in hints.items()]
        return kind


def _field_encoder(hint: Any) -> encoding.Encoder:
    kind = _field_kind(hint)
    return encoding.append if kind is None else encoding.encoder_of(kind)


def _field_kind(hint: Any) -> type | None:
    """The AMQP type of a field, None for any."""
    annotated = next(part for part in (hint, *get_args(hint)) if hasattr(part, "__metadata__"))
    kind: type | None = annotated.__metadata__[0]
    return kind


class _FieldReader:
    """Checks a field that a peer sent, so that readers of a performative can rely on its types."""

    def __init__(self, name: str, hint: Any, defaults: dict[str, Any]) -> None:
        self._name = name
        kind = _field_kind(hint)
        self._any = kind is None
        self._is_number = kind is not None and issubclass(kind, int) and kind is not bool
        self._kind: Any = int if self._is_number else kind
        self._required = name not in defaults and not self._any
        self._default = defaults.get(name)

    def read(self, value: Any) -> Any:
        """The value, or the default if it was left out. Raises `CodecError` for another type."""
        if self._any:
            return value
        if value is None:
            if self._required:
                raise CodecError(f"{self._name} is missing")
            return self._default
        fits = isinstance(value, self._kind) and not (self._is_number and (isinstance(value, bool) or value < 0))
        if not fits:
            raise CodecError(f"{self._name} has a value of another type")
        return value


@_WithCode(0x10)
class Open(NamedTuple):
    container_id: String
    hostname: String | None = None
    max_frame_size: UInt | None = None
    channel_max: UShort | None = None
    #: Milliseconds after which the sender of this frame gives up on a silent peer.
    idle_timeout: UInt | None = None
    outgoing_locales: Value = None
    incoming_locales: Value = None
    offered_capabilities: Value = None
    desired_capabilities: Value = None
    properties: Value = None


@_WithCode(0x11)
class Begin(NamedTuple):
    remote_channel: UShort | None = None
    next_outgoing_id: UInt = 0
    incoming_window: UInt = 0
    outgoing_window: UInt = 0
    handle_max: UInt | None = None
    offered_capabilities: Value = None
    desired_capabilities: Value = None
    properties: Value = None


@_WithCode(0x12)
class Attach(NamedTuple):
    name: String
    handle: UInt
    #: True for the receiving end of the link.
    receiver: Boolean
    send_settle_mode: UByte | None = None
    receive_settle_mode: UByte | None = None
    source: Value = None
    target: Value = None
    unsettled: Value = None
    incomplete_unsettled: Boolean | None = None
    initial_delivery_count: UInt | None = None
    max_message_size: UInt64 | None = None
    offered_capabilities: Value = None
    desired_capabilities: Value = None
    properties: Value = None


@_WithCode(0x13)
class Flow(NamedTuple):
    next_incoming_id: UInt | None = None
    incoming_window: UInt = 0
    next_outgoing_id: UInt = 0
    outgoing_window: UInt = 0
    handle: UInt | None = None
    delivery_count: UInt | None = None
    link_credit: UInt | None = None
    available: UInt | None = None
    drain: Boolean | None = None
    echo: Boolean | None = None
    properties: Value = None


@_WithCode(0x14)
class Transfer(NamedTuple):
    handle: UInt
    delivery_id: UInt | None = None
    delivery_tag: Binary | None = None
    message_format: UInt | None = None
    settled: Boolean | None = None
    more: Boolean | None = None
    receive_settle_mode: UByte | None = None
    state: Value = None
    resume: Boolean | None = None
    aborted: Boolean | None = None
    batchable: Boolean | None = None


@_WithCode(0x15)
class Disposition(NamedTuple):
    #: True when the receiving end of the link sends it.
    receiver: Boolean
    first: UInt
    last: UInt | None = None
    settled: Boolean | None = None
    state: Value = None
    batchable: Boolean | None = None


@_WithCode(0x16)
class Detach(NamedTuple):
    handle: UInt
    closed: Boolean | None = None
    error: Value = None


@_WithCode(0x17)
class End(NamedTuple):
    error: Value = None


@_WithCode(0x18)
class Close(NamedTuple):
    error: Value = None


@_WithCode(0x40)
class SaslMechanisms(NamedTuple):
    mechanisms: Value


@_WithCode(0x41)
class SaslInit(NamedTuple):
    mechanism: Value
    initial_response: Binary | None = None
    hostname: String | None = None


@_WithCode(0x44)
class SaslOutcome(NamedTuple):
    #: 0 is success.
    code: UByte
    additional_data: Binary | None = None


def encode_frame(channel: int, performative: Any, payload: bytes | memoryview = b"", kind: int = AMQP_FRAME) -> bytes:
    """One frame, its size and header included. All fields are written, because the SDK reads them by position."""
    performative_type = type(performative)
    fields = bytearray()
    for encoder, value in zip(_FIELD_ENCODERS[performative_type], performative, strict=True):
        if value is None:
            fields.append(0x40)
        else:
            encoder(fields, value)
    out = bytearray(8)
    out += bytes((0x00, 0x53, _CODES[performative_type]))
    if len(fields) < 255:
        out += bytes((0xC0, len(fields) + 1, len(performative)))
    else:
        out.append(0xD0)
        out += (len(fields) + 4).to_bytes(4, "big") + len(performative).to_bytes(4, "big")
    out += fields
    out += payload
    struct.pack_into(">IBBH", out, 0, len(out), 2, kind, channel)
    return bytes(out)


def decode_frame(body: bytes) -> tuple[Any, bytes]:
    """The performative in a frame's body and the payload behind it. Raises `CodecError` if it is unknown."""
    described, end = decoding.decode(body)
    if not isinstance(described, Described) or not isinstance(described.value, list):
        raise CodecError("a frame does not begin with a performative")
    kind = _CLASSES.get(described.descriptor) if isinstance(described.descriptor, int) else None
    if kind is None or len(described.value) > len(_FIELD_READERS[kind]):
        raise CodecError(f"{described.descriptor!r} with {len(described.value)} fields is not a performative")
    values = zip_longest(_FIELD_READERS[kind], described.value)
    try:
        return kind(*[reader.read(value) for reader, value in values]), body[end:]
    except CodecError as fault:
        raise CodecError(f"{kind.__name__}: {fault}") from fault


# ----------------------------------------------------------------------------------------- sources, outcomes, errors

_ERROR_CODE = 0x1D


class Outcome(IntEnum):
    """The descriptors of a delivery's outcomes."""

    ACCEPTED = 0x24
    REJECTED = 0x25
    RELEASED = 0x26
    MODIFIED = 0x27


ACCEPTED = Described(ULong(Outcome.ACCEPTED), [])
RELEASED = Described(ULong(Outcome.RELEASED), [])
#: Rejected as the receiver asked. The SDK takes any error in here for a refusal.
REJECTED_AS_ASKED = Described(ULong(Outcome.REJECTED), [None])


def modified(*, undeliverable_here: bool) -> Described:
    """The outcome of an abandoned or, with `undeliverable_here`, of a deferred message."""
    return Described(ULong(Outcome.MODIFIED), [True, undeliverable_here, None])


def rejected(condition: str, description: str) -> Described:
    """The outcome of something refused."""
    return Described(ULong(Outcome.REJECTED), [error(condition, description)])


def error(condition: str, description: str) -> Described:
    """An AMQP error. All three fields are written: the SDK reads the third without checking that it exists."""
    return Described(ULong(_ERROR_CODE), [Symbol(condition), description, None])


def field(described: Any, position: int) -> Any:
    """A field of a described list such as a source or an outcome; None if it was left out."""
    fields = described.value if isinstance(described, Described) else None
    return fields[position] if isinstance(fields, list) and position < len(fields) else None


def with_field(described: Described, position: int, value: Any) -> Described:
    """A copy of a described list with another value for one field."""
    fields = list(described.value)
    fields += [None] * (position + 1 - len(fields))
    fields[position] = value
    return Described(described.descriptor, fields)


def symbols(*names: str) -> Array:
    return Array(Symbol(name) for name in names)
