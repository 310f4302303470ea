"""The command `python -m localcloud azureml`."""

import argparse
import asyncio
import sys
from pathlib import Path

from aiohttp import web

from localcloud.arguments import port_number, show_example
from localcloud.azureml.application import control_plane
from localcloud.azureml.certificates import AUTHORITY, server_context
from localcloud.azureml.configuration import EXAMPLE, Settings, read_settings
from localcloud.configuration_file import ConfigurationError
from localcloud.folder_lock import locked
from localcloud.http_server import SERVER_LOG, bind, port_of

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
        folder = arguments.data.resolve()
        with locked(folder, "local Azure ML"):
            await _serve(settings, folder, arguments.port)
    except ConfigurationError as error:
        raise SystemExit(str(error)) from error


async def _serve(settings: Settings, folder: Path, wanted_port: int) -> None:
    context = server_context(folder)
    bound = bind(wanted_port)
    port = port_of(bound)
    async with control_plane(settings, folder, port, folder / AUTHORITY) as application:
        runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=GRACE, handler_cancellation=True, logger=SERVER_LOG
        )
        await runner.setup()
        try:
            await web.SockSite(runner, bound, ssl_context=context).start()
            sys.stdout.write(f"azureml ready on https://localhost:{port}\n")
            sys.stdout.flush()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()
