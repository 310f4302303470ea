"""JSON that somebody else wrote, read so that nothing in it breaks what comes after.

Python reads more than it can work with: nesting that ends in a `RecursionError` here or where the value is written
again, `NaN` that no other reader takes, and halves of characters that cannot be encoded.
"""

import json
import re
from math import isfinite
from typing import Any

#: Objects and lists inside each other. Ours have about ten; evidence of steps a few more.
DEEPEST = 60

_OPENING = re.compile(rb"[\[{]")
_HALF_A_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")


def read(text: bytes) -> Any:
    """The value in the text; raises ValueError in words for what is no JSON, or none that can be worked with."""
    try:
        value = json.loads(text.decode("utf-8-sig"), parse_float=_number, parse_constant=_no_number)
    except RecursionError as fault:
        raise ValueError("it is too deeply nested") from fault
    # Most texts need no second look: only brackets make a depth, and only escapes half a character.
    if len(_OPENING.findall(text)) > DEEPEST or _HALF_A_CHARACTER.search(text):
        check(value)
    return value


def check(value: Any) -> None:
    """Raises ValueError in words if a JSON value is nested too deeply or holds half a character."""
    level, depth = [value], 0
    while level:
        if depth > DEEPEST:
            raise ValueError(f"it is too deeply nested: more than {DEEPEST} levels")
        below: list[Any] = []
        for each in level:
            if isinstance(each, str):
                _check_text(each)
            elif isinstance(each, dict):
                below += each.keys()
                below += each.values()
            elif isinstance(each, list):
                below += each
        level, depth = below, depth + 1


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it contains half a surrogate pair") from None


def _number(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")
