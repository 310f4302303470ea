"""The commands for failures: failures, failures discard, replay."""

import argparse
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mlpromote.access import Access
from mlpromote.api import Api, Document
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.output import Output
from mlpromote.promotions import USUAL_MOST, positive, promotion_id
from mlpromote.tables import age, dim, table

#: Lines shown of a container's log.
LAST_LINES = 8
FILTERS = {
    "queue": "queue of the dead letter, or queue that the failed step takes its commands from",
    "route": "only this route",
    "model": "only this model",
    "environment": "only this environment's worker",
    "step": "only this step",
    "kind": "quota, permission, not-found, container-crash, timeout, throttled, bad-config, bug, …",
}
_DONE = ("replayed", "replayable", "discarded", "discardable")
_MARKS = {**dict.fromkeys(_DONE, ("✓", "green")), "not-reached": ("…", "yellow")}
#: Characters shown of a discarded letter; `--json` has all of it.
LONGEST_CONTENT = 400


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    what = "list failed promotions and dead-lettered messages"
    failures = commands.add_parser(
        "failures", parents=[common], help=what, description=f"L{what[1:]}.", allow_abbrev=False
    )
    _add_filter(failures)
    failures.add_argument("--top", type=positive, default=USUAL_MOST, help="at most so many (default: %(default)s)")
    failures.add_argument("--all", action="store_true", help="all of them")
    failures.add_argument("--discarded", action="store_true", help="list the discarded dead letters instead")
    failures.set_defaults(run=_failures)
    _add_discard(failures, common)

    what = "replay failures: retry promotions from validate or an earlier step, move dead letters back to their queue"
    replay = commands.add_parser(
        "replay",
        parents=[common],
        help="replay failures",
        description=f"R{what[1:]}. Give ids, a filter, or --all.",
        allow_abbrev=False,
    )
    replay.add_argument(
        "ids",
        nargs="*",
        metavar="ID",
        help="as listed by `failures`, or MODEL/VERSION",
    )
    _add_filter(replay)
    replay.add_argument("--all", action="store_true", help="replay every failure")
    replay.add_argument("--reason", required=True, metavar="TEXT", help="why; recorded in the journal")
    replay.add_argument("--from-step", metavar="STEP", help="for promotions: resume from this earlier step")
    replay.add_argument("--dry-run", action="store_true", help="show what would be done, and change nothing")
    replay.set_defaults(run=_replay)


