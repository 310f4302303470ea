"""Service Bus triggers: each function has as many listeners as have work, up to the limit in host.json."""

import asyncio
import logging
import threading
import time
from collections.abc import Sequence

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.exceptions import MessagingEntityNotFoundError

from localcloud.functions.definition import FunctionDefinition
from localcloud.functions.host_json import ServiceBusLimits
from localcloud.functions.invocation import Invoker
from localcloud.functions.runtime import Datum, binary, collection, string
from localcloud.functions.service_bus_listener import Listener, Subscription
from localcloud.functions.service_bus_metadata import batch_metadata, message_body, message_values, single_metadata
from localcloud.functions.service_bus_source import Source
from localcloud.functions.settings import ServiceBusConnection

_logger = logging.getLogger("host.servicebus")

#: A listener takes half a second to connect, so some are started before they are needed. When all are busy, their
#: number is multiplied by this.
_READY, _TIMES = 4, 4

# In seconds.
#: Between two checks of the listeners' messages, and of what must end.
_LOOK, _LOOK_FOR_THE_END = 0.25, 0.02
#: The invoker ends what the event loop runs at its time limit; everything else is abandoned this much later.
_LATE = 0.5
_CLOSING_TIME = 5.0


class ServiceBusPump:
    """Feeds one function from one source until cancelled."""

    def __init__(
        self,
        definition: FunctionDefinition,
        source: Source,
        connection: ServiceBusConnection,
        limits: ServiceBusLimits,
        invoker: Invoker,
    ) -> None:
        properties = definition.trigger.properties
        many = properties.get("cardinality") == "MANY"
        completes = bool(properties.get("autoCompleteMessages", limits.complete_messages))
        self.stopping = threading.Event()
        self._subscription = Subscription(definition.name, source, connection, limits, many, completes)
        self._definition = definition
        self._invoker = invoker
        self._as_bytes = properties.get("dataType") == "BINARY"
        self._most = 1 if many else limits.concurrent_calls
        self._listeners: list[Listener] = []
        self._changing = threading.Lock()
        self._trouble: type[Exception] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """Stops receiving."""
        self.stopping.set()

    async def run(self, grace: float) -> None:
        """Runs until cancelled, whatever happens to the broker. What is running then has `grace` seconds to end."""
        self._loop = asyncio.get_running_loop()
        self._have(1)
        try:
            while True:
                await self._look_after_deliveries()
                await asyncio.sleep(_LOOK)
        finally:
            self.stop()
            await self._finish(grace)

    async def _look_after_deliveries(self) -> None:
        now, timeout = time.monotonic(), self._invoker.timeout
        for listener in list(self._listeners):
            delivery = listener.delivery
            if delivery is None:
                continue
            if timeout is not None and now - delivery.received > timeout + _LATE:
                self._invoker.gave_up(self._definition)
                await asyncio.to_thread(listener.give_up)
                self._dismiss(listener, keep=0)
                self._have(1)
            elif delivery.renewal is not None and delivery.renewal <= now:
                await asyncio.to_thread(listener.renew)

    async def _finish(self, grace: float) -> None:
        try:
            async with asyncio.timeout(grace):
                while self._in_hand():
                    await self._look_after_deliveries()
                    await asyncio.sleep(_LOOK_FOR_THE_END)
        except TimeoutError:
            left = self._in_hand()
            _logger.warning("'%s': %d messages will be delivered again.", self._definition.name, left)
            return
        closed_by = time.monotonic() + _CLOSING_TIME
        while time.monotonic() < closed_by and any(one.is_alive() for one in self._listeners):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_FOR_THE_END)

    def _in_hand(self) -> int:
        deliveries = [listener.delivery for listener in self._listeners]
        return sum(len(delivery.messages) for delivery in deliveries if delivery is not None)

    def _have(self, count: int) -> None:
        """Makes sure that there are this many listeners, or as many as are allowed."""
        with self._changing:
            while len(self._listeners) < min(count, self._most) and not self.stopping.is_set():
                listener = Listener(self._subscription, self)
                self._listeners.append(listener)
                listener.start()

    def _dismiss(self, listener: Listener, keep: int) -> bool:
        """Removes the listener if there are more than `keep`. Returns whether it is not among them any more."""
        with self._changing:
            if len(self._listeners) > keep and listener in self._listeners:
                self._listeners.remove(listener)
            return listener not in self._listeners

    # ------------------------------------------------------------------------------------ called by the listeners

    def connected(self) -> None:
        if self._trouble is not None:
            _logger.info("'%s': listening to %s again.", self._definition.name, self._subscription.source)
        self._trouble = None
        self._have(_READY)

    def failed(self, listener: Listener, error: Exception) -> bool:
        """The last listener tries again, and logs the problem if it is a new one."""
        if self._dismiss(listener, keep=1):
            return False
        if type(error) is not self._trouble:
            self._trouble = type(error)
            problem = "does not exist" if isinstance(error, MessagingEntityNotFoundError) else "cannot be reached"
            source = self._subscription.source
            _logger.warning("'%s': %s %s; retrying. %s", self._definition.name, source, problem, error)
        return True

    def idle(self, listener: Listener) -> bool:
        return not self._dismiss(listener, keep=_READY)

    def handle(self, messages: Sequence[ServiceBusReceivedMessage]) -> bool:
        if all(listener.delivery is not None for listener in self._listeners):
            self._have(len(self._listeners) * _TIMES)
        try:
            trigger, metadata = self._input(messages)
        except UnicodeDecodeError as error:
            _logger.error("'%s': a message is not UTF-8 text: %s", self._definition.name, error)
            return False
        assert self._loop is not None
        return self._invoker.invoke_from_thread(self._definition, trigger, metadata, self._loop).succeeded

    def _input(self, messages: Sequence[ServiceBusReceivedMessage]) -> tuple[Datum, dict[str, Datum]]:
        bodies = [message_body(message) for message in messages]
        rows = [message_values(message) for message in messages]
        if self._subscription.many:
            # A batch of texts loses its empty bodies, as in Azure.
            texts = bodies if self._as_bytes else [body.decode() for body in bodies if body]
            return collection(texts), batch_metadata(rows)
        if self._as_bytes:
            return binary(bodies[0]), single_metadata(rows[0])
        text = bodies[0].decode()
        return string(text), single_metadata(rows[0], text)
