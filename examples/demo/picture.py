"""Draws a promotion: a block per stage, a line per step, with what was seen and how long it took. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from examples.demo.promotions import Promotion

#: How a status looks: mark and style. `running` turns.
_LOOKS = {
    "waiting": ("·", "dim"),
    "queued": ("·", "dim"),
    "succeeded": ("✓", "green"),
    "failed": ("✗", "red"),
    "refused": ("✗", "yellow"),
    "skipped": ("–", "dim"),
    "superseded": ("–", "dim"),
}
#: Before a step that takes back what was done.
UNDOING = "↩"
_TURNING = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_TURNS_PER_SECOND = 8


def picture(promotion: Promotion, now: datetime) -> RenderableType:
    """The stages of a promotion as they are at `now`."""
    return Group(*(_stage(stage, now) for stage in promotion["stages"]))


def _stage(stage: Mapping[str, Any], now: datetime) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(width=12)
    table.add_column(ratio=1)
    table.add_column(width=7, justify="right")
    table.expand = True
    table.add_row(
        mark(stage["status"], now),
        Text(stage["name"], style="bold"),
        Text(f"endpoint {stage['endpoint']}", style="dim", no_wrap=True, overflow="ellipsis"),
        Text(duration(stage, now), style="bold"),
    )
    for step in stage["steps"]:
        table.add_row("", *_step(step, step["name"], now))
    for step in stage["undoing"]:
        table.add_row("", *_step(step, f"{UNDOING} {step['name']}", now))
    return table


def _step(step: Mapping[str, Any], name: str, now: datetime) -> tuple[RenderableType, RenderableType, RenderableType]:
    status = step["status"]
    label = Text.assemble(mark(status, now), " ", (name, "dim" if status in ("waiting", "skipped") else ""))
    return label, Text(story(step, now), no_wrap=status != "failed", overflow="ellipsis"), Text(duration(step, now))


def mark(status: str, now: datetime) -> Text:
    """One character for a status."""
    if status in ("running", "undoing"):
        return Text(_TURNING[int(now.timestamp() * _TURNS_PER_SECOND) % len(_TURNING)], style="cyan")
    character, style = _LOOKS.get(status, ("?", "red"))
    return Text(character, style=style)


def duration(part: Mapping[str, Any], now: datetime) -> str:
    """How long a stage or a step took, or has taken so far; empty when it has not started."""
    if not part["started"]:
        return ""
    end = datetime.fromisoformat(part["ended"]) if part["ended"] else now
    return f"{max(0.0, (end - datetime.fromisoformat(part['started'])).total_seconds()):.1f} s"


def story(step: Mapping[str, Any], now: datetime) -> str:
    """A step in words: what it waits for, what it saw, or why it failed."""
    if step["status"] == "failed" and step["failure"]:
        return str(step["failure"]["reason"])
    if step["status"] == "running":
        return f"{step['says'] or 'asked for'}{_next_look(step, now)}"
    return ", ".join(facts(step["evidence"])) if step["status"] == "succeeded" else ""


def facts(evidence: Mapping[str, Any]) -> Iterator[str]:
    """What a step saw, as `name value` for each value that fits in a line."""
    for name, value in evidence.items():
        if isinstance(value, Mapping):
            yield from (f"{name} {inner}" for inner in facts(value))
        elif isinstance(value, float):
            yield f"{name} {value:.4g}"
        elif isinstance(value, str | int) and value != "":
            yield f"{name} {value}"


def _next_look(step: Mapping[str, Any], now: datetime) -> str:
    if not step["nextLook"]:
        return ""
    seconds = (datetime.fromisoformat(step["nextLook"]) - now).total_seconds()
    return f"; looks again in {seconds:.0f} s" if seconds >= 1 else ""


def changes(before: Promotion | None, after: Promotion, now: datetime) -> Iterator[str]:
    """The steps that ended between two looks at a promotion, a line each: for a terminal that cannot be redrawn."""
    seen = set(_ended(before)) if before else set()
    for key, (stage, step) in _ended(after).items():
        if key not in seen:
            name = f"{UNDOING} {step['name']}" if key[1] == "undoing" else step["name"]
            line = (
                f"{mark(step['status'], now)} {stage['name']:6} {name:14} {duration(step, now):>7}  {story(step, now)}"
            )
            yield line.rstrip()


def _ended(promotion: Promotion) -> dict[tuple[str, str, str], tuple[Mapping[str, Any], Mapping[str, Any]]]:
    return {
        (stage["name"], walk, step["name"]): (stage, step)
        for stage in promotion["stages"]
        for walk in ("steps", "undoing")
        for step in stage[walk]
        if step["status"] in ("succeeded", "failed")
    }
