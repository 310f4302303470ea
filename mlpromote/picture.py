"""Draws a promotion: a block per stage, a line per step, with what was seen and how long it took. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mlpromote.tables import took
from mlpromote.wording import Step, told

#: A promotion, and a stage of it, as `GET /api/promotions/{id}` answers them.
Promotion = Mapping[str, Any]
Stage = Mapping[str, Any]

#: How a status looks: mark and style. What is under way turns.
_LOOKS = {
    "waiting": ("·", "dim"),
    "queued": ("·", "dim"),
    "succeeded": ("✓", "green"),
    "failed": ("✗", "red"),
    "refused": ("✗", "yellow"),
    "rejected": ("✗", "yellow"),
    "stopped": ("–", "yellow"),
    "cancelled": ("–", "yellow"),
    "rolled-back": ("↩", "yellow"),
    "skipped": ("–", "dim"),
    "superseded": ("–", "dim"),
    "ignored": ("–", "dim"),
}
_UNDER_WAY = ("running", "undoing")
#: What such a stage did not get to is left out.
_ENDED_EARLY = ("failed", "refused", "rejected", "cancelled", "rolled-back", "skipped", "superseded")
_TURNING = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_TURNS_PER_SECOND = 8
#: Before a step that takes back what was done.
_UNDOING = "↩ "
_INDENT = 3
#: Of a terminal with 80 columns, the words beside it need the rest.
_WIDEST_LABEL = 30


def picture(promotion: Promotion, now: datetime) -> RenderableType:
    """The stages of a promotion as they are at `now`."""
    stages = promotion["stages"]
    # A step stands below its stage, two characters further in; before both there is a mark and a space.
    labels = [_label(prefix, step) for stage in stages for prefix, step in _steps(stage)]
    width = max((*(len(label) + 4 for label in labels), *(len(stage["name"]) + 2 for stage in stages)), default=0)
    return Padding(Group(*(_stage(stage, now, min(width, _WIDEST_LABEL)) for stage in stages)), (0, 0, 0, _INDENT))


def _stage(stage: Stage, now: datetime, width: int) -> Table:
    table = _columns(width)
    endpoint = f"endpoint {stage['endpoint']}" if stage["endpoint"] else ""
    replaces = f", replaces version {stage['replaces']}" if stage.get("replaces") else ""
    table.add_row(
        Text.assemble(mark(stage["status"], now), (f" {stage['name']}", "bold")),
        Text(f"{endpoint}{replaces}", style="dim", no_wrap=True, overflow="ellipsis"),
        Text(_duration(stage, now), style="bold"),
    )
    for prefix, step in _steps(stage):
        never = step["status"] in ("waiting", "skipped")
        if never and stage["status"] in _ENDED_EARLY:
            continue
        style = "dim" if never else ""
        table.add_row(
            Text.assemble("  ", mark(step["status"], now), (f" {_label(prefix, step)}", style)),
            Text(told(step, now), no_wrap=step["status"] != "failed", overflow="ellipsis"),
            _duration(step, now),
        )
    return table


def changes(before: Promotion | None, after: Promotion, now: datetime) -> Iterator[RenderableType]:
    """The steps that ended between two looks at a promotion, a line each: for a terminal that cannot be redrawn."""
    seen = dict(_ended(before)) if before else {}
    longest = max((len(stage["name"]) for stage in after["stages"]), default=0)
    longest_step = max((len(_label(*each)) for stage in after["stages"] for each in _steps(stage)), default=0)
    for key, step in _ended(after):
        if key not in seen:
            stage, name = key
            table = _columns(min(longest + longest_step + 3, _WIDEST_LABEL))
            label = Text.assemble(mark(step["status"], now), f" {stage:{longest}} {name}")
            table.add_row(label, Text(told(step, now)), _duration(step, now))
            yield Padding(table, (0, 0, 0, _INDENT))


def _ended(promotion: Promotion) -> Iterator[tuple[tuple[str, str], Step]]:
    """The steps that have come to an end, by stage and name."""
    for stage in promotion["stages"]:
        for prefix, step in _steps(stage):
            if step["status"] in ("succeeded", "failed"):
                yield (stage["name"], _label(prefix, step)), step


def _steps(stage: Stage) -> Iterator[tuple[str, Step]]:
    """The steps in their order, and those that take back what was done with a mark of their own."""
    yield from (("", step) for step in stage["steps"])
    yield from ((_UNDOING, step) for step in stage["undoing"])


def _label(prefix: str, step: Step) -> str:
    return f"{prefix}{step['name']}"


def _columns(label_width: int) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=label_width, no_wrap=True)
    table.add_column(ratio=1)
    table.add_column(width=7, justify="right")
    return table


def mark(status: str, now: datetime) -> Text:
    """A character in a colour for a status of a promotion, a stage or a step."""
    if status in _UNDER_WAY:
        return Text(_TURNING[int(now.timestamp() * _TURNS_PER_SECOND) % len(_TURNING)], style="cyan")
    character, style = _LOOKS.get(status, ("?", "red"))
    return Text(character, style=style)


def _duration(part: Stage | Step, now: datetime) -> str:
    """How long a stage or a step took, or has taken so far; empty when it has not started."""
    if not part["started"]:
        return ""
    end = datetime.fromisoformat(part["ended"]) if part["ended"] else now
    return took(max(end - datetime.fromisoformat(part["started"]), timedelta(0)))
