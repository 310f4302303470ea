"""A page that is written from the code: written anew, or looked at whether it is stale."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path


def write_or_check(target: Path, document: Callable[[], str], about: str) -> int:
    """Write the page; with `--check` on the command line, only say whether it is up to date (exit code 1 if not)."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the page is stale")
    if not parser.parse_args().check:
        target.write_text(document(), encoding="utf-8")
        return 0
    if target.exists() and target.read_text(encoding="utf-8") == document():
        return 0
    sys.stderr.write(f"docs/{target.name} is stale: run python docs/{Path(sys.argv[0]).name}\n")
    return 1
