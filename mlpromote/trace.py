"""Draws the trace of a promotion: its steps over time, and the functions that ran for each. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import RenderableType
from rich.text import Text

from mlpromote.api import Document
from mlpromote.tables import FittingTable, dim, spoken

#: Width of the timeline, in characters.
_WIDTH = 24
_ELSEWHERE = (
    "The app itself keeps no function traces. If it sends traces to Application Insights, look there for "
    "operation_Id == '{trace}'."
)


@dataclass(frozen=True)
class _Row:
    """A row of the timeline. `inside`: its depth in the tree."""

    inside: int
    name: str
    started: datetime
    ended: datetime
    remark: str = ""
    failed: bool = False


def drawn(promotion: Document, trace: Document, now: datetime) -> Iterator[RenderableType]:
    """Draw the promotion's steps and, if the app keeps them, the spans of functions in each step."""
    rows = list(_rows(promotion, trace["spans"] or (), now))
    whole = rows[0]
    table = FittingTable.columns_only()
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=3)
    table.add_column(width=_WIDTH, no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=2)
    for row in rows:
        style = "red" if row.failed else "dim" if row.inside > 1 else ""
        bar = Text(_bar(row, whole), style="red" if row.failed else "cyan")
        table.add_row(Text("  " * row.inside + row.name, style=style), bar, _seconds(row), dim(row.remark))
    yield table
    if trace["spans"] is None:
        yield dim(_ELSEWHERE.format(trace=trace["trace"]))
    else:
        yield dim(f"trace {trace['trace']}")


def _rows(promotion: Document, spans: Sequence[Document], now: datetime) -> Iterator[_Row]:
    """Return the promotion and, below it, each step with its spans, in order of start."""
    # Spans with a status belong to steps and the promotion, which are drawn already.
    functions = sorted((span for span in spans if "status" not in span["attributes"]), key=lambda span: span["started"])
    begun = min([promotion["created"], *(span["started"] for span in functions)], key=datetime.fromisoformat)
    ended = now if promotion["status"] in ("queued", "running") else datetime.fromisoformat(promotion["updated"])
    name = f"{promotion['model']}/{promotion['version']}"
    status = promotion["status"]
    yield _Row(0, name, datetime.fromisoformat(begun), ended, spoken(status), status == "failed")
    steps = {
        (stage["name"], step["name"]): step
        for stage in promotion["stages"]
        for step in (*stage["steps"], *stage["undoing"])
        if step["started"]
    }
    blocks = [[_step(stage, step, now)] for (stage, _), step in steps.items()]
    by_step = dict(zip(steps, blocks, strict=True))
    for span in functions:
        place = span["attributes"].get("stage"), span["attributes"].get("step")
        if place in by_step:
            by_step[place].append(_function(span, 2))
        else:
            blocks.append([_function(span, 1)])
    for block in sorted(blocks, key=lambda block: block[0].started):
        yield from block


def _step(stage: str, step: Document, now: datetime) -> _Row:
    ended = datetime.fromisoformat(step["ended"]) if step["ended"] else now
    polls = f"{step['polls']} poll{'' if step['polls'] == 1 else 's'}, {step['seconds']:.1f} s of functions"
    name, started = f"{stage} {step['name']}", datetime.fromisoformat(step["started"])
    return _Row(1, name, started, ended, polls, step["status"] == "failed")


def _function(span: Document, inside: int) -> _Row:
    about = span["attributes"]
    remark = " ".join(str(about[key]) for key in ("outcome", "reason") if key in about)
    started, ended = (datetime.fromisoformat(span[key]) for key in ("started", "ended"))
    return _Row(inside, span["name"], started, ended, remark, span["failed"])


def _bar(row: _Row, whole: _Row) -> str:
    """Return the row's bar on the timeline; at least one character."""
    length = max((whole.ended - whole.started).total_seconds(), 0.001)
    first, last = (
        min(max(int((moment - whole.started).total_seconds() / length * _WIDTH), 0), _WIDTH - 1)
        for moment in (row.started, row.ended)
    )
    return " " * first + "━" * (max(last, first) - first + 1)


def _seconds(row: _Row) -> str:
    seconds = max((row.ended - row.started).total_seconds(), 0.0)
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
