"""Shared formatting of tables, ages and durations. Pure."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

#: Columns of an output that nothing limits, such as a pipe. Nothing is cut or wrapped there.
UNLIMITED = 10_000

_UNITS = ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min"), (timedelta(0), "s"))


class FittingTable(Table):
    """Fills the terminal; where nothing limits the width, it is as wide as it needs."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.expand = options.max_width < UNLIMITED // 2
        yield from super().__rich_console__(console, options)

    @classmethod
    def columns_only(cls) -> "FittingTable":
        """Return a table without headings and lines."""
        return cls(show_header=False, show_edge=False, pad_edge=False, box=None, padding=(0, 1), collapse_padding=True)


def table(*columns: str, whole: tuple[str, ...] = (), last_is_cut: bool = False) -> Table:
    """Return an empty table. Columns in `whole` never wrap; the last column takes the remaining width."""
    made = FittingTable(
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="dim",
        border_style="dim",
    )
    for name in columns[:-1]:
        made.add_column(name, no_wrap=name in whole, overflow="fold")
    made.add_column(columns[-1], ratio=1, no_wrap=last_is_cut, overflow="ellipsis" if last_is_cut else "fold")
    return made


class WideOrNarrow:
    """Draws `wide` in a terminal of at least `width` columns, and `narrow` in any other."""

    def __init__(self, width: int, wide: RenderableType, narrow: RenderableType) -> None:
        self._width, self._wide, self._narrow = width, wide, narrow

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._wide if options.max_width >= self._width else self._narrow


def widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of each column, in terminal cells. All rows have the same length; at least one is given."""
    return [max(map(cell_len, column)) for column in zip(*rows, strict=True)]


def in_columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a line of plain text for each row, each column as wide as its widest cell."""
    widest = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widest, strict=True)).rstrip()


def age(moment: str, now: datetime) -> str:
    """Return how long ago something was, in the largest unit that fits."""
    passed = max(now - datetime.fromisoformat(moment), timedelta(0))
    return _in_unit(passed)


def until(moment: str, now: datetime) -> str:
    """Return when something will be, as a date and as the time left."""
    then = datetime.fromisoformat(moment)
    left = max(then - now, timedelta(0))
    return f"{then.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, in {_in_unit(left)}"


def _in_unit(length: timedelta) -> str:
    unit, name = next((unit, name) for unit, name in _UNITS if length >= unit)
    return f"{length / unit:.0f} {name}" if unit else f"{length.total_seconds():.0f} {name}"


def took(length: timedelta) -> str:
    """Return how long something took; short times in tenths of a second."""
    return f"{length.total_seconds():.1f} s" if length < timedelta(seconds=100) else _in_unit(length)


def spoken(word: str) -> str:
    """Return a value from the API, such as a status, as words."""
    return word.replace("-", " ")


def dim(text: str) -> Text:
    """Return dimmed text."""
    return Text(text, style="dim")
