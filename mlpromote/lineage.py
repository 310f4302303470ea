"""The command for lineage: where a serving model comes from, and which serving models came from something."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text
from rich.tree import Tree

from mlpromote.access import Access
from mlpromote.api import Api, Document
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.output import Output
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
    "registry",
    "workspace",
    "repository",
    "branch",
    "definition",
)


def add_command(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to the parser."""
    what = "show where a serving model comes from, back to its data and commit"
    lineage = commands.add_parser(
        "lineage",
        parents=[common],
        help=what,
        description=f"S{what[1:]}. With --of, list the serving models that came from an asset, job or commit.",
        allow_abbrev=False,
    )
    lineage.add_argument("endpoint", nargs="?", metavar="ENVIRONMENT/ENDPOINT")
    lineage.add_argument(
        "--of", metavar="KIND:NAME[:VERSION]", help="data:churn-sample:7, model:churn:5, job:NAME or commit:DIGITS"
    )
    lineage.set_defaults(run=_lineage)


def _lineage(access: Access, options: argparse.Namespace, output: Output) -> ExitCode:
    if bool(options.of) == bool(options.endpoint):
        raise CommandError(ExitCode.USAGE, "Name either ENVIRONMENT/ENDPOINT, or --of KIND:NAME.")
    if options.of:
        found = list(Api(access).entries("lineage", query={"of": options.of}))
        nothing = f"no serving model came from {options.of}"
        output.result(found, lambda: [_listed(found, output) if found else nothing])
        return ExitCode.DONE
    environment, separator, endpoint = options.endpoint.partition("/")
    if not (separator and environment and endpoint):
        raise CommandError(ExitCode.USAGE, f"{options.endpoint} is not ENVIRONMENT/ENDPOINT, such as prod/churn.")
    lineage = Api(access).get("lineage", environment, endpoint)
    output.result(lineage, lambda: [_drawn(each) for each in lineage["serves"]])
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
            yield f"{name.replace('_', ' ')} {_spoken(value)}"
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
