"""`python -m localcloud identity`: runs the managed identity endpoint and what verifies its tokens."""

import argparse
import asyncio
import sys
from pathlib import Path

from localcloud.arguments import add_port, show_example
from localcloud.configuration_file import ConfigurationError, read_configuration
from localcloud.http_server import bind, listening, port_of
from localcloud.identity.configuration import EXAMPLE, IdentityConfiguration
from localcloud.identity.key_file import read_or_make_key
from localcloud.identity.server import IdentityServer
from localcloud.identity.signing_key import read_or_make_signing_key


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command line of this part."""
    show_example(parser, EXAMPLE)
    add_port(parser)
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="identities, header and token key, as YAML or JSON"
    )


async def serve(arguments: argparse.Namespace) -> None:
    """Answers requests for tokens until cancelled."""
    try:
        configuration = read_configuration(arguments.config, IdentityConfiguration)
    except ConfigurationError as error:
        raise SystemExit(str(error)) from error
    folder = arguments.config.absolute().parent
    key = read_or_make_key(folder / configuration.token_key)
    signing_key = read_or_make_signing_key(folder / configuration.signing_key) if configuration.applications else None
    bound = bind(arguments.port)
    authority = f"http://127.0.0.1:{port_of(bound)}"
    server = IdentityServer(configuration, key, signing_key, authority)
    async with listening(server.application(), bound):
        sys.stdout.write(f"identity ready on {authority}/msi/token\n")
        sys.stdout.flush()
        await asyncio.Event().wait()
