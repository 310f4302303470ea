"""Checks a configuration: `python -m shared.config promotion.yml`. Settings come from environment variables."""

import argparse
import os
import sys
from pathlib import Path

from shared.config import ConfigurationFaults, load


def main(arguments: list[str]) -> int:
    """Print the routes of a valid configuration, or every fault of an invalid one and return 1."""
    parser = argparse.ArgumentParser(prog="python -m shared.config", description=__doc__)
    parser.add_argument("file", type=Path)
    try:
        configuration = load(parser.parse_args(arguments).file, os.environ)
    except ConfigurationFaults as faults:
        sys.stderr.write(f"{faults}\n")
        return 1
    for route in configuration.routes.values():
        way = " → ".join([route.source, *(stage.name for stage in route.stages)])
        sys.stdout.write(f"{route.name}: {', '.join(route.models)}: {way}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
