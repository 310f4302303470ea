"""`python -m localcloud functions`: indexes an app and serves it until it is stopped."""

import argparse
import asyncio
import contextlib
import logging
import os
import socket
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from localcloud.arguments import port_number
from localcloud.functions.definition import FunctionDefinition, HostError
from localcloud.functions.host import Host, HostOptions
from localcloud.functions.host_json import HostConfiguration, load_host_configuration
from localcloud.functions.keys import load_keys
from localcloud.functions.logs import HostLog
from localcloud.functions.runtime import IndexedApp, load_app, start_threads
from localcloud.functions.settings import load_local_settings
from localcloud.functions.worker_processes import input_ended, keep_running, share_of, worker_count
from localcloud.http_server import bind, port_of

DEFAULT_PORT = 7071
DEFAULT_GRACE = 10.0

_DISTRIBUTION = Path(__file__).parents[2]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command line."""
    parser.add_argument("--app", type=Path, required=True, metavar="FOLDER", help="folder with host.json")
    parser.add_argument(
        "--port", type=port_number, default=DEFAULT_PORT, metavar="P", help="0: any free port (default: %(default)s)"
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder for keys.json and the status of timers (default: FOLDER/.local/functions)",
    )
    parser.add_argument("--no-auth", action="store_true", help="require no keys, like Core Tools")
    parser.add_argument(
        "--grace",
        type=float,
        default=DEFAULT_GRACE,
        metavar="SECONDS",
        help="how long running invocations may take to end when the host stops (default: %(default)g)",
    )
    parser.add_argument("--worker", type=int, default=0, metavar="NUMBER", help=argparse.SUPPRESS)


async def serve(arguments: argparse.Namespace) -> None:
    """Runs until cancelled. Ends the program with a message if the app cannot be served.

    It changes the process for good: working directory, environment, module path and logging become the app's.
    """
    folder = arguments.app.resolve()
    data = (arguments.data or folder / ".local" / "functions").resolve()
    try:
        bound = None if arguments.worker else bind(arguments.port)
        configuration = _prepare(folder, bound)
        workers = worker_count(os.environ)
        limits = share_of(configuration.service_bus, workers, arguments.worker)
        configuration = replace(configuration, service_bus=limits)
        environment = dict(os.environ)  # before the app is imported, which may change it
        log = HostLog(configuration.log_levels)
        log.start()
        try:
            start_threads()
            app = await _load(folder)
            log.own_again()
            keys = None if arguments.no_auth else load_keys(data / "keys.json")
            host = Host(app, configuration, HostOptions(data, keys, arguments.grace))
            if bound is None:
                abandoned = await _work(host)
            else:
                for number in range(1, workers):
                    command = _worker_command(folder, data, arguments.grace, number)
                    host.run_beside(partial(keep_running, command, _DISTRIBUTION, environment, arguments.grace))
                abandoned = await _serve(host, bound)
        finally:
            log.stop()
    except HostError as error:
        raise SystemExit(f"functions: {error}") from error
    if abandoned:
        # A thread that runs a function cannot be stopped, and Python would wait for it forever.
        sys.stdout.flush()
        os._exit(0)


def _prepare(folder: Path, bound: socket.socket | None) -> HostConfiguration:
    if not folder.is_dir():
        raise HostError(f"{folder} is not a folder.")
    load_local_settings(folder)
    configuration = load_host_configuration(folder)  # settings may replace parts of host.json
    os.environ.setdefault("AZURE_FUNCTIONS_ENVIRONMENT", "Development")
    os.environ.setdefault("FUNCTIONS_WORKER_RUNTIME", "python")
    if bound is not None:  # a worker inherits the name
        os.environ.setdefault("WEBSITE_HOSTNAME", f"localhost:{port_of(bound)}")
    os.chdir(folder)
    return configuration


async def _load(folder: Path) -> IndexedApp:
    packages = folder / ".python_packages" / "lib" / "site-packages"
    if packages.is_dir():  # where a deployed app's dependencies are
        sys.path.insert(0, str(packages))
    try:
        return await load_app(folder)
    except SystemExit as error:
        raise HostError(f"The app in {folder} ended the program while it was imported: {error!r}") from error


def _worker_command(folder: Path, data: Path, grace: float, number: int) -> list[str]:
    options = ["--app", str(folder), "--data", str(data), "--grace", f"{grace:g}", "--worker", str(number)]
    return [sys.executable, "-m", "localcloud", "functions", *options]


async def _work(host: Host) -> int:
    """Listens to the queues until cancelled or told to end, and returns how many invocations had to be abandoned."""
    with contextlib.suppress(asyncio.CancelledError):
        async with host.listening_to_queues():
            await input_ended()
    return host.invoker.unfinished


async def _serve(host: Host, bound: socket.socket) -> int:
    """Serves until cancelled and returns how many invocations had to be abandoned."""
    address = f"http://127.0.0.1:{port_of(bound)}"
    try:
        async with host.serving(bound):
            for definition in host.functions:
                sys.stdout.write(f"  {definition.name}: {_described(definition, host, address)}\n")
            sys.stdout.write(f"functions ready on {address}\n")
            sys.stdout.flush()
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        logging.getLogger("host").info("Stopped.")
    return host.invoker.unfinished


def _described(definition: FunctionDefinition, host: Host, address: str) -> str:
    properties = definition.trigger.properties
    if definition.disabled:
        return "disabled"
    match definition.trigger.type:
        case "httpTrigger":
            methods = sorted(method.upper() for method in properties.get("methods") or ())
            return f"[{','.join(methods) or 'any method'}] {address}{host.router.path(definition)}"
        case "serviceBusTrigger":
            return f"serviceBusTrigger {properties.get('queueName') or properties.get('topicName')}"
        case "timerTrigger":
            return f"timerTrigger {properties['schedule']}"
        case other:
            return other
