"""`python -m localcloud up`: runs a local cloud for a person, who gets every address and key to use it."""

import argparse
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from localcloud.arguments import port_number
from localcloud.configuration_file import ConfigurationError
from localcloud.up.description import App, Description, read_description
from localcloud.up.layout import Layout
from localcloud.up.local_cloud import LocalCloud
from localcloud.up.ports import Ports
from localcloud.up.supervisor import PartFailedError

_PORTS = Ports(servicebus=5672, azureml=8443, eventgrid=8081, identity=8082, functions=7071)

_HOW_TO_SUBSCRIBE = (
    "none. In localcloud.yml: topics: [{{name: {topic}, webhooks: [http://127.0.0.1:PORT/]}}], for a server that takes "
    "CloudEvents and answers OPTIONS with the header WebHook-Allowed-Origin: *"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--config",
        type=Path,
        default=Path("localcloud.yml"),
        metavar="FILE",
        help="the description (default: %(default)s)",
    )
    parser.add_argument(
        "--data", type=Path, default=Path(".local"), metavar="DIR", help="folder for all state (default: %(default)s)"
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
    """Start everything, print how to use it, and keep it running until cancelled or until a part cannot be kept up."""
    try:
        description = _with_app(read_description(arguments.config), arguments.app)
        ports = Ports(**{part: getattr(arguments, f"{part}_port") for part in _PORTS.__dict__})
        _say("Starting the local cloud ...")
        async with LocalCloud(description, arguments.data, ports, tell=_say) as cloud:
            _say(welcome(cloud.layout))
            try:
                failure = await cloud.failed()
            finally:
                _say("Ending the local cloud ...")
            raise failure
    except (ConfigurationError, PartFailedError) as error:
        raise SystemExit(str(error)) from error


def _with_app(description: Description, folder: Path | None) -> Description:
    if folder is None:
        return description
    app = (description.app or App()).model_copy(update={"folder": folder.resolve()})
    return description.model_copy(update={"app": app})


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def welcome(layout: Layout) -> str:
    """Every address, key and token, for the person who started it."""
    rows = list(_rows(layout))
    width = max(len(name) for name, _ in rows) + 2
    table = "\n".join(f"  {name:<{width}}{value}".rstrip() for name, value in rows)
    person = next(iter(layout.description.people), next(iter(layout.client_ids)))
    hints = "".join(f"{hint}\n" for hint in layout.description.hints)
    exports = "\n".join(f"  export {name}={shlex.quote(value)}" for name, value in layout.by_hand(person).items())
    return (
        f"\nThe local cloud is ready. Ctrl-C ends it; its state stays in {layout.data}.\n\n{table}\n\n"
        f"To use MLClient(DefaultAzureCredential(), ...) by hand as {person}:\n\n{exports}\n\n"
        f"All of this, machine-readable: {layout.data / 'addresses.json'}\n{hints}"
    )


def _rows(layout: Layout) -> Iterator[tuple[str, str]]:
    if layout.description.app is not None:
        yield "Functions app", layout.functions_url
        yield "  master key", layout.secrets.master_key
        yield "  function key", layout.secrets.default_key
        yield "  Event Grid key", layout.secrets.event_grid_key
        for name, person in layout.people.items():
            yield f"  token of {name}", f"{person['token']}  {', '.join(person['roles'])}"
    yield "Service Bus", layout.connection_string
    yield "Azure ML", layout.azureml_url
    yield "  certificates", str(layout.ca_file)
    yield "  registry", layout.description.registry
    for name, workspace in layout.workspace_ids.items():
        yield f"  workspace of {name}", workspace
    yield "Event Grid", layout.eventgrid_url
    for name, topic in layout.topics.items():
        yield f"  topic of {name}", topic
        yield "    key", layout.secrets.topic_keys[name]
    for own in layout.description.topics:
        yield f"  topic {own.name}", layout.own_topics[own.name]
        yield "    key", layout.secrets.own_topic_keys[own.name]
        yield "    subscribers", ", ".join(own.webhooks) or _HOW_TO_SUBSCRIBE.format(topic=own.name)
    yield "Managed identity", layout.identity_endpoint
    yield "  header", layout.secrets.identity_header
    for name, client_id in layout.client_ids.items():
        yield f"  client id of {name}", client_id
    yield "Logs", str(layout.data / "logs")
