"""The AMQP 1.0 type system: Python values to bytes and back, without losing a type on the way.

A value that is decoded and encoded again keeps its AMQP type, so that what a sender put into a message reaches its
receiver unchanged; whatever can be decoded can be encoded. Plain `int`, `float`, `str` and `bytes` stand for long,
double, string and binary; every other type has a class here. Source of all codes: OASIS AMQP 1.0, part 1 (types).
"""

import struct
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

#: Zero-width elements (nulls, empty lists) cost no bytes, so the size of an array does not bound their number.
MOST_ZERO_WIDTH_ELEMENTS = 65_536


class CodecError(ValueError):
    """Bytes that are not valid AMQP, or a value that AMQP has no type for."""


class UByte(int):
    __slots__ = ()


class UShort(int):
    __slots__ = ()


class UInt(int):
    __slots__ = ()


class ULong(int):
    __slots__ = ()


class Byte(int):
    __slots__ = ()


class Short(int):
    __slots__ = ()


class Int(int):
    __slots__ = ()


class Timestamp(int):
    """Milliseconds since 1970 in UTC."""

    __slots__ = ()


class Float(float):
    """A 32-bit float."""

    __slots__ = ()


class Char(str):
    __slots__ = ()


class Symbol(str):
    """ASCII text from a fixed vocabulary. Equal to a `str` of the same characters."""

    __slots__ = ()


class Decimal32(bytes):
    """A decimal number, kept as it came."""


class Decimal64(bytes):
    """A decimal number, kept as it came."""


class Decimal128(bytes):
    """A decimal number, kept as it came."""


class Array(tuple[Any, ...]):
    """Values of one AMQP type. Unlike a list, an array says the type once."""

    __slots__ = ()


class Described(NamedTuple):
    """A value with a descriptor that says what it means."""

    descriptor: Any
    value: Any


# ---------------------------------------------------------------------------------------------------------- decoding

#: Takes the buffer and the offset behind the constructor; gives the value and the offset behind the value.
Decoder = Callable[[bytes, int], tuple[Any, int]]


def decode(buffer: bytes, offset: int = 0) -> tuple[Any, int]:
    """The value at `offset`, and the offset behind it. Raises `CodecError` for anything that is not valid AMQP."""
    try:
        return _decode(buffer, offset)
    except CodecError:
        raise
    except (IndexError, struct.error) as error:
        raise CodecError("the value ends before its announced length") from error
    except (ValueError, OverflowError) as error:  # from the decoding of text
        raise CodecError(f"the text is not valid: {error}") from error
    except RecursionError as error:
        raise CodecError("the value is nested too deeply") from error
    except TypeError as error:  # a list or map as the key of a map
        raise CodecError("the key of a map is not a simple value") from error


def _decode(buffer: bytes, offset: int) -> tuple[Any, int]:
    return _decoder(buffer[offset])(buffer, offset + 1)


def _decoder(constructor: int) -> Decoder:
    decoder = _DECODERS[constructor]
    if decoder is None:
        raise CodecError(f"0x{constructor:02x} is no AMQP type")
    return decoder


def _constant(value: Any) -> Decoder:
    return lambda buffer, offset: (value, offset)


def _fixed(layout: str, kind: Callable[[Any], Any]) -> Decoder:
    unpack_from, size = struct.Struct(layout).unpack_from, struct.calcsize(layout)
    return lambda buffer, offset: (kind(unpack_from(buffer, offset)[0]), offset + size)


def _raw(size: int, kind: Callable[[bytes], Any]) -> Decoder:
    def read(buffer: bytes, offset: int) -> tuple[Any, int]:
        return kind(_take(buffer, offset, offset + size)), offset + size

    return read


def _variable(width: int, kind: Callable[[bytes], Any]) -> Decoder:
    def read(buffer: bytes, offset: int) -> tuple[Any, int]:
        start = offset + width
        end = start + int.from_bytes(_take(buffer, offset, start), "big")
        return kind(_take(buffer, start, end)), end

    return read


def _take(buffer: bytes, start: int, end: int) -> bytes:
    if end > len(buffer):
        raise CodecError("the value ends before its announced length")
    return buffer[start:end]


def _compound(width: int, read_elements: Callable[[bytes, int, int, int], Any]) -> Decoder:
    """Lists, maps and arrays begin with their size in bytes, counted from behind itself, and their element count."""

    def read(buffer: bytes, offset: int) -> tuple[Any, int]:
        start = offset + width
        end = start + int.from_bytes(_take(buffer, offset, start), "big")
        count = int.from_bytes(_take(buffer, start, start + width), "big")
        if end > len(buffer):
            raise CodecError("the value ends before its announced length")
        return read_elements(buffer, start + width, end, count), end

    return read


