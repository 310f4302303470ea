"""Turns pydantic's findings about a configuration into messages for the person who wrote it."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from inspect import isclass
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

#: Messages by type of pydantic's error. The arguments are the value and the constraints of the form.
_WORDS: Mapping[str, Callable[[Any, dict[str, Any]], str]] = {
    "missing": lambda value, form: "is missing",
    "string_type": lambda value, form: f"must be text, not {value!r}",
    "string_too_short": lambda value, form: "must not be empty",
    "string_pattern_mismatch": lambda value, form: f"{value!r} is not allowed: it must match {form['pattern']}",
    "bool_type": lambda value, form: f"must be true or false, not {value!r}",
    "bool_parsing": lambda value, form: f"must be true or false, not {value!r}",
    "int_type": lambda value, form: f"must be a whole number, not {value!r}",
    "int_parsing": lambda value, form: f"must be a whole number, not {value!r}",
    "int_from_float": lambda value, form: f"must be a whole number, not {value!r}",
    "float_type": lambda value, form: f"must be a number, not {value!r}",
    "float_parsing": lambda value, form: f"must be a number, not {value!r}",
    "greater_than": lambda value, form: f"must be greater than {form['gt']:g}, not {value!r}",
    "greater_than_equal": lambda value, form: f"must be at least {form['ge']:g}, not {value!r}",
    "less_than": lambda value, form: f"must be less than {form['lt']:g}, not {value!r}",
    "less_than_equal": lambda value, form: f"must be at most {form['le']:g}, not {value!r}",
    "enum": lambda value, form: f"must be {form['expected']}, not {value!r}",
    "literal_error": lambda value, form: f"must be {form['expected']}, not {value!r}",
    "tuple_type": lambda value, form: f"must be a list, not {value!r}",
    "list_type": lambda value, form: f"must be a list, not {value!r}",
    "dict_type": lambda value, form: f"must have keys and values, not {value!r}",
    "model_type": lambda value, form: f"must have keys and values, not {value!r}",
    "path_type": lambda value, form: f"must be a path, not {value!r}",
    "too_short": lambda value, form: f"must have at least {form['min_length']}",
}
#: At the end of the location of a fault in a key.
_KEY = "[key]"
#: Characters of a value that a message quotes.
_LONGEST_VALUE = 80


def in_words(fault: ErrorDetails, form: type[BaseModel]) -> str:
    """Place and reason of one fault. `form` is the model of the whole configuration."""
    location = fault["loc"]
    if fault["type"] == "extra_forbidden":
        return f"{_place(location)}: {_unknown_key(str(location[-1]), _known_keys(form, location[:-1]))}"
    if words := _WORDS.get(fault["type"]):
        reason = words(_Quoted(fault["input"]), fault.get("ctx") or {})
    else:
        reason = fault["msg"].removeprefix("Value error, ")
    if location and location[-1] == _KEY:
        location, reason = location[:-1], f"the key {reason}"
    return f"{_place(location)}: {reason}" if location else reason


class _Quoted:
    """A value as messages quote it: not longer than a line."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        text = repr(self._value)
        return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _unknown_key(key: str, known: list[str]) -> str:
    reason = "unknown key"
    if near := difflib.get_close_matches(key, known, n=1):
        reason += f"; did you mean {near[0]!r}?"
    return f"{reason} Known here: {', '.join(known)}" if near else f"{reason}; known here: {', '.join(known)}"


def _place(location: tuple[int | str, ...]) -> str:
    place = ""
    for step in location:
        place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else step
    return place


def _known_keys(form: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that may be at a place, sorted."""
    annotations: list[Any] = [form]
    for step in location:
        annotations = [below for one in annotations for below in _below(one, step)]
    return sorted({key for one in annotations for key in _keys(one)})


def _keys(annotation: Any) -> list[str]:
    sections = [one for one in _alternatives(annotation) if isclass(one) and issubclass(one, BaseModel)]
    return [field.alias or name for one in sections for name, field in one.model_fields.items()]


def _below(annotation: Any, step: int | str) -> Iterator[Any]:
    """The annotations of what is under a key or an index."""
    for one in _alternatives(annotation):
        if isclass(one) and issubclass(one, BaseModel):
            yield from (field.annotation for name, field in one.model_fields.items() if step in (name, field.alias))
        elif get_origin(one) is dict:
            yield get_args(one)[1]
        elif get_origin(one) in (tuple, list):
            yield get_args(one)[0]


def _alternatives(annotation: Any) -> list[Any]:
    """What a value may be: the members of a union, without what `Annotated` adds."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (dict, tuple, list) or isclass(annotation):
        return [annotation]
    return [one for member in get_args(annotation) for one in _alternatives(member)]
