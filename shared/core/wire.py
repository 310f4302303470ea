"""Converts frozen dataclasses to JSON values and back: the form of messages on the wire and documents in the store.

A missing field takes its default and an unknown field is ignored, so that messages and documents of the previous and
next version can be read. Anything else that does not fit raises `UndecodableError` with its place. A field with the
metadata `NOT_CARRIED` is neither written nor read: the receiver sets it.
"""

import json
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

#: Reads a JSON value as one type; raises `_MisfitError`.
_Decoder = Callable[[Any], Any]

#: A float cannot represent every whole number above this, and nothing here counts that far.
_MOST = 2**53

_PLAIN = frozenset({str, int, float, bool, type(None)})

#: Metadata of a field that no sender can set. The field needs a default.
NOT_CARRIED: Mapping[str, bool] = {"carried": False}


class UndecodableError(ValueError):
    """The JSON value does not match the type; the text names the place."""


class _MisfitError(Exception):
    """The same, without the place: whoever reads what is around the value adds a step to it."""

    def __init__(self, says: str, *steps: str) -> None:
        super().__init__(says)
        self.steps = [*steps]  #: from the inside out

    def add(self, step: str) -> None:
        self.steps.append(step)


def to_text(value: Any) -> str:
    """The text of `to_json`, compact. Makes no copy of what is JSON already, such as evidence and settings."""
    return _TEXT.encode(value)


def to_json(value: Any, *, typed: bool = True) -> Any:
    """A dataclass becomes an object with `type` = its class name, a datetime ISO 8601 text, a timedelta seconds. Fields
    with their default are left out.

    With `typed=False`, objects have no `type` and omit only fields whose default is None: for readers that know what to
    expect. Then no field may be a union.
    """
    if typed:
        return json.loads(to_text(value))
    kind: Any = type(value)
    return value if kind in _PLAIN else _untyped_encoder(kind)(value)


def _written(value: Any) -> Any:
    """What JSON has no form for, in that of `to_json`. The values in it are written after it."""
    kind: Any = type(value)
    content = _typed_encoder(kind)(value)
    if content is value:
        raise TypeError(f"{kind.__name__} has no form in JSON")
    return content


_TEXT = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"), default=_written)


@cache
def _typed_encoder(kind: Any) -> Callable[[Any], Any]:
    if not (isinstance(kind, type) and is_dataclass(kind)):
        return _value_encoder(kind, lambda item: item)
    names, defaults = _defaults(kind)
    written = tuple((name, defaults.get(name, MISSING)) for name in names)

    def encode(value: Any) -> Any:
        content = {"type": kind.__name__}
        found = vars(value)
        for name, default in written:
            item = found[name]
            # False is 0 for Python, and not for a reader.
            if item is default or (type(item) is type(default) and item == default):
                continue
            content[name] = item
        return content

    return encode


@cache
def _untyped_encoder(kind: Any) -> Callable[[Any], Any]:
    def encoded(item: Any) -> Any:
        return to_json(item, typed=False)

    if not is_dataclass(kind):
        return _value_encoder(kind, encoded)
    names = tuple(field.name for field in _carried(kind))
    left_out = frozenset(field.name for field in _carried(kind) if field.default is None)

    def encode(value: Any) -> Any:
        content = {name: encoded(getattr(value, name)) for name in names}
        return {name: item for name, item in content.items() if item is not None or name not in left_out}

    return encode


def _value_encoder(kind: Any, item: Callable[[Any], Any]) -> Callable[[Any], Any]:
    if issubclass(kind, Enum):
        return lambda value: value.value
    if issubclass(kind, datetime):
        return datetime.isoformat
    if issubclass(kind, timedelta):
        return timedelta.total_seconds
    if issubclass(kind, Mapping):
        return lambda value: {str(key): item(each) for key, each in value.items()}
    if issubclass(kind, (list, tuple)):
        return lambda value: [item(each) for each in value]
    return lambda value: value


def _defaults(kind: Any) -> tuple[Sequence[str], Mapping[str, Any]]:
    """The names of a dataclass's fields, and the values that a reader gives to those that are missing."""
    defaults = {}
    for field in _carried(kind):
        if field.default is not MISSING:
            defaults[field.name] = field.default
        elif field.default_factory is not MISSING:
            defaults[field.name] = field.default_factory()
    return [field.name for field in _carried(kind)], defaults


T = TypeVar("T")


def from_json(kind: type[T], value: Any) -> T:
    """The inverse of `to_json` for a dataclass; raises `UndecodableError`."""
    hashable: Any = kind  # mypy thinks that a class has no hash
    try:
        decoded: T = _decoder(hashable)(value)
    except _MisfitError as fault:
        raise UndecodableError(f"{kind.__name__}{''.join(reversed(fault.steps))}: {fault}") from fault.__cause__
    return decoded


