"""Draws a promotion: a block per stage, a line per step, with its result and duration. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from mlpromote.tables import FittingTable, took
from mlpromote.wording import Step, told

#: A promotion and one of its stages, as `GET /api/promotions/{id}` returns them.
Promotion = Mapping[str, Any]
Stage = Mapping[str, Any]

#: Mark and style for each status. What is under way gets a spinner.
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
#: In these stages, steps that never started are left out.
_ENDED_EARLY = ("failed", "refused", "rejected", "cancelled", "rolled-back", "skipped", "superseded")
_TURNING = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_TURNS_PER_SECOND = 8
#: Prefix of a step that undoes another.
_UNDOING = "↩ "
_INDENT = 3
#: In a terminal of 80 columns, the text beside the label needs the rest.
_WIDEST_LABEL = 30


def picture(promotion: Promotion, now: datetime, is_short: bool = False) -> RenderableType:
    """Draw the stages of a promotion at `now`; `is_short`: stages that have succeeded without their steps."""
    stages = [_folded(stage) if is_short else stage for stage in promotion["stages"]]
    # A step is indented two characters below its stage; both start with a mark and a space.
    labels = [_label(prefix, step) for stage in stages for prefix, step in _steps(stage)]
    width = max((*(len(label) + 4 for label in labels), *(len(stage["name"]) + 2 for stage in stages)), default=0)
    return Padding(Group(*(_stage(stage, now, min(width, _WIDEST_LABEL)) for stage in stages)), (0, 0, 0, _INDENT))


def _folded(stage: Stage) -> Stage:
    return {**stage, "steps": [], "undoing": []} if stage["status"] == "succeeded" else stage


def _stage(stage: Stage, now: datetime, width: int) -> FittingTable:
    table = _columns(width)
    endpoint = [f"endpoint {stage['endpoint']}"] if stage["endpoint"] else []
    replaces = [f"replaces version {stage['replaces']}"] if stage.get("replaces") else []
    table.add_row(
        Text.assemble(mark(stage["status"], now), (f" {stage['name']}", "bold")),
        Text(", ".join([*endpoint, *replaces]), style="dim", no_wrap=True, overflow="ellipsis"),
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
    """Yield a line for each step that ended between two polls, for output that cannot be redrawn."""
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
    """Yield the steps that have ended, by stage and name."""
    for stage in promotion["stages"]:
        for prefix, step in _steps(stage):
            if step["status"] in ("succeeded", "failed"):
                yield (stage["name"], _label(prefix, step)), step


def _steps(stage: Stage) -> Iterator[tuple[str, Step]]:
    """Yield the steps in order, then the undo steps with their prefix."""
    yield from (("", step) for step in stage["steps"])
    yield from ((_UNDOING, step) for step in stage["undoing"])


def _label(prefix: str, step: Step) -> str:
    return f"{prefix}{step['name']}"


def _columns(label_width: int) -> FittingTable:
    table = FittingTable.columns_only()
    table.add_column(width=label_width, no_wrap=True)
    table.add_column(ratio=1)
    table.add_column(width=7, justify="right")
    return table


def mark(status: str, now: datetime) -> Text:
    """Return a coloured mark for the status of a promotion, a stage or a step."""
    if status in _UNDER_WAY:
        return Text(_TURNING[int(now.timestamp() * _TURNS_PER_SECOND) % len(_TURNING)], style="cyan")
    character, style = _LOOKS.get(status, ("?", "red"))
    return Text(character, style=style)


def _duration(part: Stage | Step, now: datetime) -> str:
    """Return how long a stage or step took, or has taken so far; empty if it has not started."""
    if not part["started"]:
        return ""
    end = datetime.fromisoformat(part["ended"]) if part["ended"] else now
    return took(max(end - datetime.fromisoformat(part["started"]), timedelta(0)))