def _add_discard(failures: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    what = "discard dead letters that no replay can help; their content is kept in the journal"
    discard = failures.add_subparsers(metavar="discard").add_parser(
        "discard",
        parents=[common],
        help=what,
        description=f"D{what[1:]}. Give ids or a filter.",
        allow_abbrev=False,
    )
    discard.add_argument("ids", nargs="*", metavar="ID", help="as listed by `failures`: QUEUE:NUMBER")
    _add_filter(discard)
    discard.add_argument("--reason", required=True, metavar="TEXT", help="why; recorded in the journal")
    discard.add_argument("--dry-run", action="store_true", help="show what would be done, and change nothing")
    discard.set_defaults(run=_discard)


def _add_filter(parser: argparse.ArgumentParser) -> None:
    for name, what in FILTERS.items():
        parser.add_argument(f"--{name}", help=what)


def _wanted(options: argparse.Namespace) -> dict[str, str | None]:
    return {name: getattr(options, name) for name in FILTERS}


# --- what failed ------------------------------------------------------------------------------------------------------


def _failures(access: Access, options: argparse.Namespace, output: Output) -> ExitCode:
    most = None if options.all else options.top
    if options.discarded:
        if any(_wanted(options).values()):
            raise CommandError(ExitCode.USAGE, "--discarded cannot be combined with a filter.")
        letters = list(Api(access).entries("failures", "discarded", query={}, most=most))
        output.result(letters, lambda: _letters(letters, output.clock()) if letters else ["nothing was put aside"])
        return ExitCode.DONE
    found = list(Api(access).entries("failures", query=_wanted(options), most=most))
    output.result(found, lambda: _drawn(found, output.clock()) if found else ["nothing failed"])
    return ExitCode.DONE


def _drawn(failures: Iterable[Document], now: datetime) -> Iterator[RenderableType]:
    """Draw a paragraph for each failure; a table has no room for sentences."""
    for number, failure in enumerate(failures):
        if number:
            yield Text()
        yield Text.assemble((failure["id"], "bold"), "  ", (failure["kind"], "red"), f"  {_place(failure, now)}")
        yield Padding(Text(failure["reason"]), (0, 0, 0, 2))
        log = (failure["diagnosis"] or "").rstrip().splitlines()[-LAST_LINES:]
        if log:
            yield Padding(Text("\n".join(log), style="dim", overflow="fold"), (0, 0, 0, 4))
        yield Padding(_replayable(failure), (0, 0, 0, 2))


def _letters(letters: Iterable[Document], now: datetime) -> Iterator[RenderableType]:
    for number, letter in enumerate(letters):
        if number:
            yield Text()
        by = f"put aside {age(letter['at'], now)} ago by {letter['by']}: {letter['reason']}"
        yield Text.assemble((letter["id"], "bold"), f"  {by}")
        yield Padding(Text(letter["gave_up"]), (0, 0, 0, 2))
        cut = letter["content"][:LONGEST_CONTENT]
        more = " …" if len(cut) < len(letter["content"]) else ""
        size = f"{letter['size']} bytes, {letter['encoding']}: "
        yield Padding(Text(f"{size}{cut}{more}", style="dim", overflow="fold"), (0, 0, 0, 4))


def _place(failure: Document, now: datetime) -> str:
    step = " ".join(failure[key] for key in ("stage", "step") if failure[key])
    parts = [step, f"queue {failure['queue']}" if failure["queue"] else "", f"{age(failure['at'], now)} ago"]
    return ", ".join(part for part in (*parts, f"tried {_times(failure['tried'])}") if part)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _replayable(failure: Document) -> Text:
    replay = failure["replay"]
    safe = ("replay is safe", "green") if replay["safe"] else ("no replay", "yellow")
    return Text.assemble(safe, f": {replay['why']}")


# --- replay -----------------------------------------------------------------------------------------------------------


def _replay(access: Access, options: argparse.Namespace, output: Output) -> ExitCode:
    api = Api(access)
    return _reported(list(_results(api, "replay", _body(api, options))), options.dry_run, output)


def _discard(access: Access, options: argparse.Namespace, output: Output) -> ExitCode:
    wanted = {name: value for name, value in _wanted(options).items() if value is not None}
    if bool(options.ids) == bool(wanted):
        raise CommandError(ExitCode.USAGE, "Give the ids of dead letters, or a filter such as --queue.")
    body = {"reason": options.reason, "dry_run": options.dry_run}
    meant = {"ids": options.ids} if options.ids else {"filter": wanted}
    return _reported(list(_results(Api(access), "discard", body | meant)), options.dry_run, output)


def _reported(results: list[Document], dry_run: bool, output: Output) -> ExitCode:
    output.result(results, lambda: [_table(results) if results else "no matching failures"])
    left = {result["outcome"] for result in results} - set(_DONE)
    if not left:
        if results and dry_run:
            output.say(dim("Dry run: nothing was changed."))
        return ExitCode.DONE
    return ExitCode.NOT_FOUND if left == {"not-found"} else ExitCode.REFUSED


def _body(api: Api, options: argparse.Namespace) -> Document:
    wanted = {name: value for name, value in _wanted(options).items() if value is not None}
    if sum((bool(options.ids), bool(wanted), options.all)) != 1:
        raise CommandError(ExitCode.USAGE, "Give the ids of failures, a filter such as --queue, or --all.")
    body = {"reason": options.reason, "from_step": options.from_step, "dry_run": options.dry_run}
    if options.ids:
        return body | {"ids": [promotion_id(api, each) for each in options.ids]}
    return body | {"filter": wanted}


def _results(api: Api, action: str, body: Document) -> Iterator[Document]:
    """Yield the result for each failure. The app handles a limited number per request and says where to continue."""
    continuation = None
    while True:
        answer = api.post("failures", action, body={**body, "continuation": continuation})
        yield from answer["value"]
        continuation = answer["continuation"]
        if continuation is None:
            return


def _table(results: Iterable[Document]) -> Table:
    made = table("", "failure", "outcome", "", whole=("", "failure", "outcome"))
    for result in results:
        made.add_row(
            Text(*_MARKS.get(result["outcome"], ("✗", "red"))), result["id"], result["outcome"], result["text"]
        )
    return made
