"""Many promotions for people: a table, or in a narrow terminal a line or two for each. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from mlpromote.api import Document
from mlpromote.picture import mark
from mlpromote.tables import WideOrNarrow, age, spoken, table, widths

_HEADINGS = ("promotion", "version", "status", "stage", "age")
#: Columns that a reason needs beside the others.
_LEAST_REASON = 20
#: At 80 columns, status, stage and age need the rest. A longer title may be broken, so its id is shown too.
_WIDEST_TITLE = 40


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
    return WideOrNarrow(least, made, Group(*_narrow(promotions, now)))


def _cells(promotion: Document, now: datetime) -> tuple[str, ...]:
    status = _marked(promotion, now).plain
    return (promotion["id"], title(promotion), status, promotion["stage"] or "", age(promotion["created"], now))


def _marked(promotion: Document, now: datetime) -> Text:
    return Text.assemble(mark(promotion["status"], now), f" {spoken(promotion['status'])}")


def _narrow(promotions: Sequence[Document], now: datetime) -> Iterator[RenderableType]:
    """Yield a line for each promotion, and its reason below. A title means the newest, so an older one has its id."""
    name_width, status_width, stage_width, _ = widths([_cells(each, now)[1:] for each in promotions])
    seen: set[str] = set()
    for each in promotions:
        _, name, status, stage, passed = _cells(each, now)
        line = Text.assemble((f"{name:{min(name_width, _WIDEST_TITLE)}}  ", "bold"), _marked(each, now))
        line.append(" " * (status_width - len(status)))
        line.append(f"  {stage:{stage_width}}  {passed}")
        yield line
        if name in seen or len(name) > _WIDEST_TITLE:
            yield _below(each["id"])
        if reason := _reason(each):
            yield _below(reason)
        seen.add(name)


def _below(text: str) -> RenderableType:
    return Padding(Text(text, style="dim", no_wrap=True, overflow="ellipsis"), (0, 0, 0, 2))


def _reason(promotion: Document) -> str:
    """Why it ended, or what keeps it waiting, which an older app does not say."""
    return " ".join((promotion["reason"] or promotion.get("waits_for") or "").split())
