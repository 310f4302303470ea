"""`python -m localcloud up`: runs a local cloud and prints every address and key needed to use it."""

import argparse
import shutil
import sys
from pathlib import Path

from localcloud.arguments import port_number
from localcloud.configuration_file import ConfigurationError
from localcloud.up.description import App, Description, read_description
from localcloud.up.local_cloud import LocalCloud
from localcloud.up.ports import Ports
from localcloud.up.running import USUAL_DATA, data_option
from localcloud.up.supervisor import PartFailedError
from localcloud.up.welcome import welcome

_HOW_TO_RUN_THE_APP = (
    "The app was not started. `python -m localcloud settings{data} > local.settings.json` writes its settings; "
    "`func start --port {port}` runs it."
)
_PORTS = Ports(servicebus=5672, azureml=8443, eventgrid=8081, identity=8082, functions=7071)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command line."""
    parser.add_argument(
        "--config",
        type=Path,
        default=Path("localcloud.yml"),
        metavar="FILE",
        help="the description (default: %(default)s)",
    )
    parser.add_argument(
        "--data", type=Path, default=USUAL_DATA, metavar="DIR", help="folder for all state (default: %(default)s)"
    )
    parser.add_argument(
        "--without-app",
        action="store_true",
        help="start everything else; another host runs the app on its port, with `localcloud settings`",
    )
    parser.add_argument("--app", type=Path, metavar="FOLDER", help="the Functions app, instead of the description's")
    for part, number in _PORTS.__dict__.items():
        parser.add_argument(
            f"--{part}-port",
            type=port_number,
            default=number,
            metavar="P",
            help="0 chooses a free one (default: %(default)s)",
        )


async def serve(arguments: argparse.Namespace) -> None:
    """Starts everything, prints how to use it, and keeps it running until cancelled or until a part stays down."""
    try:
        description = _with_app(read_description(arguments.config), arguments.app)
        ports = Ports(**{part: getattr(arguments, f"{part}_port") for part in _PORTS.__dict__})
        _say("Starting the local cloud ...")
        without_app = arguments.without_app
        async with LocalCloud(description, arguments.data, ports, without_app=without_app, tell=_say) as cloud:
            _say(welcome(cloud.layout, shutil.get_terminal_size().columns))
            if without_app:
                _say(_HOW_TO_RUN_THE_APP.format(port=cloud.layout.ports.functions, data=data_option(arguments.data)))
            try:
                failure = await cloud.failed()
            finally:
                _say("Stopping the local cloud ...")
            raise failure
    except (ConfigurationError, PartFailedError) as error:
        raise SystemExit(str(error)) from error


def _with_app(description: Description, folder: Path | None) -> Description:
    if folder is None:
        return description
    # The check belongs to the description's app.
    app = (description.app or App()).model_copy(update={"folder": folder.resolve(), "check": ""})
    return description.model_copy(update={"app": app})


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
