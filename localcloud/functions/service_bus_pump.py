"""Service Bus triggers: receives under peek-lock, runs the function, completes or abandons.

One coroutine owns the SDK's receiver and does one thing at a time with it, because the asynchronous SDK can neither
write nor return while it waits for a frame. So a wait for messages is interrupted as soon as there is a message to
settle or a lock to renew. Only the wait for a *single* message is: a larger receive, once interrupted, would lose what
it already holds. Larger ones are used while the queue is evidently not empty, and are short.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.exceptions import MessagingEntityNotFoundError, ServiceBusError

from localcloud.functions.definition import FunctionDefinition
from localcloud.functions.host_json import ServiceBusLimits
from localcloud.functions.invocation import Invoker
from localcloud.functions.runtime import Datum, binary, collection, string
from localcloud.functions.service_bus_client import make_client
from localcloud.functions.service_bus_metadata import batch_metadata, message_body, message_values, single_metadata
from localcloud.functions.service_bus_source import Source
from localcloud.functions.settings import ServiceBusConnection

_logger = logging.getLogger("host.servicebus")

# All times are in seconds.
#: A message that came as fast as this was waiting in the queue; after several in a row, many are asked for at once.
_QUICK, _QUICK_ENOUGH = 0.002, 3
_SHORT_WAIT, _LONG_WAIT = 0.02, 60.0
#: The longest that the SDK waits for a frame before it looks at the clock: bounds a receive of many messages.
_FRAME_TIMEOUT = 0.05
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
_CLOSING_TIME = 5.0


@dataclass(eq=False)
class Delivery:
    """Messages in the hands of one invocation; they can be settled only by the receiver that they came from."""

    receiver: ServiceBusReceiver
    messages: Sequence[ServiceBusReceivedMessage]
    received: float = field(default_factory=time.monotonic)
    renewal: asyncio.TimerHandle | None = None


class ServiceBusPump:
    """Feeds one function from one source, for ever."""

    def __init__(
        self,
        definition: FunctionDefinition,
        source: Source,
        connection: ServiceBusConnection,
        limits: ServiceBusLimits,
        invoker: Invoker,
    ) -> None:
        properties = definition.trigger.properties
        self._name = definition.name
        self._definition = definition
        self._source = source
        self._connection = connection
        self._limits = limits
        self._invoker = invoker
        self._many = properties.get("cardinality") == "MANY"
        self._as_bytes = properties.get("dataType") == "BINARY"
        self._complete = bool(properties.get("autoCompleteMessages", limits.complete_messages))
        self._slots = 1 if self._many else limits.concurrent_calls
        self._invocations: set[asyncio.Task[None]] = set()
        self._unsettled = 0
        self._ended: deque[tuple[Delivery, bool]] = deque()
        self._expiring: deque[Delivery] = deque()
        self._chore_came = asyncio.Event()
        self._waiting: asyncio.Timeout | None = None
        self._trouble: type[Exception] | None = None
        self._stopping = False

    def stop(self) -> None:
        """To be called before `run` is cancelled: the SDK swallows a cancellation that meets an arriving frame."""
        self._stopping = True

    async def run(self, grace: float) -> None:
        """Pumps until stopped, whatever happens to the broker; then gives what is running `grace` seconds to end."""
        pause = _FIRST_PAUSE
        while not self._stopping:
            opened = False
            client = make_client(self._connection, retries=0, frame_timeout=_FRAME_TIMEOUT)
            receiver = self._source.receiver(client, self._limits.prefetch_count)
            try:
                await receiver.__aenter__()
                opened = True
                self._say_listening()
                await self._pump(receiver, grace)
            except Exception as error:  # noqa: BLE001 - the SDK lets many kinds through, and a pump outlives them all
                self._say_once(error)
            finally:
                await _close(receiver, client)
            pause = _FIRST_PAUSE if opened else min(pause * 2, _LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _pump(self, receiver: ServiceBusReceiver, grace: float) -> None:
        quick = 0
        try:
            while not self._stopping:
                await self._do_chores(receiver)
                free = self._slots - self._unsettled
                if free <= 0:
                    await self._chore_came.wait()
                    continue
                started = time.monotonic()
                asked = min(free, 2 ** (quick - _QUICK_ENOUGH)) if quick > _QUICK_ENOUGH else 1
                messages = await self._receive(receiver, asked)
                was_quick = asked > 1 or time.monotonic() - started < _QUICK
                quick = min(quick + 1, 30) if was_quick and len(messages) >= asked else 0
        finally:
            if self._stopping:
                await self._finish(receiver, grace)

    async def _receive(self, receiver: ServiceBusReceiver, count: int) -> list[ServiceBusReceivedMessage]:
        """Receives and starts up to `count` messages, or one batch for a function that takes many."""
        if self._many:
            messages = await self._receive_one(receiver)
            if messages and self._limits.batch_size > 1:
                # Not with the long wait: of what it has prefetched, the SDK gives nothing until something new comes.
                messages += await receiver.receive_messages(self._limits.batch_size - 1, max_wait_time=_SHORT_WAIT)
            if messages:
                self._start(Delivery(receiver, messages))
            return messages
        messages = await (self._receive_one(receiver) if count == 1 else receiver.receive_messages(count, _SHORT_WAIT))
        for message in messages:
            self._start(Delivery(receiver, [message]))
        return messages

    async def _receive_one(self, receiver: ServiceBusReceiver) -> list[ServiceBusReceivedMessage]:
        try:
            async with asyncio.timeout(None) as waiting:
                self._waiting = waiting
                return await receiver.receive_messages(1, max_wait_time=_LONG_WAIT)
        except TimeoutError:
            if not waiting.expired():
                raise
            return []
        finally:
            self._waiting = None

    async def _finish(self, receiver: ServiceBusReceiver, grace: float) -> None:
        try:
            async with asyncio.timeout(grace):
                while self._unsettled:
                    await self._chore_came.wait()
                    await self._do_chores(receiver)
        except TimeoutError:
            _logger.warning("'%s': %d messages are left to be delivered again.", self._name, self._unsettled)

    def _start(self, delivery: Delivery) -> None:
        self._unsettled += 1
        self._plan_renewal(delivery)
        task = asyncio.create_task(self._handle(delivery))
        self._invocations.add(task)
        task.add_done_callback(self._invocations.discard)

    async def _handle(self, delivery: Delivery) -> None:
        succeeded = False
        try:
            trigger, metadata = self._input(delivery.messages)
            succeeded = (await self._invoker.invoke(self._definition, trigger, metadata)).succeeded
        except UnicodeDecodeError as error:
            _logger.error("'%s': a message is not UTF-8 text: %s", self._name, error)
        self._ended.append((delivery, succeeded))
        self._interrupt()

    def _input(self, messages: Sequence[ServiceBusReceivedMessage]) -> tuple[Datum, dict[str, Datum]]:
        bodies = [message_body(message) for message in messages]
        rows = [message_values(message) for message in messages]
        if self._many:
            # Empty bodies get lost in a batch of texts, as they do in Azure.
            texts = bodies if self._as_bytes else [body.decode() for body in bodies if body]
            return collection(texts), batch_metadata(rows)
        if self._as_bytes:
            return binary(bodies[0]), single_metadata(rows[0])
        text = bodies[0].decode()
        return string(text), single_metadata(rows[0], text)

    def _interrupt(self) -> None:
        self._chore_came.set()
        if self._waiting is not None:
            self._waiting.reschedule(0)
            self._waiting = None

    async def _do_chores(self, receiver: ServiceBusReceiver) -> None:
        self._chore_came.clear()
        while self._expiring:
            await self._renew(receiver, self._expiring.popleft())
        while self._ended:
            delivery, succeeded = self._ended.popleft()
            try:
                await self._settle(receiver, delivery, succeeded)
            finally:
                self._unsettled -= 1

    async def _settle(self, receiver: ServiceBusReceiver, delivery: Delivery, succeeded: bool) -> None:
        if delivery.renewal is not None:
            delivery.renewal.cancel()
        if succeeded and not self._complete:
            return
        if delivery.receiver is not receiver:
            _logger.warning("'%s': the connection was lost, so a message will be delivered again.", self._name)
            return
        settle = receiver.complete_message if succeeded else receiver.abandon_message
        for message in delivery.messages:
            try:
                await settle(message)
            except ServiceBusError as error:
                _logger.warning(
                    "'%s': message %s was not settled, so it will be delivered again: %s",
                    self._name,
                    message.message_id,
                    error,
                )

    def _plan_renewal(self, delivery: Delivery) -> None:
        """Renews the locks when half of their time is over, for as long as host.json allows."""
        locked_until = min((one.locked_until_utc for one in delivery.messages if one.locked_until_utc), default=None)
        if locked_until is None:
            return
        due = max(0.05, (locked_until - datetime.now(UTC)).total_seconds() / 2)
        if time.monotonic() + due - delivery.received <= self._limits.lock_renewal_duration:
            delivery.renewal = asyncio.get_running_loop().call_later(due, self._ask_for_renewal, delivery)

    def _ask_for_renewal(self, delivery: Delivery) -> None:
        self._expiring.append(delivery)
        self._interrupt()

    async def _renew(self, receiver: ServiceBusReceiver, delivery: Delivery) -> None:
        if delivery.receiver is not receiver:
            return
        try:
            for message in delivery.messages:
                await receiver.renew_message_lock(message)
        except ServiceBusError as error:
            _logger.warning("'%s': a lock could not be renewed: %s", self._name, error)
        else:
            self._plan_renewal(delivery)

    def _say_once(self, error: Exception) -> None:
        if type(error) is not self._trouble:
            problem = "does not exist" if isinstance(error, MessagingEntityNotFoundError) else "cannot be reached"
            _logger.warning("'%s': %s %s; trying on. %s", self._name, self._source, problem, error)
        self._trouble = type(error)

    def _say_listening(self) -> None:
        if self._trouble is not None:
            _logger.info("'%s': listening to %s again.", self._name, self._source)
        self._trouble = None


async def _close(receiver: ServiceBusReceiver, client: ServiceBusClient) -> None:
    try:
        async with asyncio.timeout(_CLOSING_TIME):
            await receiver.close()
            await client.close()
    except Exception as error:  # noqa: BLE001 - a connection that broke can fail in any way when it is closed
        _logger.debug("A connection was not closed in order: %r", error)
