"""Smoke requests: JSON Lines of `{"request", "expected"?, "tolerance"?}`."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """The file's requests; `tolerance` is for lines that say none. Raises ValueError with the line at fault."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as fault:
        raise ValueError(f"The file of smoke requests {file} does not exist. Check `smoke` of the stage.") from fault
    except (OSError, UnicodeDecodeError) as fault:
        raise ValueError(f"The smoke requests in {file.name} cannot be read: {fault}") from fault
    found = [_parse(file.name, number, line, tolerance) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise ValueError(f"There are no smoke requests in {file.name}. If you need none, remove `smoke`.")
    if len(found) > MOST_REQUESTS:
        raise ValueError(f"There are {len(found)} smoke requests in {file.name}; at most {MOST_REQUESTS} are sent.")
    return found


def faults(file: Path, tolerance: float) -> Iterator[tuple[int, str]]:
    """Yield what is wrong with each line, by its number. What `read` refuses as a whole is reported for line 1."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    found = list(_line_faults(file.name, lines, tolerance))
    yield from found
    if not found:
        try:
            read(file, tolerance)
        except ValueError as fault:
            yield 1, str(fault)


def _line_faults(file: str, lines: Sequence[str], tolerance: float) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                _parse(file, number, line, tolerance)
            except ValueError as fault:
                yield number, str(fault).removeprefix(f"{file}, line {number}").lstrip(" :")


def _parse(file: str, number: int, line: str, tolerance: float) -> SmokeRequest:
    place = f"{file}, line {number}"
    try:
        found = json.loads(line)
    except ValueError as fault:
        raise ValueError(f"{place} is not JSON: {fault}") from fault
    if not isinstance(found, dict) or "request" not in found:
        raise ValueError(f'{place} is not an object with a "request".')
    unknown = sorted(found.keys() - _KEYS)
    if unknown:
        raise ValueError(f"{place} has unknown keys: {', '.join(unknown)}; known are {', '.join(sorted(_KEYS))}.")
    own = found.get("tolerance", tolerance)
    if not _is_number(own) or not 0 <= own < math.inf:
        raise ValueError(f"{place}: the tolerance must be a number that is 0 or more.")
    return SmokeRequest(number, found["request"], "expected" in found, found.get("expected"), float(own))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
