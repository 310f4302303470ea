"""The command line: `python -m localcloud PART` runs one part of the local cloud, `up` runs all of them.

Each part is a module with `add_arguments(parser)` and `async def serve(arguments)`. It is imported only when needed, so
that no part pays for another's imports. `serve` runs until it is cancelled.
"""

import argparse
import asyncio
import contextlib
import importlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import cast


@dataclass(frozen=True)
class Part:
    """A sub-command: the module that serves it and the line that `--help` shows."""

    module: str
    summary: str
    #: The extra of this distribution that it needs.
    extra: str | None = None


PARTS = {
    "up": Part("localcloud.up", "start every part and the app, print all addresses, and run until Ctrl-C"),
    "servicebus": Part("localcloud.servicebus.command", "Service Bus: an AMQP 1.0 broker with queues"),
    "azureml": Part("localcloud.azureml.command", "Azure ML: workspaces, registries, jobs, deployments and scoring"),
    "eventgrid": Part("localcloud.eventgrid.command", "Event Grid: topics and webhook subscriptions"),
    "identity": Part(
        "localcloud.identity.command", "managed identities of an App Service, and the keys of their tokens"
    ),
    "clean": Part("localcloud.clean", "remove the state kept in .local, while no local cloud is using it"),
    "token": Part("localcloud.up.token", "print a token for calling the app as a person"),
    "settings": Part("localcloud.up.local_settings", "print local.settings.json for running the app with Core Tools"),
    "functions": Part(
        "localcloud.functions.command", "the Functions host: runs any app of the Python v2 model", extra="functions"
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the part that the command line names, until it ends or gets SIGINT or SIGTERM; returns the exit code."""
    os.umask(0o077)  # only the owner may read what the parts keep, including logs and databases
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="python -m localcloud",
        description="A local Azure for the unmodified SDKs.",
        epilog="`python -m localcloud PART --help` shows the options of a part.",
    )
    parser.add_argument("--verbose", action="store_true", help="also log debug messages")
    commands = parser.add_subparsers(dest="part", metavar="PART", required=True)
    asked_for = next((word for word in words if word in PARTS), None)
    for name, part in PARTS.items():
        command = commands.add_parser(name, help=part.summary, description=_sentence(part.summary))
        if name == asked_for:
            _imported(name).add_arguments(command)
    parsed = parser.parse_args(words)
    logging.basicConfig(
        level=logging.DEBUG if parsed.verbose else logging.INFO,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
    )
    serve = _imported(parsed.part).serve
    return asyncio.run(_until_signalled(cast("Callable[[argparse.Namespace], Awaitable[None]]", serve), parsed))


def _imported(name: str) -> ModuleType:
    """The module of a part. Ends the program with a message if its dependencies are not installed."""
    part = PARTS[name]
    try:
        return importlib.import_module(part.module)
    except ModuleNotFoundError as error:
        if part.extra is None:
            raise
        raise SystemExit(
            f"{name} needs {error.name}, which is not installed: pip install 'localcloud[{part.extra}]'"
        ) from error


async def _until_signalled(
    serve: Callable[[argparse.Namespace], Awaitable[None]], arguments: argparse.Namespace
) -> int:
    """Cancels `serve` at the first SIGINT or SIGTERM, waits for its clean-up and then reports success."""
    task = asyncio.ensure_future(serve(arguments))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return 0


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before the event loop runs, which then handles the signal
        sys.exit(128 + signal.SIGINT)
