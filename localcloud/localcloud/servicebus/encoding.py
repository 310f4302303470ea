"""Values to AMQP bytes, always in the shortest form. The codes of the types: OASIS AMQP 1.0, part 1 (types)."""

import struct
import uuid
from collections.abc import Callable
from typing import Any

from localcloud.servicebus.amqp_types import (
    Array,
    Byte,
    Char,
    CodecError,
    Decimal32,
    Decimal64,
    Decimal128,
    Described,
    Float,
    Int,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
)

#: Appends a value, constructor included.
Encoder = Callable[[bytearray, Any], None]


def encode(value: Any) -> bytes:
    """The shortest encoding of `value`. Raises `CodecError` for a value without an AMQP type."""
    out = bytearray()
    append(out, value)
    return bytes(out)


def append(out: bytearray, value: Any) -> None:
    """Appends the encoding of `value`. Raises `CodecError` for a value without an AMQP type."""
    encoder_of(type(value))(out, value)


def encoder_of(kind: type) -> Encoder:
    """The encoder of the given class, for callers that know the class beforehand."""
    try:
        return _ENCODERS[kind]
    except KeyError:
        raise CodecError(f"AMQP has no type for {kind.__name__}") from None


def _packed(constructor: int, layout: str) -> Encoder:
    pack = struct.Struct(layout).pack

    def write(out: bytearray, value: Any) -> None:
        try:
            packed = pack(value)
        except (struct.error, OverflowError) as error:
            raise CodecError(f"{value!r} is out of range for its AMQP type") from error
        out.append(constructor)
        out += packed

    return write


def _shortened(small: int, lowest: int, highest: int, wide: Encoder) -> Encoder:
    """Integers have a one-byte form for small values."""

    def write(out: bytearray, value: int) -> None:
        if lowest <= value <= highest:
            out.append(small)
            out.append(value & 0xFF)
        else:
            wide(out, value)

    return write


def _sized(small: int, wide: int, to_bytes: Callable[[Any], bytes]) -> Encoder:
    def write(out: bytearray, value: Any) -> None:
        data = to_bytes(value)
        size = len(data)
        if size < 256:
            out.append(small)
            out.append(size)
        else:
            out.append(wide)
            out += size.to_bytes(4, "big")
        out += data

    return write


def _verbatim(constructor: int, to_bytes: Callable[[Any], bytes]) -> Encoder:
    def write(out: bytearray, value: Any) -> None:
        out.append(constructor)
        out += to_bytes(value)

    return write


def _write_compound(out: bytearray, small: int, wide: int, count: int, body: bytes | bytearray) -> None:
    if count < 256 and len(body) < 255:
        out += bytes((small, len(body) + 1, count))
    else:
        out.append(wide)
        out += (len(body) + 4).to_bytes(4, "big")
        out += count.to_bytes(4, "big")
    out += body


def _write_list(out: bytearray, values: Any) -> None:
    if not values:
        out.append(0x45)
        return
    body = bytearray()
    for value in values:
        append(body, value)
    _write_compound(out, 0xC0, 0xD0, len(values), body)


def _write_map(out: bytearray, values: dict[Any, Any]) -> None:
    body = bytearray()
    for key, value in values.items():
        append(body, key)
        append(body, value)
    _write_compound(out, 0xC1, 0xD1, 2 * len(values), body)


def _write_array(out: bytearray, values: Array) -> None:
    """Elements take their widest form, since all of them share one constructor."""
    kinds = {type(value) for value in values}
    if len(kinds) > 1:
        raise CodecError(f"an array cannot mix {', '.join(sorted(kind.__name__ for kind in kinds))}")
    body = bytearray()
    if not kinds:
        body.append(0x40)
    else:
        constructor, to_bytes = _array_element(kinds.pop())
        body.append(constructor)
        for value in values:
            body += to_bytes(value)
    _write_compound(out, 0xE0, 0xF0, len(values), body)


