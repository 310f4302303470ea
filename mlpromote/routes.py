"""The commands for routes: what serves each stage, releasing a hold, and running a pipeline again."""

import argparse
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from mlpromote.access import Access
from mlpromote.api import Api, Document
from mlpromote.exit_codes import ExitCode
from mlpromote.output import Output
from mlpromote.tables import age, table

#: Marks a route or a stage that is no longer in promotion.yml.
_GONE = "(not configured)"


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    what = "show what serves each stage, what is being promoted to it, and holds"
    routes = commands.add_parser("routes", parents=[common], help=what, description=f"S{what[1:]}.", allow_abbrev=False)
    routes.add_argument("--route")
    routes.add_argument("--model")
    routes.set_defaults(run=_routes)

    what = "release the hold on a stage, so that new promotions can enter it"
    release = commands.add_parser(
        "release", parents=[common], help=what, description=f"L{what[1:]}.", allow_abbrev=False
    )
    for name in ("route", "model", "stage"):
        release.add_argument(name)
    release.add_argument("--reason", required=True, metavar="TEXT", help="why; recorded in the journal")
    release.set_defaults(run=_release)

    what = "run a stage's champion pipeline again, on fresh data"
    run = commands.add_parser("run", parents=[common], help=what, description=f"R{what[1:]}.", allow_abbrev=False)
    run.add_argument("route")
    run.add_argument("--stage", required=True)
    run.add_argument("--reason", required=True, metavar="TEXT", help="why; recorded in the journal")
    run.set_defaults(run=_run)


def _routes(access: Access, options: argparse.Namespace, output: Output) -> ExitCode:
    found = list(Api(access).entries("routes", query={"route": options.route, "model": options.model}))
    output.result(found, lambda: [_drawn(found, output.clock()) if found else "no promotions on any route yet"])
    return ExitCode.DONE


def _release(access: Access, options: argparse.Namespace, output: Output) -> ExitCode:
    way = ("routes", options.route, options.model, "stages", options.stage, "release")
    answer = Api(access).post(*way, body={"reason": options.reason})
    output.result(answer, lambda: [answer["done"], _drawn([answer["route"]], output.clock())])
    return ExitCode.DONE


def _run(access: Access, options: argparse.Namespace, output: Output) -> ExitCode:
    way = ("routes", options.route, "stages", options.stage, "run")
    answer = Api(access).post(*way, body={"reason": options.reason})
    output.result(answer, lambda: [f"promotion {answer['promotion']['id']} started"])
    return ExitCode.DONE


def _drawn(lanes: Iterable[Document], now: datetime) -> Table:
    made = table("route", "model", "stage", "serves", "since", "on its way", "hold", whole=("since",))
    for lane in lanes:
        # Older apps do not say what is configured.
        gone = "" if lane.get("configured", True) else f" {_GONE}"
        names = [f"{lane['route']}{gone}", lane["model"]]
        for stage in lane["stages"]:
            champion = stage["champion"]
            served = [champion["version"], f"{age(champion['since'], now)} ago"] if champion else ["–", ""]
            left = f" {_GONE}" if not gone and not stage.get("configured", True) else ""
            made.add_row(*names, f"{stage['name']}{left}", *served, _coming(stage), _hold(stage["hold"]))
            names = ["", ""]
    return made


def _coming(stage: Document) -> str:
    queue = [f"{one['version']} (queued)" for one in stage["queue"]]
    return ", ".join([*(one["version"] for one in stage["challengers"]), *queue])


def _hold(hold: Mapping[str, Any] | None) -> Text:
    return Text(f"by {hold['by']}: {hold['reason']}", style="yellow") if hold else Text()
