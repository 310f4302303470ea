"""Says what is wrong with a configuration and with the files that it names: `python -m shared.config promotion.yml`,
settings from the environment."""

import argparse
import os
import sys
from pathlib import Path

from shared.config import ConfigurationFaults, load, named_files
from shared.config.app_settings import AppSettings


def main(arguments: list[str]) -> int:
    """Prints the routes of a configuration that is right; 1, with every fault, if it is not."""
    parser = argparse.ArgumentParser(prog="python -m shared.config", description=__doc__)
    usual = AppSettings.read(os.environ).configuration_path
    parser.add_argument("file", type=Path, nargs="?", default=usual, help="if left out, that of the app: %(default)s")
    file = parser.parse_args(arguments).file
    try:
        configuration = load(file, os.environ)
        if found := named_files.faults(configuration, file.parent):
            raise ConfigurationFaults(file, found)
    except ConfigurationFaults as faults:
        sys.stderr.write(f"{faults}\n")
        return 1
    for route in configuration.routes.values():
        way = " → ".join([route.source, *(stage.name for stage in route.stages)])
        sys.stdout.write(f"{route.name}: {', '.join(route.models)}: {way}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