def if_readable(kind: type[T], value: Any) -> T | None:
    """The same, or None for a value that does not fit: for views that show what they can read."""
    try:
        return from_json(kind, value)
    except UndecodableError:
        return None


@cache  # inspecting a type takes longer than reading a value of it
def _decoder(kind: Any) -> _Decoder:
    if kind is Any or kind is object:
        return _anything
    if is_dataclass(kind):
        return _dataclass_decoder(kind)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _union_decoder(get_args(kind))
    if origin is tuple:
        return _list_decoder(_decoder(get_args(kind)[0]))
    if origin is not None:  # Mapping[str, X]
        return _object_decoder(_decoder(get_args(kind)[1]))
    return _plain_decoder(kind)


def _anything(value: Any) -> Any:
    return value


def _list_decoder(item: _Decoder) -> _Decoder:
    def decode(value: Any) -> Any:
        _expect(isinstance(value, list), "a list", value)
        found: list[Any] = []
        try:
            for each in value:
                found.append(item(each))  # noqa: PERF401 - its length is the place of what does not fit
        except _MisfitError as fault:
            fault.add(f"[{len(found)}]")
            raise
        return tuple(found)

    return decode


def _object_decoder(item: _Decoder) -> _Decoder:
    def decode(value: Any) -> Any:
        _expect(isinstance(value, dict), "an object", value)
        if item is _anything:
            return value
        found: dict[str, Any] = {}
        key = ""
        try:
            for key, each in value.items():
                found[key] = item(each)
        except _MisfitError as fault:
            fault.add(f".{key}")
            raise
        return found

    return decode


def _plain_decoder(kind: Any) -> _Decoder:
    convert = _CONVERTERS.get(kind) or (_member_of(kind) if issubclass(kind, Enum) else None)

    def decode(value: Any) -> Any:
        if convert is not None:
            try:
                return convert(value)
            except (TypeError, ValueError, OverflowError) as fault:
                raise _MisfitError(f"{str(value)[:80]!r} is not a {kind.__name__}") from fault
        if type(value) is kind:
            return value
        _expect(kind is float and type(value) is int and abs(value) < _MOST, kind.__name__, value)
        return float(value)

    return decode


def _member_of(kind: type[Enum]) -> Callable[[Any], Any]:
    known = {each.value: each for each in kind}
    return lambda value: known.get(value) or kind(value)


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("the time has no zone")
    if moment.year in (MINYEAR, MAXYEAR):
        moment.astimezone(UTC)  # the first and last day of the calendar do not exist in some zones
    return moment


_CONVERTERS: Mapping[Any, Callable[[Any], Any]] = {
    datetime: _moment,
    timedelta: lambda value: timedelta(seconds=value),
}


def _union_decoder(kinds: tuple[Any, ...]) -> _Decoder:
    optional = type(None) in kinds
    others = [kind for kind in kinds if kind is not type(None)]
    by_type: dict[Any, Any] = {kind.__name__: kind for kind in others if is_dataclass(kind) and isinstance(kind, type)}
    only = _decoder(others[0]) if len(others) == 1 else None
    wanted = " or ".join(kind.__name__ for kind in others) if only is None else ""

    def decode(value: Any) -> Any:
        if value is None and optional:
            return None
        if only is not None:
            return only(value)
        named = by_type.get(value.get("type")) if isinstance(value, dict) else None
        _expect(named is not None, wanted, value)
        return _decoder(named)(value)

    return decode


def _dataclass_decoder(kind: Any) -> _Decoder:
    hints = get_type_hints(kind)
    known = {field.name: (_decoder(hints[field.name]), hints[field.name]) for field in _carried(kind)}
    needed = tuple(name for name in known if name not in _defaults(kind)[1])

    def decode(value: Any) -> Any:
        right = isinstance(value, dict) and value.get("type", kind.__name__) == kind.__name__
        _expect(right, kind.__name__, value)
        found = {}
        name = ""
        try:
            for name, item in value.items():
                if name in known:
                    decoder, plain = known[name]
                    found[name] = item if type(item) is plain else decoder(item)
        except _MisfitError as fault:
            fault.add(f".{name}")
            raise
        for name in needed:
            if name not in found:
                raise _MisfitError("missing", f".{name}")
        return kind(**found)

    return decode


def _carried(kind: Any) -> list["Field[Any]"]:
    return [field for field in fields(kind) if field.metadata.get("carried", True)]


def _expect(holds: bool, wanted: str, value: Any) -> None:
    if not holds:
        raise _MisfitError(f"expected {wanted}, got {str(value)[:80]!r}")
