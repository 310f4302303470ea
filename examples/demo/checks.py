"""Checks the expectations of the demo."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text


class BrokenPromiseError(Exception):
    """An expectation of the demo was not met; the text says what happened instead."""


@dataclass
class Point:
    """One point of the story: what is expected, and what was seen."""

    number: int
    title: str
    promise: str
    kept: bool | None = None  #: None: the story did not get there
    seen: str = ""
    seconds: float = 0.0


def must(true: bool, promised: str, seen: str) -> None:
    """Raise BrokenPromiseError with what was seen instead, unless `true`."""
    if not true:
        raise BrokenPromiseError(f"Expected {promised}. Instead: {seen}")


def summary(points: Iterable[Point]) -> Table:
    """A line per point: what was expected, what was seen, how long it took."""
    table = Table(box=SIMPLE_HEAD, expand=True, pad_edge=False, header_style="dim", border_style="dim")
    table.add_column("", width=3)
    table.add_column("promised", ratio=1)
    table.add_column("seen", ratio=1)
    table.add_column("took", justify="right", width=7, no_wrap=True)
    for point in points:
        seen = "not reached" if point.kept is None else point.seen
        table.add_row(_mark(point), point.promise, seen, f"{point.seconds:.1f} s" if point.seconds else "")
    return table


def _mark(point: Point) -> Text:
    if point.kept is None:
        return Text(f"– {point.number}", style="dim")
    return Text(f"✓ {point.number}", style="green") if point.kept else Text(f"✗ {point.number}", style="bold red")
