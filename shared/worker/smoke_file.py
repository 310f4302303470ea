"""Reads smoke requests, and compares answers with what they expect."""

import json
import math
from pathlib import Path
from typing import Any

from shared.config import smoke_requests
from shared.config.smoke_requests import SmokeRequest
from shared.ports import RejectedError


def read(file: Path, tolerance: float) -> list[SmokeRequest]:
    """The file's requests. `tolerance` is the default for lines without one. Raises `RejectedError` with the line."""
    try:
        return smoke_requests.read(file, tolerance)
    except ValueError as fault:
        raise RejectedError(str(fault)) from fault


def difference(expected: Any, got: Any, tolerance: float, place: str = "answer") -> str | None:
    """Where and how `got` differs from what was expected; None if it does not. Numbers may differ by the tolerance."""
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


def _near(expected: float, got: float, tolerance: float) -> bool:
    """Whether two numbers are close. Handles NaN, which equals itself here, and integers too large for a float."""
    try:
        return expected == got or abs(expected - got) <= tolerance or (math.isnan(expected) and math.isnan(got))
    except OverflowError:
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:199] + "…"
