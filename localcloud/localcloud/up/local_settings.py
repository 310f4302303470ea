"""`python -m localcloud settings`: the `local.settings.json` with which another Functions host runs the app."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: What Core Tools asks for beside the app's own settings: the language, and where timers keep their leases.
OF_THE_HOST = {"FUNCTIONS_WORKER_RUNTIME": "python", "AzureWebJobsStorage": "UseDevelopmentStorage=true"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(".local"),
        metavar="DIR",
        help="folder of the local cloud that is running (default: %(default)s)",
    )


async def serve(arguments: argparse.Namespace) -> None:
    """Print the file. Ends the program with a message where no local cloud is running."""
    addresses = arguments.data / "addresses.json"
    try:
        content = json.loads(addresses.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SystemExit(f"There is no {addresses}: start `python -m localcloud up --without-app` first.") from error
    sys.stdout.write(json.dumps(local_settings(content["app_settings"]), indent=2) + "\n")


def local_settings(app_settings: Mapping[str, str]) -> dict[str, Any]:
    """The file's content; it holds the local cloud's keys."""
    return {"IsEncrypted": False, "Values": {**OF_THE_HOST, **app_settings}}
