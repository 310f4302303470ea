"""`python -m localcloud eventgrid`: puts the Event Grid part together and runs it."""

import argparse
import asyncio
import contextlib
import logging
import sys
from pathlib import Path

import aiohttp

from localcloud.arguments import add_port, show_example
from localcloud.configuration_file import ConfigurationError, read_configuration
from localcloud.eventgrid.configuration import EXAMPLE, EventGridConfiguration
from localcloud.eventgrid.dead_letters import DeadLetters
from localcloud.eventgrid.delivery import SubscriptionDelivery
from localcloud.eventgrid.handshake import Handshake
from localcloud.eventgrid.server import EventGridServer
from localcloud.eventgrid.store import DeliveryStore
from localcloud.folder_lock import locked
from localcloud.http_server import bind, listening, port_of

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command line of this part."""
    show_example(parser, EXAMPLE)
    add_port(parser)
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder for accepted events and dead letters"
    )
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="topics and subscriptions, as YAML or JSON"
    )


async def serve(arguments: argparse.Namespace) -> None:
    """Runs topics and deliveries until cancelled. Accepted events are delivered after a restart."""
    try:
        configuration = read_configuration(arguments.config, EventGridConfiguration)
        with (
            locked(arguments.data, "local Event Grid"),
            contextlib.closing(DeliveryStore(arguments.data / "events.sqlite")) as store,
        ):
            await _run(configuration, store, DeadLetters(arguments.data / "dead-letters"), arguments.port)
    except ConfigurationError as error:
        raise SystemExit(str(error)) from error


async def _run(configuration: EventGridConfiguration, store: DeliveryStore, letters: DeadLetters, port: int) -> None:
    if forgotten := store.remove_others([one.name for one in configuration.subscriptions]):
        _log.warning("dropped %d event(s) of subscriptions that are no longer configured", forgotten)
    bound = bind(port)
    address = f"http://127.0.0.1:{port_of(bound)}"
    topics = {topic.name: topic for topic in configuration.topics}
    subscriptions = [
        SubscriptionDelivery(
            one,
            Handshake(one, topics[one.topic].topic_of_events, f"{address}/subscriptions/{one.name}/validate"),
            store,
            letters,
            configuration.retry_pauses,
        )
        for one in configuration.subscriptions
    ]
    server = EventGridServer(configuration.topics, subscriptions, store)
    async with aiohttp.ClientSession() as session, listening(server.application(), bound), asyncio.TaskGroup() as tasks:
        for one in subscriptions:
            tasks.create_task(one.run(session))
        sys.stdout.write(f"eventgrid ready on {address}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()