def _array_element(kind: type) -> tuple[int, Callable[[Any], bytes]]:
    try:
        return _ARRAY_ELEMENTS[kind]
    except KeyError:
        raise CodecError(f"arrays of {kind.__name__} are not supported") from None


def _write_described(out: bytearray, value: Described) -> None:
    out.append(0x00)
    append(out, value.descriptor)
    append(out, value.value)


def _write_null(out: bytearray, value: None) -> None:
    out.append(0x40)


def _write_boolean(out: bytearray, value: bool) -> None:
    out.append(0x41 if value else 0x42)


def _write_uint(out: bytearray, value: int) -> None:
    if value == 0:
        out.append(0x43)
    else:
        _write_nonzero_uint(out, value)


def _write_ulong(out: bytearray, value: int) -> None:
    if value == 0:
        out.append(0x44)
    else:
        _write_nonzero_ulong(out, value)


def _same(value: Any) -> Any:
    return value


def _utf8(value: str) -> bytes:
    return value.encode("utf-8")


def _ascii(value: Symbol) -> bytes:
    try:
        return value.encode("ascii")
    except UnicodeEncodeError as error:
        raise CodecError(f"the symbol {value!r} is not ASCII") from error


def _with_length(to_bytes: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    def element(value: Any) -> bytes:
        data = to_bytes(value)
        return len(data).to_bytes(4, "big") + data

    return element


_write_nonzero_uint = _shortened(0x52, 0, 255, _packed(0x70, ">I"))
_write_nonzero_ulong = _shortened(0x53, 0, 255, _packed(0x80, ">Q"))

_ENCODERS: dict[type, Encoder] = {
    type(None): _write_null,
    bool: _write_boolean,
    UByte: _packed(0x50, ">B"),
    UShort: _packed(0x60, ">H"),
    UInt: _write_uint,
    ULong: _write_ulong,
    Byte: _packed(0x51, ">b"),
    Short: _packed(0x61, ">h"),
    Int: _shortened(0x54, -128, 127, _packed(0x71, ">i")),
    int: _shortened(0x55, -128, 127, _packed(0x81, ">q")),
    Timestamp: _packed(0x83, ">q"),
    Float: _packed(0x72, ">f"),
    float: _packed(0x82, ">d"),
    Char: _verbatim(0x73, lambda value: ord(value).to_bytes(4, "big")),
    Decimal32: _verbatim(0x74, _same),
    Decimal64: _verbatim(0x84, _same),
    Decimal128: _verbatim(0x94, _same),
    uuid.UUID: _verbatim(0x98, lambda value: value.bytes),
    bytes: _sized(0xA0, 0xB0, _same),
    bytearray: _sized(0xA0, 0xB0, _same),
    str: _sized(0xA1, 0xB1, _utf8),
    Symbol: _sized(0xA3, 0xB3, _ascii),
    list: _write_list,
    dict: _write_map,
    Array: _write_array,
    Described: _write_described,
}

_ARRAY_ELEMENTS: dict[type, tuple[int, Callable[[Any], bytes]]] = {
    bool: (0x56, lambda value: bytes((value,))),
    UByte: (0x50, struct.Struct(">B").pack),
    UShort: (0x60, struct.Struct(">H").pack),
    UInt: (0x70, struct.Struct(">I").pack),
    ULong: (0x80, struct.Struct(">Q").pack),
    Byte: (0x51, struct.Struct(">b").pack),
    Short: (0x61, struct.Struct(">h").pack),
    Int: (0x71, struct.Struct(">i").pack),
    int: (0x81, struct.Struct(">q").pack),
    Timestamp: (0x83, struct.Struct(">q").pack),
    Float: (0x72, struct.Struct(">f").pack),
    float: (0x82, struct.Struct(">d").pack),
    uuid.UUID: (0x98, lambda value: value.bytes),
    bytes: (0xB0, _with_length(_same)),
    str: (0xB1, _with_length(_utf8)),
    Symbol: (0xB3, _with_length(_ascii)),
}
