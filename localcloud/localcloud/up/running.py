"""Gives other commands than `up` the addresses of a running local cloud."""

import argparse
import json
from pathlib import Path
from typing import Any


def add_data(parser: argparse.ArgumentParser) -> None:
    """Adds the option `--data` for commands that use a running local cloud."""
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(".local"),
        metavar="DIR",
        help="folder of the running local cloud (default: %(default)s)",
    )


def addresses(folder: Path, start: str) -> Any:
    """The content of `addresses.json`. Ends the program with the command to `start` if no local cloud is running."""
    file = folder / "addresses.json"
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SystemExit(f"There is no {file}: start `{start}` first.") from error
