"""Finds the local cloud that `make up` keeps running, for the programs that submit to it."""

import argparse
import json
from pathlib import Path

from examples.demo.addresses import Addresses, addresses_of

_REPOSITORY = Path(__file__).resolve().parents[2]


def arguments(program: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser that takes the local cloud's folder as `--data`."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument(
        "--data",
        type=Path,
        default=_REPOSITORY / ".local",
        metavar="DIR",
        help="the local cloud's folder (default: .local)",
    )
    return parser


def addresses_in(folder: Path, how_to_start: str) -> Addresses:
    """Return the addresses of the cloud in a folder. If none is running, say how to start one and exit with 1."""
    try:
        return addresses_of(json.loads((folder / "addresses.json").read_text()))
    except FileNotFoundError:
        raise SystemExit(f"No local cloud is running in {folder}. {how_to_start}") from None
