"""The JSON body of a request, read once at the edge into a frozen model."""

import json
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from shared.core.plan import STEP_NAMES
from shared.core.texts import unseen
from shared.http.refusals import BadRequestError

#: Limit for any one string; the reasons that people write are far shorter.
LONGEST_TEXT = 2000
MOST_ITEMS = 1000


def _text(text: str) -> str:
    if not text.strip() or len(text) > LONGEST_TEXT:
        raise PydanticCustomError("string_type", "not such a string")
    if found := unseen(text):
        raise ValueError(f"holds {found}")
    return text


Text = Annotated[str, AfterValidator(_text)]
Texts = Annotated[tuple[Text, ...], Field(max_length=MOST_ITEMS)]
Flag = StrictBool


class Body(BaseModel):
    """Base of all bodies: immutable, and refuses unknown fields. Fields are of the types above, or another `Body`."""

    model_config = ConfigDict(frozen=True, extra="forbid")


T = TypeVar("T", bound=Body)


def read(kind: type[T], body: bytes) -> T:
    """Read a JSON object; raises `BadRequestError`, which names the first field that is wrong."""
    try:
        content = json.loads(body or b"{}", object_pairs_hook=_without_repeats)
    except RecursionError as fault:
        raise BadRequestError("the body is too deeply nested") from fault
    except ValueError as fault:
        raise BadRequestError(f"the body is not JSON: {fault}") from fault
    try:
        return kind.model_validate(content)
    except ValidationError as refusal:
        # A field with a typo is unknown, and the field that was meant is missing: the first says more.
        first = min(refusal.errors(include_url=False), key=lambda error: _ORDER.get(error["type"], len(_ORDER)))
        raise BadRequestError(_sentence(kind, first)) from refusal


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a name that is given twice: the caller's intent is unclear."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise BadRequestError(f"{next(name for name in names if names.count(name) > 1)[:100]}: given twice")
    return content


_ORDER = {"extra_forbidden": 0, "missing": 1}

#: By the type of pydantic's error.
_SENTENCES = {
    "missing": "missing",
    "string_type": f"must be a string of 1 to {LONGEST_TEXT} characters",
    "string_unicode": "holds half a character",
    "bool_type": "must be true or false",
    "tuple_type": f"must be a list of strings, at most {MOST_ITEMS}",
    "too_long": f"must be a list of strings, at most {MOST_ITEMS}",
}


def _sentence(kind: type[Body], error: ErrorDetails) -> str:
    place = _place(error["loc"])
    if error["type"] == "model_type":
        return f"{place or 'the body'} must be a JSON object"
    if error["type"] == "extra_forbidden":
        return f"{place}: unknown; known are {', '.join(_known(kind, error['loc'][:-1]))}"
    if error["type"] == "value_error":
        return f"{place}: {error['ctx']['error']}"
    return f"{place}: {_SENTENCES.get(error['type'], error['msg'])}"


def _place(steps: tuple[int | str, ...]) -> str:
    named = (f"[{step}]" if isinstance(step, int) else f".{step[:100]}" for step in steps)
    return "".join(named).removeprefix(".")


def _known(kind: type[Body], steps: tuple[int | str, ...]) -> list[str]:
    """The fields of the body that these steps lead to."""
    for step in steps:
        annotation: Any = kind.model_fields[str(step)].annotation
        kind = next(each for each in (annotation, *get_args(annotation)) if isinstance(each, type))
    return list(kind.model_fields)


def known_step(from_step: str | None) -> None:
    """Raise `BadRequestError` for a `from_step` that no plan has."""
    if from_step is not None and from_step not in STEP_NAMES:
        raise BadRequestError(f"from_step: unknown step {from_step[:100]!r}; known are {', '.join(STEP_NAMES)}")
