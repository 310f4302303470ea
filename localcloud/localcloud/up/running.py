"""Gives other commands than `up` the addresses of a running local cloud."""

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

#: Where `up` keeps its state by default, and other commands look for it.
USUAL_DATA = Path(".local")


def data_option(folder: Path, option: str = "--data") -> str:
    """How a command that is printed names the folder: ` --data FOLDER`, and nothing for the usual one."""
    if folder.resolve() == USUAL_DATA.resolve():
        return ""
    here = Path.cwd()
    shown = folder.relative_to(here) if folder.is_relative_to(here) else folder
    return f" {option} {shlex.quote(str(shown))}"


def add_data(parser: argparse.ArgumentParser) -> None:
    """Adds the option `--data` for commands that use a running local cloud."""
    parser.add_argument(
        "--data",
        type=Path,
        default=USUAL_DATA,
        metavar="DIR",
        help="folder of the running local cloud (default: %(default)s)",
    )


def addresses(folder: Path, start: str) -> Any:
    """The content of `addresses.json`. Ends the program with the command to `start` if no local cloud is running."""
    file = folder / "addresses.json"
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SystemExit(f"There is no {file}: start `{start}{data_option(folder)}` first.") from error
