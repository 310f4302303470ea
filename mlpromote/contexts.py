"""The commands for contexts: context add, use, show, list, remove."""

import os
from dataclasses import asdict, replace
from pathlib import Path

import click

from mlpromote import access, saved_contexts
from mlpromote.commands import group
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.saved_contexts import Context
from mlpromote.session import Session
from mlpromote.tables import table


@group("context", "save the addresses of several apps, and choose between them", runs=False)
def context() -> None:
    """Group the commands."""


@context.command("add", short_help="save an app under a name")
@click.argument("name")
@click.option("--url", help="Address of the app.")
@click.option("--scope", help="Scope to sign in for: api://CLIENT-ID/.default.")
@click.option("--local", type=click.Path(path_type=Path), metavar="FOLDER", help="A local cloud's folder.")
@click.option("--use", is_flag=True, help="Use it from now on.")
@click.pass_obj
def add(session: Session, name: str, url: str | None, scope: str | None, local: Path | None, use: bool) -> ExitCode:
    """Save an app under a name, or change what is saved. Keys and tokens are not saved. With --as NAME, a local cloud's
    context signs in as NAME."""
    if bool(url) == bool(local):
        raise CommandError(ExitCode.USAGE, "Give the address of the app (--url) or a local cloud's folder (--local).")
    if url:
        access.api_address(url)
        if session.wanted.person:
            raise CommandError(ExitCode.USAGE, "--as is for a local cloud: give its folder (--local), not an address.")
    added = Context(url, scope, str(local.resolve()) if local else None, session.wanted.person)
    contexts = saved_contexts.read().with_one(name, added)
    saved_contexts.write(replace(contexts, used=name) if use else contexts)
    hint = "" if use else f" Use it with `mlpromote context use {name}`, or once with --context {name}."
    session.output.result({"name": name, **asdict(added)}, lambda: [f"context {name} saved.{hint}"])
    return ExitCode.DONE


@context.command("use", short_help="use a saved context from now on")
@click.argument("name")
@click.pass_obj
def use(session: Session, name: str) -> ExitCode:
    """Use a saved context from now on. Options and variables still come first."""
    contexts = saved_contexts.read()
    found = contexts.named(name)
    saved_contexts.write(replace(contexts, used=name))
    session.output.result({"name": name, **asdict(found)}, lambda: [f"using context {name}: {_in_words(found)}"])
    return ExitCode.DONE


@context.command("show", short_help="show a saved context, by default the one in use")
@click.argument("name", required=False)
@click.pass_obj
def show(session: Session, name: str | None) -> ExitCode:
    """Show a saved context, by default the one in use. `mlpromote login` asks the app who you are there."""
    contexts = saved_contexts.read()
    meant = name or os.environ.get(access.CONTEXT) or contexts.used
    if meant is None:
        raise CommandError(ExitCode.NOT_FOUND, "No context is in use. Choose one with `mlpromote context use NAME`.")
    found = contexts.named(meant)
    document = {"name": meant, "used": meant == contexts.used, **asdict(found)}
    session.output.result(document, lambda: [f"context {meant}: {_in_words(found)}"])
    return ExitCode.DONE


@context.command("list", short_help="list the saved contexts")
@click.pass_obj
def list_(session: Session) -> ExitCode:
    """List the saved contexts; the one in use has a mark."""
    contexts = saved_contexts.read()
    rows = [{"name": name, "used": name == contexts.used, **asdict(each)} for name, each in contexts.saved.items()]
    made = table("", "name", "address", "signed in as", "scope", whole=("", "name"))
    for name, each in contexts.saved.items():
        mark = "*" if name == contexts.used else ""
        made.add_row(mark, name, each.url or each.local or "", each.who, each.scope or "")
    session.output.result(rows, lambda: [made if rows else "no contexts; `mlpromote context add` saves one"])
    return ExitCode.DONE


@context.command("remove", short_help="forget a saved context")
@click.argument("name")
@click.pass_obj
def remove(session: Session, name: str) -> ExitCode:
    """Forget a saved context."""
    saved_contexts.write(saved_contexts.read().without(name))
    session.output.result({"removed": name}, lambda: [f"context {name} removed"])
    return ExitCode.DONE


def _in_words(context: Context) -> str:
    who = f", as {context.who}" if context.who else "; `mlpromote login` shows who you are there"
    return f"{context.url or context.local}{who}"


COMMANDS = (context,)
