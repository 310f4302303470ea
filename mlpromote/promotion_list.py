"""Many promotions for people: a table, or in a narrow terminal a line or two for each. Pure."""

from collections.abc import Sequence
from datetime import datetime

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.text import Text

from mlpromote.api import Document
from mlpromote.picture import mark
from mlpromote.tables import WideOrNarrow, age, spoken, table, widths

_HEADINGS = ("promotion", "version", "status", "stage", "age")
#: Columns that a reason needs beside the others.
_LEAST_REASON = 20
#: At 80 columns, status, stage and age need the rest. A longer title has a line of its own, and its id below.
_WIDEST_TITLE = 40
_GAP = "  "


def title(promotion: Document) -> str:
    """Return `MODEL/VERSION`; for a pipeline or a job, `ROUTE/JOB`. Every command takes it as a name."""
    return f"{promotion['model']}/{promotion['version']}"


def listed(promotions: Sequence[Document], now: datetime) -> RenderableType:
    """Return one line for each promotion, or two where the terminal is too narrow for a table."""
    rows = [_cells(each, now) for each in promotions]
    column_widths = widths([_HEADINGS, *rows])
    made = table(*_HEADINGS, "why", whole=_HEADINGS, last_is_cut=True)
    for each, row in zip(promotions, rows, strict=True):
        made.add_row(*row[:2], _marked(each, now), *row[3:], _reason(each))
    least = sum(column_widths) + len(column_widths) + _LEAST_REASON
    return WideOrNarrow(least, made, _Narrow(promotions, now))


def _cells(promotion: Document, now: datetime) -> tuple[str, ...]:
    status = _marked(promotion, now).plain
    return (promotion["id"], title(promotion), status, promotion["stage"] or "", age(promotion["created"], now))


def _marked(promotion: Document, now: datetime) -> Text:
    return Text.assemble(mark(promotion["status"], now), f" {spoken(promotion['status'])}")


class _Narrow:
    """A line for each promotion, and its reason below. A title means the newest, so an older one has its id."""

    def __init__(self, promotions: Sequence[Document], now: datetime) -> None:
        self._promotions, self._now = promotions, now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = [_cells(each, self._now)[1:] for each in self._promotions]
        _, status_width, stage_width, age_width = widths(rows)
        left = options.max_width - (status_width + stage_width + age_width + 3 * len(_GAP))
        widest = min(left, _WIDEST_TITLE)
        name_width = max((cell_len(row[0]) for row in rows if cell_len(row[0]) <= widest), default=0)
        seen: set[str] = set()
        for each, (name, status, stage, passed) in zip(self._promotions, rows, strict=True):
            rest = _marked(each, self._now)
            rest.append(" " * (status_width - cell_len(status)) + f"{_GAP}{stage:{stage_width}}{_GAP}{passed}")
            if cell_len(name) <= widest:
                yield Text.assemble((f"{name:{name_width}}{_GAP}", "bold"), rest)
            else:  # nothing is broken in the middle of a line
                yield Text(name, "bold", overflow="fold")
                yield Padding(rest, (0, 0, 0, 2))
            if name in seen or cell_len(name) > _WIDEST_TITLE:
                yield _below(each["id"])
            if reason := _reason(each):
                yield _below(reason)
            seen.add(name)


def _below(text: str) -> RenderableType:
    return Padding(Text(text, style="dim", no_wrap=True, overflow="ellipsis"), (0, 0, 0, 2))


def _reason(promotion: Document) -> str:
    """Why it ended, or what keeps it waiting, which an older app does not say."""
    return " ".join((promotion["reason"] or promotion.get("waits_for") or "").split())
