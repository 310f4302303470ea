"""The command env: the variables with which a shell, a script or an SDK finds the app of a local cloud."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from mlpromote import access
from mlpromote.commands import command
from mlpromote.exit_codes import ExitCode
from mlpromote.session import Session

#: How each shell sets a variable.
_SYNTAX: Mapping[str, Callable[[str, str], str]] = {
    "bash": lambda name, value: f"export {name}={_single_quoted(value)}",
    "fish": lambda name, value: f"set -gx {name} {_quoted_for_fish(value)}",
    "powershell": lambda name, value: f"$env:{name} = '{value.replace(chr(39), chr(39) * 2)}'",
}


def _single_quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _quoted_for_fish(value: str) -> str:
    return "'" + re.sub(r"([\\'])", r"\\\1", value) + "'"


@command(
    "env",
    "print the variables of a local cloud, for a shell",
    more='For bash: eval "$(mlpromote env)". They contain the key of the local app.',
)
@click.option(
    "--shell", type=click.Choice(list(_SYNTAX)), help="The default is this shell's, if it is one of these, or bash."
)
@click.pass_obj
def env(session: Session, shell: str | None) -> ExitCode:
    """Print what sets the variables."""
    found = access.of_local_cloud(session.wanted.local)
    folder = (session.wanted.local or access.USUAL_LOCAL).absolute()
    variables = {
        access.URL: found.url.removesuffix("/api"),
        access.KEY: found.key or "",
        access.LOCAL: str(folder),  # `--as` needs to know more of the cloud than its address
    }
    if session.wanted.person and (signed_in := access.find(session.wanted).token):
        variables[access.TOKEN] = signed_in()
    written = _SYNTAX[shell or _usual_shell()]
    if session.output.is_for_scripts:
        session.output.result(variables, list)
        return ExitCode.DONE
    for name, value in variables.items():
        click.echo(written(name, value))  # a shell reads it, so no line may be wrapped
    return ExitCode.DONE


def _usual_shell() -> str:
    name = Path(os.environ.get("SHELL", "")).name
    if name in _SYNTAX:
        return name
    return "powershell" if os.name == "nt" else "bash"


COMMANDS = (env,)
