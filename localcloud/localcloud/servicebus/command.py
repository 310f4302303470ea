"""`python -m localcloud servicebus`: starts the broker and says when it is ready."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Collection
from pathlib import Path

from localcloud.arguments import port_number, show_example
from localcloud.servicebus.broker import Broker
from localcloud.servicebus.config import EXAMPLE, ConfigurationError, read_config
from localcloud.servicebus.connection import Connection
from localcloud.servicebus.shared_access import Grants, Policy
from localcloud.servicebus.store import Store, StoreError

HOST = "127.0.0.1"
DEFAULT_PORT = 5672


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command line."""
    show_example(parser, EXAMPLE)
    parser.add_argument(
        "--port", type=port_number, default=DEFAULT_PORT, metavar="P", help="0: any free port (default: %(default)s)"
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder for messages")
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="Config.json of Microsoft's emulator"
    )
    parser.add_argument(
        "--shared-access",
        type=Path,
        metavar="FILE",
        help="shared access policies with the rights of each key (default: any key may do everything)",
    )


async def serve(arguments: argparse.Namespace) -> None:
    """Runs until cancelled. Ends the program with a message if it cannot start."""
    try:
        settings = read_config(arguments.config)
        policies = _policies(arguments.shared_access)
        store = Store.open(arguments.data)
    except (ConfigurationError, StoreError, OSError) as error:
        raise SystemExit(f"servicebus: {error}") from error
    with contextlib.closing(store):
        await _serve(Broker(settings, store), policies, arguments.port)


def _policies(file: Path | None) -> Collection[Policy] | None:
    if file is None:
        return None
    # Not at the top: pydantic takes longer to import than everything else.
    from localcloud.configuration_file import ConfigurationError as FileFault
    from localcloud.servicebus.policies_file import read_policies

    try:
        return read_policies(file)
    except FileFault as error:
        raise SystemExit(f"servicebus: {error}") from error


async def _serve(broker: Broker, policies: Collection[Policy] | None, port: int) -> None:
    connections: set[Connection] = set()

    def connected() -> Connection:
        return Connection(broker, connections, Grants(policies))

    try:
        server = await asyncio.get_running_loop().create_server(connected, HOST, port)
    except OSError as error:
        raise SystemExit(f"servicebus: cannot listen on {HOST}:{port}: {error.strerror}") from error
    try:
        port = server.sockets[0].getsockname()[1]
        sys.stdout.write(f"servicebus ready on {HOST}:{port}\n")
        sys.stdout.flush()
        await broker.failed
    finally:
        broker.close()
        server.close()
        for connection in list(connections):
            connection.abort()
        await server.wait_closed()
