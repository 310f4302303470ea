"""The commands for failures: failures, failures discard, replay."""

from collections.abc import Iterable, Iterator
from datetime import datetime

import click
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mlpromote.api import Api, Document
from mlpromote.commands import POSITIVE, command, group, options, reason
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.output import Output
from mlpromote.promotions import USUAL_MOST
from mlpromote.references import promotion_id
from mlpromote.session import Session
from mlpromote.tables import age, dim, table

#: Lines shown of a container's log.
LAST_LINES = 8
FILTERS = {
    "queue": "only of this queue: the dead letter's, or the one that the failed step takes its commands from",
    "route": "only this route",
    "model": "only this model",
    "environment": "only this environment's worker",
    "step": "only this step",
    "kind": "only this kind, such as quota, permission, container-crash, job-failed, timeout, bad-config or bug",
}
_DONE = ("replayed", "replayable", "discarded", "discardable")
_MARKS = {**dict.fromkeys(_DONE, ("✓", "green")), "not-reached": ("…", "yellow")}
#: Characters shown of a discarded letter; `--json` has all of it.
LONGEST_CONTENT = 400


_filter = options(click.option(f"--{name}", help=f"{what[0].upper()}{what[1:]}.") for name, what in FILTERS.items())
_dry_run = click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")


# --- what failed ------------------------------------------------------------------------------------------------------


@group("failures", "list failed promotions and dead-lettered messages", runs=True)
@_filter
@click.option(
    "--top", type=POSITIVE, metavar="NUMBER", default=USUAL_MOST, show_default=True, help="List at most this many."
)
@click.option("--all", "everything", is_flag=True, help="List all of them.")
@click.option("--discarded", is_flag=True, help="List the discarded dead letters instead.")
@click.pass_context
def failures(
    context: click.Context, /, top: int, everything: bool, discarded: bool, **wanted: str | None
) -> ExitCode | None:
    """List them with their reason, and whether a replay is safe."""
    if context.invoked_subcommand:
        return None
    session: Session = context.obj
    output = session.output
    most = None if everything else top
    if discarded:
        if any(wanted.values()):
            raise CommandError(ExitCode.USAGE, "--discarded cannot be combined with a filter.")
        letters = list(session.api.entries("failures", "discarded", query={}, most=most))
        output.result(
            letters, lambda: _letters(letters, output.clock()) if letters else ["no dead letters were discarded"]
        )
        return ExitCode.DONE
    found = list(session.api.entries("failures", query=wanted, most=most))
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
        by = f"discarded {age(letter['at'], now)} ago by {letter['by']}: {letter['reason']}"
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


@command(
    "replay",
    "replay failures",
    more="Retries promotions from validate or an earlier step, and moves dead letters back to their queue. Give ids as "
    "listed by `failures`, or MODEL/VERSION; or a filter; or --all. For a refused promotion, see `mlpromote retry`.",
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_filter
@click.option("--all", "everything", is_flag=True, help="Replay every failure.")
@reason()
@click.option("--from-step", metavar="STEP", help="For promotions: resume from this earlier step.")
@_dry_run
@click.pass_obj
def replay(
    session: Session,
    /,
    ids: tuple[str, ...],
    everything: bool,
    reason: str,
    from_step: str | None,
    dry_run: bool,
    **options: str | None,
) -> ExitCode:
    """Replay what is named, what matches the filter, or everything."""
    wanted = _given(options)
    if sum((bool(ids), bool(wanted), everything)) != 1:
        raise CommandError(ExitCode.USAGE, "Give the ids of failures, a filter such as --queue, or --all.")
    named = [promotion_id(session.api, each, session.output, serving=False) for each in ids]
    meant: Document = {"ids": named} if ids else {"filter": wanted}
    body = {"reason": reason, "from_step": from_step, "dry_run": dry_run, **meant}
    return _reported(list(_results(session.api, "replay", body)), dry_run, session.output)


@failures.command(
    "discard",
    short_help="discard dead letters that no replay can help",
    help="Discard dead letters that no replay can help. Their content is kept: `failures --discarded` lists it. Give "
    "ids as listed by `failures`, which are QUEUE:NUMBER, or a filter.",
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_filter
@reason()
@_dry_run
@click.pass_obj
def discard(session: Session, /, ids: tuple[str, ...], reason: str, dry_run: bool, **options: str | None) -> ExitCode:
    """Discard what is named, or what matches the filter."""
    wanted = _given(options)
    if bool(ids) == bool(wanted):
        raise CommandError(ExitCode.USAGE, "Give the ids of dead letters, or a filter such as --queue.")
    meant: Document = {"ids": list(ids)} if ids else {"filter": wanted}
    body = {"reason": reason, "dry_run": dry_run, **meant}
    return _reported(list(_results(session.api, "discard", body)), dry_run, session.output)


def _given(options: Document) -> dict[str, str]:
    """Return the parts of the filter that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _reported(results: list[Document], dry_run: bool, output: Output) -> ExitCode:
    output.result(results, lambda: [_table(results) if results else "no matching failures"])
    left = {result["outcome"] for result in results} - set(_DONE)
    if not left:
        if results and dry_run:
            output.say(dim("Dry run: nothing was changed."))
        return ExitCode.DONE
    return ExitCode.NOT_FOUND if left == {"not-found"} else ExitCode.REFUSED


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


COMMANDS = (failures, replay)
