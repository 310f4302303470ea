"""Converts typed values to JSON and back: the form of messages on the wire, documents in the store and evidence.

Messages and documents consist of msgspec's Structs, which are read, written and copied in a fraction of the time that
dataclasses take; evidence may be of either.

A missing field takes its default and an unknown field is ignored, so that messages and documents of the previous and
next version can be read. Anything else that does not fit raises `UndecodableError` with its place. Times are ISO 8601
texts with their zone, durations ISO 8601 texts.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec

#: A time with its zone. Every time in a message, a document or evidence is annotated so; others are refused.
Moment = Annotated[datetime, msgspec.Meta(tz=True)]

T = TypeVar("T")


class UndecodableError(ValueError):
    """The JSON value does not match the type; the text names the place."""


def to_text(value: Any) -> str:
    """The compact JSON of typed values, mappings, lists and plain values."""
    return _ENCODER.encode(value).decode()


def from_text(kind: type[T], text: str | bytes | msgspec.Raw) -> T:
    """The inverse of `to_text`; raises `UndecodableError`."""
    hashable: Any = kind
    try:
        found: T = _decoder(hashable).decode(text)
    except (ValueError, RecursionError) as fault:
        raise UndecodableError(f"{kind.__name__}: {fault}") from fault
    return found


def to_json(value: Any) -> Any:
    """The JSON value of a typed value for people and for evidence, without the fields that are None by default."""
    kind: Any = type(value)  # mypy thinks that a class has no hash
    return _encoder(kind)(value)


def from_json(kind: type[T], value: Any) -> T:
    """The inverse of `to_json`; raises `UndecodableError`."""
    hashable: Any = kind
    _decoder(hashable)  # which refuses what is no `Moment`
    try:
        found: T = msgspec.convert(value, hashable)
    except ValueError as fault:
        raise UndecodableError(f"{kind.__name__}: {fault}") from fault
    return found


def if_readable(kind: type[T], value: Any) -> T | None:
    """The same, or None for a value that does not fit: for views that show what they can read."""
    try:
        return from_json(kind, value)
    except UndecodableError:
        return None


def check_times(value: Any) -> None:
    """Raise `UndecodableError` for a time that has no equivalent in UTC, at the edge of the calendar."""
    try:
        _check_times(msgspec.to_builtins(value, builtin_types=(datetime,)))
    except OverflowError as fault:
        raise UndecodableError(f"{type(value).__name__}: a time has no equivalent in UTC: {fault}") from fault


def _check_times(value: Any) -> None:
    if isinstance(value, datetime):
        value.astimezone(UTC)
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            _check_times(each)


def _as_dict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


_ENCODER = msgspec.json.Encoder(enc_hook=_as_dict)


@cache  # making one takes longer than using it
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    if "DateTimeType(tz=None)" in repr(msgspec.inspect.type_info(kind)):
        raise TypeError(f"{kind.__name__} contains a datetime: annotate it as Moment")
    return msgspec.json.Decoder(kind)


@cache
def _encoder(kind: Any) -> Callable[[Any], Any]:
    if is_dataclass(kind) or issubclass(kind, msgspec.Struct):
        known: Any = fields(kind) if is_dataclass(kind) else msgspec.structs.fields(kind)
        names = tuple((field.name, field.default is None) for field in known)

        def encode(value: Any) -> Any:
            found = ((name, getattr(value, name), is_left_out) for name, is_left_out in names)
            return {name: to_json(item) for name, item, is_left_out in found if item is not None or not is_left_out}

        return encode
    if issubclass(kind, Enum):
        return lambda value: value.value
    if issubclass(kind, datetime):
        return datetime.isoformat
    if issubclass(kind, timedelta):
        return msgspec.to_builtins
    if issubclass(kind, Mapping):
        return lambda value: {str(key): to_json(item) for key, item in value.items()}
    if issubclass(kind, list | tuple):
        return lambda value: [to_json(item) for item in value]
    return lambda value: value
