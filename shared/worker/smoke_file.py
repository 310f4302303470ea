"""Smoke requests: JSON Lines of `{"request", "expected"?, "tolerance"?}`, and whether an answer is the expected one."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.ports import RejectedError

MOST_REQUESTS = 1000
_KEYS = {"request", "expected", "tolerance"}


@dataclass(frozen=True)
class SmokeRequest:
    """One line of the file."""

    line: int  #: counted from 1
    request: Any
    expects: bool  #: whether a certain answer is asked for; else any with status 200 will do
    expected: Any
    tolerance: float  #: how far numbers may be from the expected ones


def read(file: Path, tolerance: float) -> list[SmokeRequest]:
    """The file's requests; `tolerance` is for lines that say none. Raises `RejectedError` with the line at fault."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as fault:
        raise RejectedError(f"The file of smoke requests {file} does not exist. Check `smoke` of the stage.") from fault
    except (OSError, UnicodeDecodeError) as fault:
        raise RejectedError(f"The smoke requests in {file.name} cannot be read: {fault}") from fault
    found = [_parse(file.name, number, line, tolerance) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise RejectedError(f"There are no smoke requests in {file.name}. If you need none, remove `smoke`.")
    if len(found) > MOST_REQUESTS:
        raise RejectedError(f"There are {len(found)} smoke requests in {file.name}; at most {MOST_REQUESTS} are sent.")
    return found


def difference(expected: Any, got: Any, tolerance: float, place: str = "answer") -> str | None:
    """Where and how `got` is not what was expected; None where it is. Numbers may be off by the tolerance."""
    if _is_number(expected) and _is_number(got):
        margin = f" ± {tolerance:g}" if tolerance else ""
        return None if _near(expected, got, tolerance) else f"{place} is {_shown(got)}, not {_shown(expected)}{margin}"
    if isinstance(expected, dict) and isinstance(got, dict):
        if expected.keys() != got.keys():
            return f"{place} has the keys {sorted(got)}, not {sorted(expected)}"
        pairs = [(f"{place}.{key}", expected[key], got[key]) for key in expected]
    elif isinstance(expected, list) and isinstance(got, list):
        if len(expected) != len(got):
            return f"{place} has {len(got)} items, not {len(expected)}"
        pairs = [(f"{place}[{index}]", *both) for index, both in enumerate(zip(expected, got, strict=True))]
    else:
        same = type(expected) is type(got) and expected == got
        return None if same else f"{place} is {_shown(got)}, not {_shown(expected)}"
    return next((found for where, one, other in pairs if (found := difference(one, other, tolerance, where))), None)


def _parse(file: str, number: int, line: str, tolerance: float) -> SmokeRequest:
    place = f"{file}, line {number}"
    try:
        found = json.loads(line)
    except ValueError as fault:
        raise RejectedError(f"{place} is not JSON: {fault}") from fault
    if not isinstance(found, dict) or "request" not in found:
        raise RejectedError(f'{place} is not an object with a "request".')
    unknown = sorted(found.keys() - _KEYS)
    if unknown:
        raise RejectedError(f"{place} has unknown keys: {', '.join(unknown)}; known are {', '.join(sorted(_KEYS))}.")
    own = found.get("tolerance", tolerance)
    if not _is_number(own) or not 0 <= own < math.inf:
        raise RejectedError(f"{place}: the tolerance must be a number that is 0 or more.")
    return SmokeRequest(number, found["request"], "expected" in found, found.get("expected"), float(own))


def _near(expected: float, got: float, tolerance: float) -> bool:
    """Also for what JSON allows and arithmetic does not: NaN, here equal to itself, and numbers beyond any float."""
    try:
        return expected == got or abs(expected - got) <= tolerance or (math.isnan(expected) and math.isnan(got))
    except OverflowError:
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:199] + "…"
