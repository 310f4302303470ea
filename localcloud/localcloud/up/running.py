"""What commands other than `up` know of a running local cloud: the addresses in its folder."""

import argparse
import json
from pathlib import Path
from typing import Any


def add_data(parser: argparse.ArgumentParser) -> None:
    """The option `--data` of a command that asks a local cloud which is running."""
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