def _read_values(buffer: bytes, offset: int, end: int, count: int) -> list[Any]:
    if count > end - offset:
        raise CodecError(f"{count} values do not fit into {end - offset} bytes")
    values = []
    for _ in range(count):
        value, offset = _decode(buffer, offset)
        values.append(value)
    if offset != end:
        raise CodecError("the values do not fill their announced length")
    return values


def _read_map(buffer: bytes, offset: int, end: int, count: int) -> dict[Any, Any]:
    values = _read_values(buffer, offset, end, count)
    if count % 2:
        raise CodecError("a map has a key without a value")
    return dict(zip(values[::2], values[1::2], strict=True))


def _read_array(buffer: bytes, offset: int, end: int, count: int) -> Array:
    if count == 0:
        return Array()
    constructor = buffer[offset]
    if count > max(end - offset, MOST_ZERO_WIDTH_ELEMENTS):
        raise CodecError(f"an array of {count} elements is too long")
    if constructor not in _ARRAY_CONSTRUCTORS:
        raise CodecError(f"arrays of type 0x{constructor:02x} are not supported")
    decoder = _decoder(constructor)
    offset += 1
    values = []
    for _ in range(count):
        value, offset = decoder(buffer, offset)
        values.append(value)
    if offset != end:
        raise CodecError("the elements do not fill their array")
    return Array(values)


def _read_described(buffer: bytes, offset: int) -> tuple[Described, int]:
    descriptor, offset = _decode(buffer, offset)
    value, offset = _decode(buffer, offset)
    return Described(descriptor, value), offset


def _read_empty_list(buffer: bytes, offset: int) -> tuple[list[Any], int]:
    return [], offset


def _same(value: Any) -> Any:
    return value


def _text(value: bytes) -> str:
    return str(value, "utf-8")


def _symbol(value: bytes) -> Symbol:
    return Symbol(value, "ascii")


#: The simple types but null, characters and decimals: exactly those that an array can be written of.
_ARRAY_CONSTRUCTORS = frozenset(
    bytes.fromhex("41 42 43 44 50 51 52 53 54 55 56 60 61 70 71 72 80 81 82 83 98 a0 a1 a3 b0 b1 b3")
)

_DECODERS: list[Decoder | None] = [None] * 256
for _constructor, _reader in {
    0x00: _read_described,
    0x40: _constant(None),
    0x41: _constant(True),
    0x42: _constant(False),
    0x43: _constant(UInt(0)),
    0x44: _constant(ULong(0)),
    0x45: _read_empty_list,
    0x50: _fixed(">B", UByte),
    0x51: _fixed(">b", Byte),
    0x52: _fixed(">B", UInt),
    0x53: _fixed(">B", ULong),
    0x54: _fixed(">b", Int),
    0x55: _fixed(">b", _same),
    0x56: _fixed(">B", bool),
    0x60: _fixed(">H", UShort),
    0x61: _fixed(">h", Short),
    0x70: _fixed(">I", UInt),
    0x71: _fixed(">i", Int),
    0x72: _fixed(">f", Float),
    0x73: _fixed(">I", lambda code: Char(chr(code))),
    0x74: _raw(4, Decimal32),
    0x80: _fixed(">Q", ULong),
    0x81: _fixed(">q", _same),
    0x82: _fixed(">d", _same),
    0x83: _fixed(">q", Timestamp),
    0x84: _raw(8, Decimal64),
    0x94: _raw(16, Decimal128),
    0x98: _raw(16, lambda value: uuid.UUID(bytes=value)),
    0xA0: _variable(1, _same),
    0xA1: _variable(1, _text),
    0xA3: _variable(1, _symbol),
    0xB0: _variable(4, _same),
    0xB1: _variable(4, _text),
    0xB3: _variable(4, _symbol),
    0xC0: _compound(1, _read_values),
    0xC1: _compound(1, _read_map),
    0xD0: _compound(4, _read_values),
    0xD1: _compound(4, _read_map),
    0xE0: _compound(1, _read_array),
    0xF0: _compound(4, _read_array),
}.items():
    _DECODERS[_constructor] = _reader


# ---------------------------------------------------------------------------------------------------------- encoding

#: Appends a value, constructor included.
Encoder = Callable[[bytearray, Any], None]


def encode(value: Any) -> bytes:
    """The shortest encoding of `value`. Raises `CodecError` for a value that AMQP has no type for."""
    out = bytearray()
    append(out, value)
    return bytes(out)


def append(out: bytearray, value: Any) -> None:
    """Appends the encoding of `value`. Raises `CodecError` for a value that AMQP has no type for."""
    encoder_of(type(value))(out, value)


def encoder_of(kind: type) -> Encoder:
    """What appends values of the given class, for callers that know the class beforehand."""
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
