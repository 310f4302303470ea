"""The host as a whole: what serves each function, and the web server in front."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aiohttp import web

from localcloud.functions import event_grid_webhook
from localcloud.functions.admin import Admin, Indexed
from localcloud.functions.definition import Binding, FunctionDefinition, HostError
from localcloud.functions.event_grid_webhook import EventGridWebhook
from localcloud.functions.host_json import HostConfiguration
from localcloud.functions.http_streams import HttpStreams
from localcloud.functions.http_trigger import HttpTriggers
from localcloud.functions.invocation import Invoker
from localcloud.functions.keys import Keys
from localcloud.functions.routes import Router
from localcloud.functions.runtime import IndexedApp
from localcloud.functions.service_bus_output import ServiceBusOutputs
from localcloud.functions.settings import is_disabled, replace_placeholders, service_bus_connection
from localcloud.functions.timers import TimerListener
from localcloud.http_server import SERVER_LOG, refuse_unreadable

_logger = logging.getLogger("host")

#: A warm-up trigger never fires here, since no instance is ever added. The admin API can run the function.
TRIGGERS = ("httpTrigger", "eventGridTrigger", "serviceBusTrigger", "timerTrigger", "warmupTrigger")
OUTPUTS = ("http", "serviceBus")

#: The largest request that App Service's front end accepts.
LARGEST_REQUEST = 100 * 1024 * 1024

Runner = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class HostOptions:
    """The options of the command line; `keys` None means that no key is required, `grace` is in seconds."""

    data: Path
    keys: Keys | None
    grace: float


class Host:
    """Serves the functions of one app."""

    def __init__(self, app: IndexedApp, configuration: HostConfiguration, options: HostOptions) -> None:
        """Raises HostError if the app cannot be served at all. A single function that cannot be served is left out."""
        settings = os.environ
        self._options = options
        self._outputs = ServiceBusOutputs(settings)
        self.invoker = Invoker(self._outputs, configuration.function_timeout)
        self.errors: list[str] = []
        self._pumps: list[Runner] = []
        self._others: list[Runner] = []
        self._stops: list[Callable[[], None]] = []
        self.functions: list[FunctionDefinition] = []
        self.router = Router([], configuration.route_prefix)
        for declared in app.functions:
            definition = replace(declared, disabled=is_disabled(declared.name, settings))
            try:
                self._check(definition, settings)
                self._add_listener(definition, configuration, settings)
            except HostError as error:
                self.errors.append(f"The function '{definition.name}' is not served: {error}")
                _logger.error("%s", self.errors[-1])
            else:
                self.functions.append(definition)
        if not self.functions:
            _logger.warning("There is no function to serve.")
        named = {definition.name.lower(): definition for definition in self.functions}
        event_functions = {name: one for name, one in named.items() if one.trigger.type == "eventGridTrigger"}
        self._streams = None if app.web_server is None else HttpStreams(app.web_server, self.invoker)
        self._http = HttpTriggers(self.router, options.keys, self.invoker, self._streams)
        self._webhook = EventGridWebhook(event_functions, options.keys, self.invoker)
        self._admin = Admin(Indexed(named, self.errors), self.router, options.keys, self.invoker, self._streams)

    def run_beside(self, runner: Runner) -> None:
        """Runs something else while the host serves, and cancels it at the end."""
        self._others.append(runner)

    @contextlib.asynccontextmanager
    async def serving(self, bound: socket.socket) -> AsyncIterator[None]:
        """Answers on the socket and runs every trigger inside the block. Running invocations may then end."""
        application = web.Application(middlewares=[refuse_unreadable], client_max_size=LARGEST_REQUEST)
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=self._options.grace, logger=SERVER_LOG)
        await runner.setup()
        async with self._running([*self._pumps, *self._others], runner.cleanup):
            await web.SockSite(runner, bound, backlog=1024).start()
            yield

    @contextlib.asynccontextmanager
    async def listening_to_queues(self) -> AsyncIterator[None]:
        """As `serving`, with the Service Bus triggers only."""
        async with self._running(self._pumps):
            yield

    @contextlib.asynccontextmanager
    async def _running(self, runners: Sequence[Runner], *clean_ups: Runner) -> AsyncIterator[None]:
        listeners = [asyncio.ensure_future(run()) for run in runners]
        try:
            yield
        finally:
            for stop in self._stops:
                stop()
            for listener in listeners:
                listener.cancel()
            await asyncio.gather(*(clean_up() for clean_up in clean_ups), self._ended(listeners))
            await self._outputs.close()
            if self._streams is not None:
                await self._streams.close()

    async def _ended(self, listeners: Sequence["asyncio.Future[None]"]) -> None:
        for result in await asyncio.gather(*listeners, return_exceptions=True):
            if isinstance(result, Exception):
                _logger.error("A trigger ended with an error.", exc_info=result)
        await self.invoker.wait_until_idle(self._options.grace)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.lower()
        if path == event_grid_webhook.PATH:
            return await self._webhook.handle(request)
        if path.startswith("/admin/"):
            return await self._admin.handle(request)
        return await self._http.handle(request)

    def _check(self, definition: FunctionDefinition, settings: Mapping[str, str]) -> None:
        if any(other.name.lower() == definition.name.lower() for other in self.functions):
            raise HostError("Another function has the same name (case is ignored).")
        if definition.trigger.type not in TRIGGERS:
            raise HostError(_not_here(f"trigger '{definition.trigger.name}'", definition.trigger))
        for one in definition.inputs:
            raise HostError(_not_here(f"input '{one.name}'", one))
        for output in definition.outputs.values():
            if output.type not in OUTPUTS:
                raise HostError(_not_here(f"output '{output.name}'", output))
            if output.type == "serviceBus":
                properties = output.properties
                replace_placeholders(properties.get("queueName") or properties.get("topicName") or "", settings)
                service_bus_connection(properties.get("connection", ""), settings)
        if definition.retry is not None and definition.trigger.type != "timerTrigger":
            _logger.warning("'%s': Azure ignores retry policies on a %s.", definition.name, definition.trigger.type)

    def _add_listener(
        self, definition: FunctionDefinition, configuration: HostConfiguration, settings: Mapping[str, str]
    ) -> None:
        if definition.trigger.type == "httpTrigger":
            self.router.add(definition)
        if definition.disabled:
            return
        if definition.trigger.type == "timerTrigger":
            timer = TimerListener(definition, settings, self._options.data / "timers", self.invoker)
            self._others.append(timer.run)
        elif definition.trigger.type == "serviceBusTrigger":
            self._pumps.append(self._pump(definition, configuration, settings))

    def _pump(
        self, definition: FunctionDefinition, configuration: HostConfiguration, settings: Mapping[str, str]
    ) -> Runner:
        # Not at the top: the SDK takes a good part of the start, and apps without such a trigger do not need it.
        from localcloud.functions.service_bus_pump import ServiceBusPump
        from localcloud.functions.service_bus_source import Source

        properties = definition.trigger.properties
        if properties.get("isSessionsEnabled"):
            raise HostError(
                "It requires sessions (is_sessions_enabled), which the local host does not support. Run the app in"
                " Microsoft's host (Core Tools) for it."
            )
        entity = replace_placeholders(properties.get("queueName") or properties.get("topicName") or "", settings)
        subscription = replace_placeholders(properties.get("subscriptionName") or "", settings)
        source = Source.parse(entity, subscription or None)
        connection = service_bus_connection(properties.get("connection", ""), settings)
        pump = ServiceBusPump(definition, source, connection, configuration.service_bus, self.invoker)
        self._stops.append(pump.stop)
        return lambda: pump.run(self._options.grace)


def _not_here(described: str, binding: Binding) -> str:
    """Why a function with this binding is left out, and what to do about it."""
    kind = binding.type
    reason = f"Its {described} is of type {kind}, which the local host does not have."
    if kind == "blob":
        reason += " Read and write blobs with azure-storage-blob in the function, which Azurite serves on this machine."
    elif kind == "blobTrigger":
        reason += " Run the app in Microsoft's host (Core Tools) for it."
    return reason
