"""The command line: what is said on it, its help, and how a command ends."""

import os
import sys
import traceback
from collections.abc import Sequence

import click
from click.shell_completion import shell_complete

from mlpromote import (
    access,
    approvals,
    check,
    completion,
    contexts,
    doctor,
    environment,
    failures,
    holds,
    init,
    lineage,
    login,
    logs,
    opening,
    plan,
    promotions,
    publish,
    routes,
    waiting,
)
from mlpromote.commands import Commands, Section
from mlpromote.exit_codes import MEANINGS, CommandError, ExitCode
from mlpromote.installed import own_version
from mlpromote.output import Clock, wall_clock
from mlpromote.session import Session, format_asked_for
from mlpromote.visible import visible

#: Every command, by the heading under which the help lists it.
SECTIONS = (
    Section("Configuration", (*init.COMMANDS, *check.COMMANDS)),
    Section("Promotions", (*plan.COMMANDS, *promotions.COMMANDS, *waiting.COMMANDS, *logs.COMMANDS, *opening.COMMANDS)),
    Section("Bundles", publish.COMMANDS),
    Section("Approvals", (*promotions.DECISIONS, *approvals.COMMANDS)),
    Section("Stages and lineage", (*routes.COMMANDS, *lineage.COMMANDS)),
    Section("Holds", holds.COMMANDS),
    Section("When something failed", (*failures.COMMANDS, *doctor.COMMANDS)),
    Section("Connection", (*login.COMMANDS, *contexts.COMMANDS, *environment.COMMANDS, *completion.COMMANDS)),
)
VARIABLES = (
    (access.URL, "address of the app: https://NAME.azurewebsites.net"),
    (access.KEY, "a function key; allows reading and starting only"),
    (access.TOKEN, "a bearer token from Microsoft Entra ID for the app"),
    (
        access.SCOPE,
        "scope of the app, api://CLIENT-ID/.default; gets a token for the signed-in user (az login)",
    ),
    (access.LOCAL, "folder of a running local cloud; supplies address and key"),
    (access.CONTEXT, "a context that `mlpromote context add` has saved"),
    (
        "MLPROMOTE_<ENVIRONMENT>_URL",
        "the same, with _SCOPE, _TOKEN and _KEY, for an environment that takes approvals in its own app",
    ),
)
PRECEDENCE = (
    "Options override variables, and those override the context in use. The default is the local cloud in "
    f"{access.USUAL_LOCAL}."
)


class _Root(Commands):
    """`mlpromote` itself: its help explains what holds for every command."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Variables"):
            formatter.write_dl([*VARIABLES])
        formatter.write_paragraph()
        formatter.write_text(PRECEDENCE)
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), meaning) for code, meaning in MEANINGS.items()])
        formatter.write_paragraph()
        formatter.write_text("Run mlpromote COMMAND --help for help on a command.")


ROOT = _Root(
    "mlpromote",
    SECTIONS,
    help="Promotes Azure ML models from environment to environment, over HTTP.",
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=lambda context, _, asked: _tell_version(context) if asked else None,
            help="Show the version and exit.",
        )
    ],
)


def _tell_version(context: click.Context) -> None:
    click.echo(f"mlpromote {own_version() or '(not installed)'}")
    context.exit()


def main(arguments: Sequence[str] | None = None, clock: Clock = wall_clock) -> int:
    """Run one command and return its exit code (see `exit_codes`)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    session = Session(clock, format_asked_for(given))
    if instruction := os.environ.get(completion.VARIABLE):
        return int(shell_complete(ROOT, {"obj": session}, "mlpromote", completion.VARIABLE, instruction))
    try:
        with ROOT.make_context("mlpromote", given, obj=session) as context:
            return int(ROOT.invoke(context) or ExitCode.DONE)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.UsageError as error:
        return _refused(error, session)
    except CommandError as error:
        session.output.error(error)
        return int(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # The reader closed the pipe. Without this, Python reports the broken pipe again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.DONE)
    except Exception as bug:  # noqa: BLE001  # Python would end with 1, which means that `check` found faults
        return _internal(bug, session)


def _internal(bug: Exception, session: Session) -> int:
    """Say that this is a bug, and what to report: the traceback, which holds no values of variables."""
    output = session.output
    trace = "".join(traceback.format_exception(bug))
    if not output.is_for_scripts:
        sys.stderr.write(visible(trace))
    version = own_version() or "(not installed)"
    says = f"Internal error: {type(bug).__name__}: {bug}. This is a bug. Report it with "
    what = "the traceback" if output.is_for_scripts else "the lines above"
    end = f"{what} and the version, {version}."
    output.error(CommandError(ExitCode.INTERNAL, f"{says}{end}", {"traceback": trace.splitlines()}))
    return int(ExitCode.INTERNAL)


def _refused(error: click.UsageError, session: Session) -> int:
    """Say what is wrong with the arguments, what is right, and where the help is."""
    output = session.output
    if error.ctx and not output.is_for_scripts:
        sys.stderr.write(f"{error.ctx.get_usage()}\n")
    sentence = error.format_message()
    more = f" Run `{error.ctx.command_path} --help`." if error.ctx else ""
    end = "" if sentence.endswith((".", "?", "!", ")")) else "."
    output.error(CommandError(ExitCode.USAGE, f"{sentence}{end}{more}"))
    return int(ExitCode.USAGE)
