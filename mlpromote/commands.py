"""How a command is declared. Each takes the options for connection and output; only the main help lists them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mlpromote import access
from mlpromote.exit_codes import ExitCode
from mlpromote.output import Format
from mlpromote.session import Session

#: A command: it gets the session and what was said on the command line.
Run = Callable[..., ExitCode]
#: A decorator, as those of Click.
Decorator = Callable[[Any], Any]


def _kept(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(context: click.Context, _: click.Parameter, value: Any) -> None:
        session = context.find_object(Session)
        if value is not None and session is not None:
            session.want(name, value)

    return keep


def _printed(context: click.Context, _: click.Parameter, value: str | None) -> None:
    session = context.find_object(Session)
    if value is not None and session is not None:
        session.output.format = Format(value)


def common_options(hidden: bool) -> list[click.Option]:
    """Return the options that every command takes. `hidden`: leave them out of the help."""
    connection: list[tuple[list[str], dict[str, Any], str]] = [
        (["--context", "context"], {"metavar": "NAME"}, "Use a saved context."),
        (["--url", "url"], {}, f"Address of the app (variable {access.URL})."),
        (["--key", "key"], {}, f"A function key (variable {access.KEY})."),
        (["--token", "token"], {}, f"A bearer token (variable {access.TOKEN})."),
        (["--scope", "scope"], {}, f"Sign in with Microsoft Entra ID for this scope (variable {access.SCOPE})."),
        (
            ["--local", "local"],
            {"type": click.Path(path_type=Path), "metavar": "FOLDER"},
            f"A local cloud's folder (variable {access.LOCAL}).",
        ),
        (["--as", "person"], {"metavar": "NAME"}, "Sign in to the local cloud as NAME."),
    ]
    made = [
        click.Option(names, help=text, hidden=hidden, expose_value=False, callback=_kept(names[1]), **more)
        for names, more, text in connection
    ]
    return [
        *made,
        click.Option(
            ["-o", "--output", "printed"],
            type=click.Choice([str(each) for each in Format]),
            metavar="|".join(Format),
            help="How to print results; errors follow json and yaml. wide cuts nothing.",
            hidden=hidden,
            expose_value=False,
            callback=_printed,
        ),
        click.Option(
            ["--json", "as_json"],
            flag_value=str(Format.JSON),
            default=None,
            type=str,
            help="The same as -o json.",
            hidden=hidden,
            expose_value=False,
            callback=_printed,
        ),
    ]


def _with_common(params: Sequence[click.Parameter] | None, hidden: bool = True) -> list[click.Parameter]:
    """Add the common options to a command's own, which may show one of them as its own."""
    own = list(params or ())
    taken = {name for each in own for name in each.opts}
    return [*own, *(each for each in common_options(hidden) if not taken & set(each.opts))]


class Command(click.Command):
    """A command that takes the common options."""

    def __init__(self, name: str | None, **more: Any) -> None:
        super().__init__(name, **{**more, "params": _with_common(more.get("params"))})


class CommandGroup(click.Group):
    """A command that has commands below it. It runs by itself only with `invoke_without_command`."""

    command_class = Command

    def __init__(self, name: str | None = None, **more: Any) -> None:
        super().__init__(name, **{"no_args_is_help": False, **more, "params": _with_common(more.get("params"))})


@dataclass(frozen=True)
class Section:
    """Commands that the help lists under one heading."""

    heading: str
    commands: tuple[click.Command, ...]


class Commands(click.Group):
    """The commands in sections. Their common options are listed here, once."""

    def __init__(self, name: str, sections: Sequence[Section], **more: Any) -> None:
        self._sections = sections
        params = [*common_options(hidden=False), *more.pop("params", ())]
        super().__init__(name, no_args_is_help=False, params=params, **more)
        for section in sections:
            for command in section.commands:
                self.add_command(command)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the sections."""
        return [command.name or "" for section in self._sections for command in section.commands]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.list_commands(ctx)))
        for section in self._sections:
            with formatter.section(section.heading):
                shortest = formatter.width - 6 - width
                rows = [(f"{each.name:{width}}", each.get_short_help_str(shortest)) for each in section.commands]
                formatter.write_dl(rows)


def command(name: str, what: str, *, more: str = "") -> Callable[[Run], Command]:
    """Declare a command. `what` is its line in the list of commands, in lower case; `more` follows in its own help."""
    return click.command(name, cls=Command, short_help=what, help=_help(what, more))


def group(name: str, what: str, *, more: str = "", runs: bool = False) -> Callable[[Any], CommandGroup]:
    """Declare a command with commands below it. `runs`: it does something without one of them, too."""
    return click.group(name, cls=CommandGroup, short_help=what, help=_help(what, more), invoke_without_command=runs)


def _help(what: str, more: str) -> str:
    return f"{what[0].upper()}{what[1:]}." + (f" {more}" if more else "")


def reason() -> Decorator:
    """Declare the option of every command that changes something."""
    return click.option("--reason", required=True, metavar="TEXT", help="Why; recorded in the journal.")


def options(declared: Iterable[Decorator]) -> Decorator:
    """Declare several options at once, in their order."""
    in_reverse = list(declared)[::-1]

    def decorate(function: Any) -> Any:
        for each in in_reverse:
            function = each(function)
        return function

    return decorate


#: A whole number of 1 or more.
POSITIVE = click.IntRange(min=1)
