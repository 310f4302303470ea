"""The command `python -m localcloud azureml`."""

import argparse
import asyncio
import contextlib
import fcntl
import sys
from collections.abc import Iterator
from pathlib import Path

from aiohttp import web

from localcloud.arguments import port_number, show_example
from localcloud.azureml.application import control_plane
from localcloud.azureml.certificates import AUTHORITY, server_context
from localcloud.azureml.configuration import EXAMPLE, read_settings
from localcloud.configuration_file import ConfigurationError
from localcloud.http_server import bind, port_of

GRACE = 2.0  # seconds that requests under way have to end


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this part."""
    show_example(parser, EXAMPLE)
    parser.add_argument(
        "--port", type=port_number, default=8443, metavar="P", help="0: any free port (default: %(default)s)"
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder to keep all state in")
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="workspaces and registries, as YAML or JSON"
    )


async def serve(arguments: argparse.Namespace) -> None:
    """Serves until cancelled; then stops jobs and inference servers."""
    try:
        settings = read_settings(arguments.config)
    except ConfigurationError as error:
        raise SystemExit(str(error)) from error
    arguments.data.mkdir(parents=True, exist_ok=True)
    folder = arguments.data.resolve()
    with _locked(folder):
        context = server_context(folder)
        bound = bind(arguments.port)
        port = port_of(bound)
        async with control_plane(settings, folder, port, folder / AUTHORITY) as application:
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=GRACE, handler_cancellation=True)
            await runner.setup()
            try:
                await web.SockSite(runner, bound, ssl_context=context).start()
                sys.stdout.write(f"azureml ready on https://localhost:{port}\n")
                sys.stdout.flush()
                await asyncio.Event().wait()
            finally:
                await runner.cleanup()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps a second control plane off the folder; `SystemExit` when there is one already."""
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SystemExit(f"Another local Azure ML uses {folder}. Stop it, or choose another --data.") from error
        yield
