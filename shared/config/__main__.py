"""What the local cloud runs before it starts the app: `python -m shared.config promotion.yml`.

Settings come from environment variables. `mlpromote check` is for people, and checks more.
"""

import argparse
import os
import sys
from pathlib import Path

from shared.config import ConfigurationFaults, load, named_files
from shared.config.app_settings import AppSettings
from shared.config.platform import is_platform, load_platform


def main(arguments: list[str]) -> int:
    """Print the routes of a valid configuration, or the sources of a platform's file; or every fault, and return 1."""
    parser = argparse.ArgumentParser(prog="python -m shared.config", description=__doc__)
    usual = AppSettings.read(os.environ).configuration_path
    parser.add_argument("file", type=Path, nargs="?", default=usual, help="if left out, that of the app: %(default)s")
    file = parser.parse_args(arguments).file
    try:
        if is_platform(file):
            for source in load_platform(file, os.environ).sources.values():
                sys.stdout.write(f"{source.name} publishes its routes for {', '.join(source.models)}\n")
            return 0
        configuration = load(file, os.environ)
        if found := named_files.faults(configuration, file.parent):
            raise ConfigurationFaults(file, found)
    except ConfigurationFaults as faults:
        sys.stderr.write(f"{faults}\n`mlpromote check` checks the other files as well, and needs no settings.\n")
        return 1
    for route in configuration.routes.values():
        way = " → ".join([route.source, *(stage.name for stage in route.stages)])
        sys.stdout.write(f"{route.name}: {route.about}: {way}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
