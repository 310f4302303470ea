"""The commands for bundles: publish one, see what that would change, and see what the sources have published."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import yaml
from rich.console import RenderableType
from rich.text import Text

from mlpromote.api import Api, Document
from mlpromote.commands import command, reason
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.session import Session
from mlpromote.tables import age, table

#: The source that is meant if none is named.
SOURCE = "MLPROMOTE_SOURCE"
#: Digits of a digest that people see.
_SHOWN = 12

_source = click.option(
    "--source",
    envvar=SOURCE,
    metavar="NAME",
    help=f"The source in platform.yml (variable {SOURCE}); not needed if the app has only one.",
)
_folder = click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")


@command(
    "publish",
    "publish a configuration with every file that it names, or go back to an earlier one",
    more="The app checks all of it first. Whoever asks sees it at once; new models and jobs follow it within half a "
    "minute. FOLDER is that of promotion.yml; the default is this one.",
)
@_folder
@_source
@click.option(
    "--back",
    is_flag=False,
    flag_value="previous",
    metavar="[DIGEST]",
    help="Go back to an earlier bundle: the previous one, or the one whose digest begins with DIGEST.",
)
@reason()
@click.pass_obj
def publish(session: Session, folder: Path, source: str | None, back: str | None, reason: str) -> ExitCode:
    """Build the bundle, store it, and move the source's pointer."""
    api, output = session.api, session.output
    name = _the_source(api, source)
    if back is None:
        digest, expected, changes = _uploaded(api, name, folder)
        if faults := changes["faults"]:
            raise CommandError(ExitCode.REFUSED, _in_words(faults), {"faults": faults})
    else:
        shown = api.get("sources", name)
        digest, expected = _earlier(shown, back), _newest(shown)
    body = {"digest": digest, "expected": expected, "reason": reason}
    answer = api.post("sources", name, "publish", body=body)
    said = f"{name}: bundle {digest[:_SHOWN]} counts now" if digest != expected else f"{name}: nothing has changed"
    output.result(answer, lambda: [*_changes(answer["changes"]), said])
    return ExitCode.DONE


@command(
    "diff",
    "show what publishing would change, route by route",
    more="Stores the bundle with the app, which compares it with what counts now. FOLDER is the one with "
    "promotion.yml; by default the current one.",
)
@_folder
@_source
@click.pass_obj
def diff(session: Session, folder: Path, source: str | None) -> ExitCode:
    """Print the changes, or what is wrong with the bundle."""
    name = _the_source(session.api, source)
    _, _, seen = _uploaded(session.api, name, folder)
    if faults := seen["faults"]:
        session.output.result(seen, lambda: [_in_words(faults)])
        return ExitCode.REFUSED
    session.output.result(seen, lambda: [*_changes(seen["changes"])])
    return ExitCode.DONE


@command("sources", "list what the sources have published; with NAME, its history")
@click.argument("name", required=False)
@click.pass_obj
def sources(session: Session, name: str | None) -> ExitCode:
    """Print a line for each source, or for each publication of one."""
    output = session.output
    if name is None:
        found = session.api.get("sources")["value"]
        output.result(found, lambda: [_list(found, session)])
    else:
        shown = session.api.get("sources", name)
        output.result(shown, lambda: [_history(shown, session), *_trouble(shown)])
    return ExitCode.DONE


def _the_source(api: Api, source: str | None) -> str:
    if source is not None:
        return source
    try:
        known = [each["source"] for each in api.get("sources")["value"]]
    except CommandError as refusal:
        if refusal.exit_code is not ExitCode.NOT_ALLOWED:
            raise
        says = f"Name the source: --source NAME, or set {SOURCE}. The app does not tell you the sources: {refusal}"
        raise CommandError(refusal.exit_code, says, refusal.problem) from refusal
    if len(known) == 1:
        return str(known[0])
    raise CommandError(ExitCode.USAGE, f"Name the source: --source {' or '.join(known)}, or set {SOURCE}.")


def _uploaded(api: Api, source: str, folder: Path) -> tuple[str, str | None, Document]:
    """Store the folder's bundle. Return its digest, the one that counts now, and what publishing would change."""
    from mlpromote import bundle_folder  # here, since the other commands do not need it

    digest, archive = bundle_folder.packed(folder)
    api.put("sources", source, "bundles", digest, content=archive)
    seen = api.post("sources", source, "preview", body={"digest": digest})
    return digest, seen["expected"], seen


def _newest(shown: Document) -> str | None:
    return shown["history"][0]["digest"] if shown["history"] else None


def _earlier(shown: Document, back: str) -> str:
    """The digest of an earlier publication: the last one that differs, or the one that begins so."""
    digests = list(dict.fromkeys(each["digest"] for each in shown["history"]))
    if back == "previous":
        counts = shown["published"]["digest"] if shown["published"] else None
        earlier = [each for each in digests if each != counts]
        # What is broken does not count; the pointer goes back to what does.
        if shown["trouble"] and counts:
            return str(counts)
        if not earlier:
            raise CommandError(ExitCode.REFUSED, f"{shown['source']} has published nothing else to go back to.")
        return str(earlier[0])
    found = [each for each in digests if each.startswith(back)]
    if len(found) != 1:
        says = "has published no bundle" if not found else "has published several bundles"
        see = f"See `mlpromote sources {shown['source']}`."
        raise CommandError(ExitCode.NOT_FOUND, f"{shown['source']} {says} whose digest begins with {back}. {see}")
    return str(found[0])


def _changes(changes: list[Document]) -> Iterator[RenderableType]:
    for each in changes:
        yield Text(f"{each['route']}: {each['change']}", style="dim" if each["change"] == "same" else "bold")
        for setting in each["settings"]:
            yield Text(f"  {setting['place']}: {_value(setting['before'])} → {_value(setting['after'])}")
        for file in each["files"]:
            yield Text(f"  {file}")
    if not changes:
        yield "no routes"


def _value(value: object) -> str:
    """Return a value as YAML has it, in one line."""
    if value is None:
        return "(not set)"
    return (
        yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=sys.maxsize)
        .removesuffix("\n...\n")
        .strip()
    )


def _in_words(faults: list[Mapping[str, str]]) -> str:
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return "\n".join([f"The bundle has {count}:", *(f"  {each['place']}: {each['sentence']}" for each in faults)])


def _list(found: list[Document], session: Session) -> RenderableType:
    made = table("source", "bundle", "since", "by", "routes", whole=("source", "bundle", "since"))
    now = session.output.clock()
    for each in found:
        counts = each["published"]
        cells = (counts["digest"][:_SHOWN], age(counts["at"], now), counts["name"]) if counts else ("–", "", "")
        routes = ", ".join(each["routes"])
        trouble = f"{routes}\nnot used: {each['trouble']}" if each["trouble"] else routes
        made.add_row(each["source"], *cells, Text(trouble, style="red" if each["trouble"] else ""))
    return made


def _history(shown: Document, session: Session) -> RenderableType:
    made = table("bundle", "published", "by", "why", whole=("bundle", "published", "by"))
    counts = shown["published"]["digest"] if shown["published"] else ""
    now = session.output.clock()
    for each in shown["history"]:
        mark = " (counts)" if each["digest"] == counts else ""
        why = f"back: {each['reason']}" if each["back"] else each["reason"]
        made.add_row(f"{each['digest'][:_SHOWN]}{mark}", age(each["at"], now), each["name"], why)
    return made


def _trouble(shown: Document) -> Iterator[RenderableType]:
    if shown["trouble"]:
        yield Text(f"The newest does not count: {shown['trouble']}", style="red")


COMMANDS = (publish, diff, sources)
