"""The commands for routes: what serves each stage, and running a pipeline again."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from mlpromote.api import Document
from mlpromote.commands import command, reason
from mlpromote.exit_codes import ExitCode
from mlpromote.session import Session
from mlpromote.tables import WideOrNarrow, age, table, until, widths

#: Marks a route or a stage that is no longer in promotion.yml.
_GONE = "(not configured)"
_HEADINGS = ("route", "model", "stage", "serves", "since", "on its way", "hold")
#: Columns that a long text in the last column needs beside the others.
_LEAST_LAST = 25


@command("routes", "show what serves each stage, what is being promoted to it, and holds")
@click.option("--route", help="Only this route.")
@click.option("--model", help="Only this model.")
@click.pass_obj
def routes(session: Session, /, **query: str | None) -> ExitCode:
    """Show each route and model with its stages."""
    output = session.output
    pages = list(session.api.pages("routes", query=query))
    found = [lane for page in pages for lane in page["value"]]
    output.result(found, lambda: [*([_drawn(found, output.clock())] if found else ()), *_idle(pages, found)])
    return ExitCode.DONE


@command("run", "run the pipeline that serves a stage again, on fresh data")
@click.argument("route")
@click.option("--stage", required=True, help="The stage whose pipeline runs.")
@reason()
@click.pass_obj
def run(session: Session, route: str, stage: str, reason: str) -> ExitCode:
    """Start a promotion that runs the champion's pipeline again."""
    answer = session.api.post("routes", route, "stages", stage, "run", body={"reason": reason})
    session.output.result(answer, lambda: [f"promotion {answer['promotion']['id']} started"])
    return ExitCode.DONE


def _idle(pages: Sequence[Document], lanes: Sequence[Document]) -> Iterator[RenderableType]:
    """Yield a line for each configured route without promotions, or say that there are no promotions at all."""
    begun = {lane["route"] for lane in lanes}
    # An older app does not say what is configured.
    idle = dict.fromkeys(name for page in pages for name in page.get("configured", ()) if name not in begun)
    yield from (f"{name}: no promotions yet" for name in idle)
    if not lanes and not idle:
        yield "no promotions on any route yet"


def _drawn(lanes: Sequence[Document], now: datetime) -> RenderableType:
    rows = [row for lane in lanes for row in _rows(lane, now)]
    held = any(stage["hold"] for lane in lanes for stage in lane["stages"])
    headings = _HEADINGS if held else _HEADINGS[:-1]
    made = table(*headings, whole=headings[:-1])
    for row in rows:
        made.add_row(*row[: len(headings) - 1], Text(row[len(headings) - 1], style="yellow" if held else ""))
    *fixed, last = widths([headings, *(row[: len(headings)] for row in rows)])
    least = sum(fixed) + len(fixed) + min(last, _LEAST_LAST)
    return WideOrNarrow(least, made, Group(*(part for lane in lanes for part in _narrow(lane, now))))


def _rows(lane: Document, now: datetime) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each stage; only the first names the route and the model."""
    gone = _gone(lane)
    names = (f"{lane['route']}{gone}", lane["model"])
    for stage in lane["stages"]:
        champion = stage["champion"]
        served = (champion["version"], f"{age(champion['since'], now)} ago") if champion else ("–", "")
        left = "" if gone else _gone(stage)
        yield (*names, f"{stage['name']}{left}", *served, _coming(stage), _hold(stage["hold"], now))
        names = ("", "")


def _narrow(lane: Document, now: datetime) -> Iterator[RenderableType]:
    """Yield the route, a line for each stage, and below it what is on its way and a hold."""
    rows = list(_rows(lane, now))
    yield Text.assemble((rows[0][0], "bold") if rows else lane["route"], f", model {lane['model']}")
    for _, _, stage, serves, since, coming, hold in rows:
        yield _indented(f"{stage}: serves {serves}{f', since {since}' if since else ''}", 2)
        if coming:
            yield _indented(f"on its way: {coming}", 4)
        if hold:
            yield _indented(f"held {hold}", 4, "yellow")


def _indented(text: str, columns: int, style: str = "") -> RenderableType:
    return Padding(Text(text, style=style), (0, 0, 0, columns))


def _gone(part: Document) -> str:
    """Mark a route or a stage; older apps do not say what is configured."""
    return "" if part.get("configured", True) else f" {_GONE}"


def _coming(stage: Document) -> str:
    queue = [f"{one['version']} (queued)" for one in stage["queue"]]
    return ", ".join([*(one["version"] for one in stage["challengers"]), *queue])


def _hold(hold: Mapping[str, Any] | None, now: datetime) -> str:
    if not hold:
        return ""
    scope = f"with {hold['scope']} " if hold.get("scope") else ""
    end = f" until {until(hold['until'], now)}" if hold.get("until") else ""
    return f"{scope}by {hold['by']}{end}: {hold['reason']}"


COMMANDS = (routes, run)
