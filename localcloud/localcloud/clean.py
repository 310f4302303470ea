"""`python -m localcloud clean`: removes the state of the local cloud and the demo."""

import argparse
from pathlib import Path

from localcloud.configuration_file import ConfigurationError
from localcloud.folder_lock import remove

FOLDER = Path(".local")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are no arguments: another folder may hold more than the state of a local cloud."""


async def serve(arguments: argparse.Namespace) -> None:
    """Removes the folder. Ends the program with a message while a local cloud is using it."""
    try:
        remove(FOLDER)
    except ConfigurationError as error:
        raise SystemExit(str(error)) from error
