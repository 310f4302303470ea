"""The JSON body of a request, read once at the edge into a frozen dataclass."""

import json
import types
from dataclasses import MISSING, fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from shared.core.plan import STEP_NAMES
from shared.core.texts import unseen
from shared.http.refusals import BadRequestError

#: Limit for any one string; the reasons that people write are far shorter.
LONGEST_TEXT = 2000
MOST_ITEMS = 1000

T = TypeVar("T")


def read(kind: type[T], body: bytes) -> T:
    """Read a JSON object into the dataclass `kind`; raises `BadRequestError`.

    Fields may be str, bool, tuple[str, ...], or another such dataclass, each also `| None`. A string must not be empty.
    Fields without a default are required; unknown fields are refused.
    """
    try:
        content = json.loads(body or b"{}", object_pairs_hook=_without_repeats)
    except RecursionError as fault:
        raise BadRequestError("the body is too deeply nested") from fault
    except ValueError as fault:
        raise BadRequestError(f"the body is not JSON: {fault}") from fault
    return _object(kind, content, "")


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a name that is given twice: the caller's intent is unclear."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise BadRequestError(f"{next(name for name in names if names.count(name) > 1)[:100]}: given twice")
    return content


def _object(kind: type[T], content: object, place: str) -> T:
    if not isinstance(content, dict):
        raise BadRequestError(f"{place or 'the body'} must be a JSON object")
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass by contract
    prefix = f"{place}." if place else ""
    unknown = [key for key in content if key not in known]
    if unknown:
        raise BadRequestError(f"{prefix}{unknown[0][:100]}: unknown; known are {', '.join(known)}")
    missing = [name for name, field in known.items() if name not in content and _is_needed(field)]
    if missing:
        raise BadRequestError(f"{prefix}{missing[0]}: missing")
    hints = get_type_hints(kind)
    return kind(**{name: _value(hints[name], value, f"{prefix}{name}") for name, value in content.items()})


def _is_needed(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _value(kind: Any, value: object, place: str) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        if value is None:
            return None
        kind = next(one for one in get_args(kind) if one is not type(None))
    if kind is str:
        return _text(value, place)
    if kind is bool:
        if not isinstance(value, bool):
            raise BadRequestError(f"{place}: must be true or false")
        return value
    if get_origin(kind) is tuple:
        if not isinstance(value, list) or len(value) > MOST_ITEMS:
            raise BadRequestError(f"{place}: must be a list of strings, at most {MOST_ITEMS}")
        return tuple(_text(item, f"{place}[{index}]") for index, item in enumerate(value))
    return _object(kind, value, place)


def _text(value: object, place: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_TEXT:
        raise BadRequestError(f"{place}: must be a string of 1 to {LONGEST_TEXT} characters")
    if found := unseen(value):
        raise BadRequestError(f"{place}: holds {found}")
    return value


def known_step(from_step: str | None) -> None:
    """Raise `BadRequestError` for a `from_step` that no plan has."""
    if from_step is not None and from_step not in STEP_NAMES:
        raise BadRequestError(f"from_step: unknown step {from_step[:100]!r}; known are {', '.join(STEP_NAMES)}")
