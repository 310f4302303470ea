"""Turns pydantic's errors into messages for the author of the file."""

import datetime
import difflib
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from shared.config.faults import Fault, Steps, place

#: The two kinds of routes, as pydantic names them in the place of a fault.
OF_MODELS, OF_PIPELINES = "[models]", "[pipelines]"
_KINDS_OF_ROUTES = (OF_MODELS, OF_PIPELINES)
#: The same for the two kinds of analysis.
OF_METRIC, OF_JOB = "[metric]", "[job]"
#: What pydantic has in the place of a fault, and the file has not.
_NO_KEYS = ("[key]", OF_METRIC, OF_JOB, *_KINDS_OF_ROUTES)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint for the unknown `word`: the closest of `known`, or all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(known) or 'none'}"


def of_shape(refusal: ValidationError, model: type[BaseModel], content: object) -> list[Fault]:
    """Return what pydantic found in `content`, which should fit `model`."""
    return [
        Fault(_place_in(error["loc"], content), _sentence(error, model))
        for error in refusal.errors(include_url=False)
        if not _follows(error)
    ]


def _follows(error: ErrorDetails) -> bool:
    """Return whether other faults already cover it: a default from a faulty value, or a list of faulty items."""
    return error["type"] == "default_factory_not_called" or (error["type"] == "too_short" and bool(error["input"]))


def _place_in(location: Steps, content: object) -> str:
    """Return the place in the file, without a position if a single value stands for a list of one."""
    steps: list[str | int] = []
    for step in location:
        if step in _NO_KEYS or (isinstance(step, int) and isinstance(content, Mapping)):
            continue
        steps.append(step)
        content = _inside(content, step)
    return place(steps)


def _inside(content: object, step: str | int) -> object:
    if isinstance(content, Mapping):
        return content.get(step)
    if isinstance(content, list) and isinstance(step, int):
        return content[step]
    return None


def _sentence(error: ErrorDetails, model: type[BaseModel]) -> str:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind in _EXPECTED:
        return f"must be {_EXPECTED[kind]}, not {_described(value)}{_hint(kind, value)}"
    match kind:
        case "value_error":
            return str(context["error"])
        case "missing":
            return "is missing"
        case "extra_forbidden":
            *parents, key = error["loc"]
            theirs = _of_other_kind(model, parents, str(key))
            return theirs or f"unknown key; {did_you_mean(str(key), _keys(model, parents))}"
        case "literal_error":
            return f"must be {context['expected']}, not {_described(value)}{_close(context['expected'], value)}"
        case "greater_than_equal":
            return f"must be {context['ge']:g} or more, not {value}"
        case "too_short" | "string_too_short":
            return "must not be empty"
    return error["msg"]


_EXPECTED = {
    "string_type": "text",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
}


def _hint(kind: str, value: object) -> str:
    quotable = isinstance(value, bool | int | float | datetime.date)
    return "; put it in quotes" if kind == "string_type" and quotable else ""


def _close(expected: str, value: object) -> str:
    """A hint at the expected text that a text is like."""
    close = difflib.get_close_matches(str(value), re.findall("'([^']*)'", expected), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _described(value: object) -> str:
    """Describe a value in the terms of YAML."""
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case datetime.date():
            return f"the date {value}"
        case str():
            return f"the text {value!r}"
        case Mapping():
            return "a mapping"
    return "a list"


def _of_other_kind(model: type[BaseModel], steps: Steps, key: str) -> str | None:
    """What to say of a key that belongs into a route of the other kind; None for a key that no kind has there."""
    here = next((step for step in steps if step in _KINDS_OF_ROUTES), None)
    if here is None:
        return None
    other = OF_PIPELINES if here == OF_MODELS else OF_MODELS
    try:
        keys = _keys(model, [other if step == here else step for step in steps])
    except StopIteration:  # the other kind has no such place
        return None
    if key not in keys:
        return None
    kinds = {OF_MODELS: "models", OF_PIPELINES: "pipelines"}
    return f"belongs to a route with `{kinds[other]}`; this route has `{kinds[here]}`"


def _keys(model: type[BaseModel], steps: Steps) -> list[str]:
    """Return the keys that are valid at the place that `steps` lead to, starting at `model`."""
    remaining = iter(steps)
    for step in remaining:
        annotation = next(
            field.annotation for name, field in model.model_fields.items() if step == (field.alias or name)
        )
        if _has_items(annotation):
            next(remaining)  # a name or a position
        models = dict(_models_in(annotation))
        model = models[""] if "" in models else models[str(next(remaining))]
    return [field.alias or name for name, field in model.model_fields.items()]


def _has_items(annotation: Any) -> bool:
    """Whether it is a `dict` or a `tuple`, or one of them or None."""
    kinds = (annotation, *typing.get_args(annotation)) if _is_optional(annotation) else (annotation,)
    return any(typing.get_origin(_plain(kind)) in (dict, tuple) for kind in kinds)


def _is_optional(annotation: Any) -> bool:
    return type(None) in typing.get_args(annotation)


def _plain(annotation: Any) -> Any:
    """The type that `Annotated` describes."""
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is Annotated else annotation


def _models_in(annotation: Any, kind: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """The settings class inside `tuple[…]`, `dict[…]` or `… | None`; where there are several kinds, each by its tag."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield kind, annotation
    inner = typing.get_args(annotation)
    tags = [each.tag for each in inner if isinstance(each, Tag)]
    for each in inner:
        yield from _models_in(each, tags[0] if tags else kind)
