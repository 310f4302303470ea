"""Compares the rows that two deployments wrote for the same input. Only counts leave this file, never contents.

Azure ML appends rows in the order in which mini-batches end, and separates values by spaces, without a header. So rows
are matched by a column that tells them apart, such as the name of the input file, or by two columns. If there is none,
they are compared in their order.
"""

import csv
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from shared.worker.smoke_file import difference

Row = tuple[Any, ...]

#: How many of the columns are tried as keys.
_MOST_COLUMNS = 8
_IN_ORDER = "their order"


class UnreadableError(Exception):
    """The text is a phrase that says what is wrong with the rows."""


@dataclass(frozen=True)
class Compared:
    """How two sets of rows differ."""

    rows: int
    differing: int
    largest_difference: float | None  #: between two numbers of matching rows; None if there are none
    matched_by: str  #: `column 1`, or `their order`

    @property
    def disagreement(self) -> float:
        """The part of the rows that differ."""
        return self.differing / self.rows if self.rows else 0.0


def read(content: bytes) -> list[Row]:
    """The rows of a file: each line is a JSON value, or values separated by spaces. Raises `UnreadableError`."""
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as fault:
        raise UnreadableError("are no text in UTF-8") from fault
    if any("\0" in line for line in lines):
        raise UnreadableError("are no text: they contain zero bytes")
    return [_row(line) for line in lines if line.strip()]


def compare(candidate: Sequence[Row], champion: Sequence[Row], tolerance: float) -> Compared:
    """Compare as many rows of one as of the other."""
    key = _key(candidate, champion)
    if key:
        theirs = {_values(row, key): row for row in champion}
        pairs = [(theirs[_values(row, key)], row) for row in candidate]
    else:
        pairs = list(zip(champion, candidate, strict=True))
    differing = sum(difference(list(old), list(new), tolerance) is not None for old, new in pairs)
    apart = [each for old, new in pairs for each in _apart(old, new)]
    matched = " and ".join(f"column {column + 1}" for column in key) or _IN_ORDER
    return Compared(len(pairs), differing, max(apart) if apart else None, matched)


def _row(line: str) -> Row:
    if line.lstrip().startswith(("{", "[")):
        try:
            return (json.loads(line),)
        except (ValueError, RecursionError):
            pass
    return tuple(_value(text) for text in next(csv.reader([line], delimiter=" ", skipinitialspace=True)))


def _value(text: str) -> Any:
    """A number if the text is one, as Python and pandas write them."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _key(candidate: Sequence[Row], champion: Sequence[Row]) -> tuple[int, ...]:
    """The first column, or pair of columns, whose values are different in each row and the same in both files. Another
    column is left to compare."""
    width = min((len(row) for row in (*candidate, *champion)), default=0)
    columns = range(min(width, _MOST_COLUMNS))
    for key in (choice for size in (1, 2) for choice in combinations(columns, size) if size < width):
        ours, theirs = ({_values(row, key) for row in rows} for rows in (candidate, champion))
        if len(ours) == len(candidate) and ours == theirs and not any(_is_float(each) for each in ours):
            return key
    return ()


def _values(row: Row, key: tuple[int, ...]) -> Row:
    return tuple(row[column] for column in key)


def _is_float(values: Row) -> bool:
    """Whether it has a number with decimals, which is a result rather than a key."""
    return any(isinstance(each, float) for each in values)


def _apart(old: Row, new: Row) -> Iterator[float]:
    """How far the numbers of two rows are apart."""
    for one, other in zip(old, new, strict=False):
        if isinstance(one, (int, float)) and isinstance(other, (int, float)):
            try:
                apart = abs(float(one) - float(other))
            except OverflowError:
                continue
            if math.isfinite(apart):
                yield apart
