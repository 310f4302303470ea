"""AMQP's types as Python classes, where Python has no equivalent.

Plain `int`, `float`, `str` and `bytes` stand for long, double, string and binary. A value that is decoded and encoded
again keeps its AMQP type, so that a message's content reaches its receiver unchanged. Everything that can be decoded
can be encoded. Source: OASIS AMQP 1.0, part 1 (types).
"""

from typing import Any, NamedTuple


class CodecError(ValueError):
    """Bytes that are not valid AMQP, or a value for which AMQP has no type."""


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
