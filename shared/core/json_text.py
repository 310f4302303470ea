"""Reads JSON from others, and refuses what would break later code.

Python accepts more than is safe: nesting that causes a `RecursionError` here or when the value is written again, `NaN`,
which other readers reject, and lone surrogates, which cannot be encoded.
"""

import json
import re
from math import isfinite
from typing import Any

#: The deepest nesting of objects and lists. Ours have about ten levels; evidence of steps a few more.
DEEPEST = 60

_HALF_A_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")


def read(text: bytes) -> Any:
    """The value in the text. Raises ValueError, with a text for people, if it is not JSON or cannot be handled."""
    try:
        value = _DECODER.decode(text.decode("utf-8-sig"))
    except RecursionError as fault:
        raise ValueError("it is too deeply nested") from fault
    # Most texts need no check: only brackets nest, and only escapes make lone surrogates.
    if _may_be_too_deep(text) or _HALF_A_CHARACTER.search(text):
        check(value)
    return value


def check_depth(text: bytes) -> None:
    """Raise ValueError if the text is nested too deeply: for readers that only bound their own recursion."""
    if _may_be_too_deep(text):
        read(text)


def _may_be_too_deep(text: bytes) -> bool:
    return text.count(b"{") + text.count(b"[") > DEEPEST


def check(value: Any) -> None:
    """Raise ValueError, with a text for people, if a JSON value is nested too deeply or contains a lone surrogate."""
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
    raise ValueError(f"{name} is not a number")


_DECODER = json.JSONDecoder(parse_float=_number, parse_constant=_no_number)  # json.loads makes one for each text
