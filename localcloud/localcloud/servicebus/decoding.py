"""AMQP bytes to values. The codes of the types: OASIS AMQP 1.0, part 1 (types)."""

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

#: Zero-width elements (nulls, empty lists) cost no bytes, so the size of an array does not bound their number.
MOST_ZERO_WIDTH_ELEMENTS = 65_536

#: The SDK decodes values of at most 64 levels (`_MAX_NESTING_DEPTH` of its `_pyamqp/_decode.py`); the section around
#: the value is one more.
MOST_LEVELS = 64 + 1

#: Takes the buffer, the offset behind the constructor and the levels around the value; gives the value and the offset
#: behind it.
Decoder = Callable[[bytes, int, int], tuple[Any, int]]


def decode(buffer: bytes, offset: int = 0) -> tuple[Any, int]:
    """The value at `offset`, and the offset behind it. Raises `CodecError` for anything that is not valid AMQP."""
    try:
        return _decode(buffer, offset, 0)
    except CodecError:
        raise
    except (IndexError, struct.error) as error:
        raise CodecError("the value ends before its announced length") from error
    except (ValueError, OverflowError) as error:  # from the decoding of text
        raise CodecError(f"the text is not valid: {error}") from error
    except TypeError as error:  # a list or map as the key of a map
        raise CodecError("the key of a map is not a simple value") from error


def _decode(buffer: bytes, offset: int, depth: int) -> tuple[Any, int]:
    return _decoder(buffer[offset])(buffer, offset + 1, depth)


def _decoder(constructor: int) -> Decoder:
    decoder = _DECODERS[constructor]
    if decoder is None:
        raise CodecError(f"0x{constructor:02x} is not an AMQP type")
    return decoder


def _constant(value: Any) -> Decoder:
    return lambda buffer, offset, depth: (value, offset)


def _fixed(layout: str, kind: Callable[[Any], Any]) -> Decoder:
    unpack_from, size = struct.Struct(layout).unpack_from, struct.calcsize(layout)
    return lambda buffer, offset, depth: (kind(unpack_from(buffer, offset)[0]), offset + size)


def _raw(size: int, kind: Callable[[bytes], Any]) -> Decoder:
    def read(buffer: bytes, offset: int, depth: int) -> tuple[Any, int]:
        return kind(_take(buffer, offset, offset + size)), offset + size

    return read


def _variable(width: int, kind: Callable[[bytes], Any]) -> Decoder:
    def read(buffer: bytes, offset: int, depth: int) -> tuple[Any, int]:
        start = offset + width
        end = start + int.from_bytes(_take(buffer, offset, start), "big")
        return kind(_take(buffer, start, end)), end

    return read


def _take(buffer: bytes, start: int, end: int) -> bytes:
    if end > len(buffer):
        raise CodecError("the value ends before its announced length")
    return buffer[start:end]


def _compound(width: int, read_elements: Callable[[bytes, int, int, int, int], Any]) -> Decoder:
    """Lists, maps and arrays begin with their size in bytes, counted from behind itself, and their element count."""

    def read(buffer: bytes, offset: int, depth: int) -> tuple[Any, int]:
        start = offset + width
        end = start + int.from_bytes(_take(buffer, offset, start), "big")
        count = int.from_bytes(_take(buffer, start, start + width), "big")
        if end > len(buffer):
            raise CodecError("the value ends before its announced length")
        return read_elements(buffer, start + width, end, count, _deeper(depth)), end

    return read


def _read_values(buffer: bytes, offset: int, end: int, count: int, depth: int) -> list[Any]:
    if count > end - offset:
        raise CodecError(f"{count} values do not fit into {end - offset} bytes")
    values = []
    for _ in range(count):
        value, offset = _decode(buffer, offset, depth)
        values.append(value)
    if offset != end:
        raise CodecError("the values do not fill their announced length")
    return values


def _read_map(buffer: bytes, offset: int, end: int, count: int, depth: int) -> dict[Any, Any]:
    values = _read_values(buffer, offset, end, count, depth)
    if count % 2:
        raise CodecError("a map has a key without a value")
    return dict(zip(values[::2], values[1::2], strict=True))


def _read_array(buffer: bytes, offset: int, end: int, count: int, depth: int) -> Array:
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
        value, offset = decoder(buffer, offset, depth)
        values.append(value)
    if offset != end:
        raise CodecError("the elements do not fill their array")
    return Array(values)


def _read_described(buffer: bytes, offset: int, depth: int) -> tuple[Described, int]:
    depth = _deeper(depth)
    descriptor, offset = _decode(buffer, offset, depth)
    value, offset = _decode(buffer, offset, depth)
    return Described(descriptor, value), offset


def _read_empty_list(buffer: bytes, offset: int, depth: int) -> tuple[list[Any], int]:
    _deeper(depth)
    return [], offset


def _deeper(depth: int) -> int:
    if depth == MOST_LEVELS:
        raise CodecError(f"the value is nested more than {MOST_LEVELS - 1} levels deep")
    return depth + 1


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
