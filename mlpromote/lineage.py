"""The command for lineage: where a serving model comes from, and which serving models came from something."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import RenderableType
from rich.text import Text
from rich.tree import Tree

from mlpromote.api import Document
from mlpromote.commands import command
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.output import Output
from mlpromote.session import Session
from mlpromote.tables import age, table

#: Facts to show to people. The JSON also has ids.
_SHOWN = (
    "stage",
    "since",
    "route",
    "requested_by",
    "by",
    "reason",
    "status",
    "experiment",
    "step",
    "input",
    "rows",
    "differing",
    "compared_with",
    "registry",
    "workspace",
    "repository",
    "branch",
    "definition",
)


@command(
    "lineage",
    "show where a serving model comes from, back to its data and commit",
    more="With --of, list the serving models that came from an asset, job or commit.",
)
@click.argument("endpoint", required=False, metavar="[ENVIRONMENT/ENDPOINT]")
@click.option("--of", metavar="KIND:NAME", help="data:churn-sample:7, model:churn:5, job:NAME or commit:DIGITS.")
@click.pass_obj
def lineage(session: Session, endpoint: str | None, of: str | None) -> ExitCode:
    """Draw the tree of what serves an endpoint, or search forward."""
    output = session.output
    if bool(of) == bool(endpoint):
        raise CommandError(ExitCode.USAGE, "Name either ENVIRONMENT/ENDPOINT, or --of KIND:NAME.")
    if of:
        found = list(session.api.entries("lineage", query={"of": of}))
        output.result(found, lambda: [_listed(found, output) if found else f"no serving model came from {of}"])
        return ExitCode.DONE
    environment, separator, name = (endpoint or "").partition("/")
    if not (separator and environment and name):
        raise CommandError(ExitCode.USAGE, f"{endpoint} is not ENVIRONMENT/ENDPOINT, such as prod/churn.")
    tree = session.api.get("lineage", environment, name)
    output.result(tree, lambda: [_drawn(each) for each in tree["serves"]])
    return ExitCode.DONE


def _drawn(node: Document) -> Tree:
    made = Tree(_line(node), guide_style="dim")
    for below in node["from"]:
        made.add(_drawn(below))
    return made


def _line(node: Document) -> RenderableType:
    name = "/".join(part for part in (node["name"], node["version"]) if part)
    facts = ", ".join(_facts(node["facts"]))
    return Text.assemble((f"{node['kind']} ", "dim"), (name, "bold"), (f"  {facts}" if facts else "", ""))


def _facts(facts: Mapping[str, Any]) -> Iterator[str]:
    for name in _SHOWN:
        value = facts.get(name)
        if value is not None:
            yield f"{name.replace('_', ' ')} {_moment(value) if name == 'since' else _spoken(value)}"
    if facts.get("dirty") in (True, "True", "true"):
        yield "with uncommitted changes"
    yield from _metrics(facts.get("metrics") or {})


def _metrics(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Yield the metrics of one model, or of a candidate and the champion."""
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            against = f" (champion {_spoken(value['champion'])})" if "champion" in value else ""
            yield f"{name} {_spoken(value.get('candidate', 'none'))}{against}"
        else:
            yield f"{name} {_spoken(value)}"


def _moment(value: str) -> str:
    return f"{datetime.fromisoformat(value).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _spoken(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _listed(found: Sequence[Document], output: Output) -> RenderableType:
    made = table("environment", "endpoint", "model", "version", "since", "through")
    for each in found:
        served = f"{age(each['since'], output.clock())} ago"
        made.add_row(*(each[name] for name in ("environment", "endpoint", "model", "version")), served, _through(each))
    return made


def _through(found: Document) -> str:
    """Return the links between the endpoint and what the user asked for."""
    return " ← ".join(found["way"][1:])


COMMANDS = (lineage,)
