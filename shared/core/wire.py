"""Frozen dataclasses to JSON values and back: the form of messages on the wire and of documents in the store.

A field that is missing takes its default, and a field that is not known is left out, so that a message or document of
the neighbouring version is understood. Anything else that does not fit raises `UndecodableError` with its place.
"""

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints


class UndecodableError(ValueError):
    """The JSON value is not what the type asks for; the text names the place."""


def to_json(value: Any) -> Any:
    """A dataclass becomes an object with `type` = its class name, a datetime ISO 8601 text, a timedelta seconds."""
    if is_dataclass(value):
        content = {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
        return {"type": type(value).__name__} | content
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return value


T = TypeVar("T")


def from_json(kind: type[T], value: Any) -> T:
    """The inverse of `to_json` for a dataclass; raises `UndecodableError`."""
    return _decode(kind, value, kind.__name__)  # type: ignore[no-any-return]  # decoded by the type it is given


@cache
def _field_types(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode(kind: Any, value: Any, place: str) -> Any:
    if kind is Any or kind is object:
        return value
    if is_dataclass(kind):
        return _decode_dataclass(kind, value, place)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _decode_union(get_args(kind), value, place)
    if origin is tuple:
        _expect(isinstance(value, list), "a list", value, place)
        return tuple(_decode(get_args(kind)[0], item, f"{place}[{index}]") for index, item in enumerate(value))
    if origin is not None:  # Mapping[str, X]
        _expect(isinstance(value, dict), "an object", value, place)
        return {key: _decode(get_args(kind)[1], item, f"{place}.{key}") for key, item in value.items()}
    return _decode_plain(kind, value, place)


def _decode_plain(kind: Any, value: Any, place: str) -> Any:
    try:
        if kind is datetime:
            moment = datetime.fromisoformat(value)
            _expect(moment.tzinfo is not None, "a time with its zone", value, place)
            return moment
        if kind is timedelta:
            return timedelta(seconds=value)
        if issubclass(kind, Enum):
            return kind(value)
    except (TypeError, ValueError, OverflowError) as fault:
        raise UndecodableError(f"{place}: {value!r} is no {kind.__name__}") from fault
    if kind is float and type(value) is int:
        return float(value)
    _expect(type(value) is kind, kind.__name__, value, place)
    return value


def _decode_union(kinds: tuple[Any, ...], value: Any, place: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    if isinstance(value, dict):
        for kind in kinds:
            if is_dataclass(kind) and isinstance(kind, type) and kind.__name__ == value.get("type"):
                return _decode(kind, value, place)
    others = [kind for kind in kinds if kind is not type(None)]
    _expect(len(others) == 1, " or ".join(kind.__name__ for kind in others), value, place)
    return _decode(others[0], value, place)


def _decode_dataclass(kind: Any, value: Any, place: str) -> Any:
    _expect(isinstance(value, dict) and value.get("type", kind.__name__) == kind.__name__, kind.__name__, value, place)
    found = {}
    for field in fields(kind):
        if field.name in value:
            found[field.name] = _decode(_field_types(kind)[field.name], value[field.name], f"{place}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise UndecodableError(f"{place}.{field.name}: missing")
    return kind(**found)


def _expect(holds: bool, wanted: str, value: Any, place: str) -> None:
    if not holds:
        raise UndecodableError(f"{place}: expected {wanted}, got {str(value)[:80]!r}")
