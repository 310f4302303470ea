"""The command line: arguments, help and exit codes."""

import argparse
import os
import sys
import textwrap
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn

from mlpromote import access, approvals, doctor, failures, holds, lineage, promotions, routes
from mlpromote.exit_codes import MEANINGS, CommandError, ExitCode
from mlpromote.output import Clock, Output, wall_clock

DESCRIPTION = "Promotes Azure ML models from environment to environment, over HTTP."
ENVIRONMENT = f"""\
connection:
  {access.URL}    address of the app: https://NAME.azurewebsites.net
  {access.KEY}    a function key; allows reading and starting only
  {access.TOKEN}  a bearer token from Microsoft Entra ID for the app
  {access.SCOPE}  scope of the app, api://CLIENT-ID/.default; gets a token
                   for the signed-in user (az login)
  {access.LOCAL}  folder of a running local cloud; supplies address and key
  MLPROMOTE_<ENVIRONMENT>_URL, _SCOPE, _TOKEN, _KEY
                   the same, for an environment that takes approvals in its
                   own app
Options override variables. The default is the local cloud in {access.USUAL_LOCAL}.
"""
WIDTH = 79


class _UsageError(CommandError):
    """The arguments are invalid; `usage` shows the correct form."""

    def __init__(self, sentence: str, usage: str) -> None:
        super().__init__(ExitCode.USAGE, sentence)
        self.usage = usage


class _Parser(argparse.ArgumentParser):
    """Raises `_UsageError` instead of exiting."""

    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message[0].upper()}{message[1:]}.", self.format_usage())


def main(arguments: Sequence[str] | None = None, clock: Clock = wall_clock) -> int:
    """Run one command and return its exit code (see `exit_codes`)."""
    given = sys.argv[1:] if arguments is None else arguments
    output = Output("--json" in given, clock)
    try:
        options = _parser().parse_args(given)
        found = access.find(
            access.Wanted(options.url, options.key, options.token, options.scope, options.local, options.person)
        )
        if found.remark:
            output.remark(found.remark)
        return int(options.run(found, options, output))
    except CommandError as error:
        if isinstance(error, _UsageError) and not output.as_json:
            sys.stderr.write(error.usage)
        output.error(error)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # The reader closed the pipe. Without this, Python reports the broken pipe again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.DONE)


def _parser() -> argparse.ArgumentParser:
    codes = "\n".join(
        textwrap.fill(meaning, WIDTH, initial_indent=f"  {code:<4}", subsequent_indent=" " * 6)
        for code, meaning in MEANINGS.items()
    )
    parser = _Parser(
        prog="mlpromote",
        description=DESCRIPTION,
        epilog=f"{ENVIRONMENT}\nexit codes:\n{codes}\n\nRun mlpromote COMMAND --help for help on a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"mlpromote {_version()}", help="show the version and exit"
    )
    _add_common(parser, None)
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    # Options may stand before or after the command. Defaults after it must not overwrite values before it.
    _add_common(common, argparse.SUPPRESS)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in (
        promotions.add_commands,
        approvals.add_command,
        failures.add_commands,
        routes.add_commands,
        holds.add_commands,
        lineage.add_command,
        doctor.add_command,
    ):
        add(commands, common)
    return parser


def _version() -> str:
    """Return the version of this package; it is unknown if the package is not installed."""
    try:
        return version("mlpromote")
    except PackageNotFoundError:
        return "(not installed)"


def _add_common(parser: argparse.ArgumentParser, default: str | None) -> None:
    group = parser.add_argument_group("connection and output")
    group.add_argument("--url", default=default, help=f"address of the app (variable {access.URL})")
    group.add_argument("--key", default=default, help=f"a function key (variable {access.KEY})")
    group.add_argument("--token", default=default, help=f"a bearer token (variable {access.TOKEN})")
    group.add_argument(
        "--scope", default=default, help=f"sign in with Microsoft Entra ID for this scope (variable {access.SCOPE})"
    )
    group.add_argument(
        "--local",
        type=Path,
        default=default,
        metavar="FOLDER",
        help=f"a local cloud's folder (variable {access.LOCAL})",
    )
    group.add_argument(
        "--as", dest="person", default=default, metavar="NAME", help="sign in to the local cloud as NAME"
    )
    unset = False if default is None else default
    group.add_argument(
        "--json",
        action="store_true",
        default=unset,
        help="print JSON, for scripts; errors too, to standard error",
    )
