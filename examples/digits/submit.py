"""Submits the training job to the dev workspace of the local cloud that `make up` keeps running."""

import argparse
import json
import sys
from pathlib import Path

from examples.demo.addresses import addresses_of
from examples.demo.data_scientist import DataScientist

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> int:
    """Submit it and say what happens next. Return 1 if no local cloud is running."""
    parser = argparse.ArgumentParser(prog="python -m examples.digits.submit", description=__doc__)
    parser.add_argument(
        "--data",
        type=Path,
        default=REPOSITORY / ".local",
        metavar="DIR",
        help="the local cloud's folder (default: .local)",
    )
    parser.add_argument("--training-rows", type=int, default=800, metavar="N", help="40 to 1200 (default: %(default)s)")
    asked = parser.parse_args()
    try:
        addresses = addresses_of(json.loads((asked.data / "addresses.json").read_text()))
    except FileNotFoundError:
        sys.stderr.write(f"No local cloud is running in {asked.data}. Start one in another terminal: make up\n")
        return 1
    job = DataScientist(addresses).submit(asked.training_rows)
    sys.stdout.write(
        f"Job {job} is running in dev. When it completes, the app registers its output as the next version of the\n"
        "model digits and promotes it. To follow it: .venv/bin/mlpromote list\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
