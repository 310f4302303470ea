"""Says what is wrong with a configuration: `python -m shared.config promotion.yml`, settings from the environment."""

import argparse
import os
import sys
from pathlib import Path

from shared.config import ConfigurationFaults, load


def main(arguments: list[str]) -> int:
    """Prints the routes of a configuration that is right; 1, with every fault, if it is not."""
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
