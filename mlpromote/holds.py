"""The commands for holds: keep promotions out of a route, a model, a stage, or everything, and let them in again."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.text import Text

from mlpromote.api import Document
from mlpromote.commands import command, reason
from mlpromote.exit_codes import ExitCode
from mlpromote.session import Session
from mlpromote.tables import age, spoken, table, until

EVERYTHING = "everything"


class Moment(click.ParamType[str]):
    """A time, which is sent with its offset. Without one, it is in this machine's time zone."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the time in UTC, in ISO 8601. Fails for anything else."""
        try:
            moment = datetime.fromisoformat(str(value)).astimezone(UTC)
        except (ValueError, OverflowError):
            return self.fail(f"must be a time, such as 2026-12-01T08:00, not {value!r}", param, ctx)
        return moment.isoformat(timespec="seconds")


_until = click.option(
    "--until",
    type=Moment(),
    metavar="TIME",
    help="When it ends by itself, such as 2026-12-01T08:00: in this machine's time zone, if no offset is given.",
)


@command(
    "hold",
    "keep new promotions out of a route, a model or a stage",
    more="SCOPE is ROUTE[/MODEL[/STAGE]]; MODEL may be *, for all models. What is in a stage already finishes.",
)
@click.argument("held", metavar="SCOPE")
@_until
@reason()
@click.pass_obj
def hold(session: Session, held: str, until: str | None, reason: str) -> ExitCode:
    """Set a hold, in place of another one on the same scope."""
    return _set(session, held, until, reason)


@command("freeze", "keep new promotions out of every stage", more="What is in a stage already finishes.")
@_until
@reason()
@click.pass_obj
def freeze(session: Session, until: str | None, reason: str) -> ExitCode:
    """Hold everything."""
    return _set(session, EVERYTHING, until, reason)


@command(
    "release",
    "release a hold, of an operator or of a rollback",
    more="SCOPE is ROUTE[/MODEL[/STAGE]], or its parts as separate words.",
)
@click.argument("held", metavar="SCOPE", nargs=-1, required=True)
@reason()
@click.pass_obj
def release(session: Session, held: tuple[str, ...], reason: str) -> ExitCode:
    """Release the hold on exactly this scope."""
    return _lift(session, "/".join(held), reason)


@command("unfreeze", "end a freeze")
@reason()
@click.pass_obj
def unfreeze(session: Session, reason: str) -> ExitCode:
    """Release the hold on everything."""
    return _lift(session, EVERYTHING, reason)


def _set(session: Session, scope: str, until: str | None, reason: str) -> ExitCode:
    return _changed(session, session.api.post("holds", body={"scope": scope, "reason": reason, "until": until}))


def _lift(session: Session, scope: str, reason: str) -> ExitCode:
    return _changed(session, session.api.post("holds", "release", body={"scope": scope, "reason": reason}))


def _changed(session: Session, answer: Document) -> ExitCode:
    output = session.output
    output.result(answer, lambda: [answer["done"], _drawn(answer["value"], output.clock())])
    return ExitCode.DONE


@command("holds", "list what is held, by whom, until when and why")
@click.option("--history", is_flag=True, help="Also show what happened to holds, newest first.")
@click.pass_obj
def holds(session: Session, history: bool) -> ExitCode:
    """List the holds of operators, and those that rollbacks have set."""
    api, output = session.api, session.output
    found = api.get("holds")
    of_rollbacks = [
        {**stage["hold"], "scope": f"{lane['route']}/{lane['model']}/{stage['name']}", "until": None}
        for lane in api.entries("routes", query={})
        for stage in lane["stages"]
        if stage["hold"] and stage["hold"]["promotion"]
    ]
    shown = {"value": [*found["value"], *of_rollbacks], "history": found["history"]}
    output.result(shown, lambda: list(_listed(shown, history, output.clock())))
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
    return until(hold["until"], now) if hold["until"] else "it is released"


def _history(lines: Sequence[Document]) -> RenderableType:
    made = table("when (UTC)", "what", "held", "who", "why", whole=("when (UTC)",))
    for line in lines:
        at = datetime.fromisoformat(line["at"]).astimezone(UTC)
        made.add_row(f"{at:%Y-%m-%d %H:%M:%S}", spoken(line["what"]), line["scope"], line["who"], line["reason"])
    return made


COMMANDS = (holds, hold, release, freeze, unfreeze)
