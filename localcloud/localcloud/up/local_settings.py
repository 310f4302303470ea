"""`python -m localcloud settings`: the `local.settings.json` for running the app in another Functions host."""

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from localcloud.up.running import add_data, addresses

#: What Core Tools need in addition to the app's own settings: the language, and the storage for timers' leases.
OF_THE_HOST = {"FUNCTIONS_WORKER_RUNTIME": "python", "AzureWebJobsStorage": "UseDevelopmentStorage=true"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command line."""
    add_data(parser)


async def serve(arguments: argparse.Namespace) -> None:
    """Prints the file. Ends the program with a message if no local cloud is running."""
    content = addresses(arguments.data, "python -m localcloud up --without-app")
    sys.stdout.write(json.dumps(local_settings(content["app_settings"]), indent=2) + "\n")


def local_settings(app_settings: Mapping[str, str]) -> dict[str, Any]:
    """The file's content, which includes the local cloud's keys."""
    return {"IsEncrypted": False, "Values": {**OF_THE_HOST, **app_settings}}
