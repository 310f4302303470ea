"""The commands for holds: keep promotions out of a route, a model, a stage, or everything, and let them in again."""

import argparse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from mlpromote.access import Access
from mlpromote.api import Api, Document
from mlpromote.exit_codes import ExitCode
from mlpromote.output import Output
from mlpromote.tables import age, spoken, table, until

EVERYTHING = "everything"
_UNTIL = "when it ends by itself, such as 2026-12-01T08:00; without an offset, in this machine's time zone"


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    what = "keep new promotions out of a route, a model or a stage"
    hold = _command(commands, common, "hold", what, _hold)
    hold.add_argument("held", metavar="SCOPE", help="ROUTE[/MODEL[/STAGE]]; MODEL may be *, for all models")
    freeze = _command(commands, common, "freeze", "keep new promotions out of every stage of every route", _hold)
    freeze.set_defaults(held=EVERYTHING)
    for each in (hold, freeze):
        each.add_argument("--until", type=_moment, metavar="TIME", help=_UNTIL)
        each.add_argument("--reason", required=True, metavar="TEXT", help="why; shown to everybody who waits for it")
    unfreeze = _command(commands, common, "unfreeze", "end a freeze", _release)
    unfreeze.set_defaults(held=EVERYTHING)
    unfreeze.add_argument("--reason", required=True, metavar="TEXT", help="why; recorded with the holds")
    holds = _command(commands, common, "holds", "list what is held, by whom, until when and why", _holds)
    holds.add_argument("--history", action="store_true", help="also show what happened to holds, newest first")
    _add_release(commands, common)


def _add_release(commands: Any, common: argparse.ArgumentParser) -> None:
    what = "release a hold, of an operator or of a rollback, so that new promotions can enter again"
    release = _command(commands, common, "release", what, _release)
    release.add_argument("held", nargs="+", metavar="SCOPE", help="ROUTE[/MODEL[/STAGE]], or ROUTE MODEL STAGE")
    release.add_argument("--reason", required=True, metavar="TEXT", help="why; recorded in the journal")


def _command(commands: Any, common: argparse.ArgumentParser, name: str, what: str, run: Any) -> argparse.ArgumentParser:
    description = f"{what[0].upper()}{what[1:]}."
    parser: argparse.ArgumentParser = commands.add_parser(
        name, parents=[common], help=what, description=description, allow_abbrev=False
    )
    parser.set_defaults(run=run)
    return parser


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as fault:
        raise argparse.ArgumentTypeError(f"must be a time, such as 2026-12-01T08:00, not {text!r}") from fault
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _hold(access: Access, options: argparse.Namespace, output: Output) -> ExitCode:
    body = {"scope": options.held, "reason": options.reason, "until": options.until}
    return _told(Api(access).post("holds", body=body), output)


def _release(access: Access, options: argparse.Namespace, output: Output) -> ExitCode:
    scope = options.held if isinstance(options.held, str) else "/".join(options.held)
    return _told(Api(access).post("holds", "release", body={"scope": scope, "reason": options.reason}), output)


def _told(answer: Document, output: Output) -> ExitCode:
    output.result(answer, lambda: [answer["done"], _drawn(answer["value"], output.clock())])
    return ExitCode.DONE


def _holds(access: Access, options: argparse.Namespace, output: Output) -> ExitCode:
    api = Api(access)
    found = api.get("holds")
    of_rollbacks = [
        {**stage["hold"], "scope": f"{lane['route']}/{lane['model']}/{stage['name']}", "until": None}
        for lane in api.entries("routes", query={})
        for stage in lane["stages"]
        if stage["hold"] and stage["hold"]["promotion"]
    ]
    shown = {"value": [*found["value"], *of_rollbacks], "history": found["history"]}
    output.result(shown, lambda: list(_listed(shown, options.history, output.clock())))
    return ExitCode.DONE


def _listed(found: Document, with_history: bool, now: datetime) -> Sequence[RenderableType]:
    parts = [_drawn(found["value"], now)]
    return [*parts, Text(), _history(found["history"])] if with_history and found["history"] else parts


def _drawn(holds: Sequence[Document], now: datetime) -> RenderableType:
    if not holds:
        return Text("nothing is held")
    made = table("held", "until", "by", "for", "why", whole=("by", "for"))
    for each in holds:
        made.add_row(each["scope"], _end(each, now), each["by"], age(each["since"], now), each["reason"])
    return Group(made)


def _end(hold: Mapping[str, Any], now: datetime) -> str:
    return until(hold["until"], now) if hold["until"] else "released"


def _history(lines: Sequence[Document]) -> RenderableType:
    made = table("when (UTC)", "what", "held", "who", "why", whole=("when (UTC)",))
    for line in lines:
        at = datetime.fromisoformat(line["at"]).astimezone(UTC)
        made.add_row(f"{at:%Y-%m-%d %H:%M:%S}", spoken(line["what"]), line["scope"], line["who"], line["reason"])
    return made
