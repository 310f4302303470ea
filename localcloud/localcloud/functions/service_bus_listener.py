"""A receiver of a Service Bus trigger, in its own thread.

It waits for a message under peek-lock, has the function run in the same thread, completes or abandons, and waits again.
The synchronous SDK takes half the time of the asynchronous one for that, and no thread has to wake another.
"""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from azure.servicebus import ServiceBusReceivedMessage, ServiceBusReceiver
from azure.servicebus.exceptions import ServiceBusError

from localcloud.functions.host_json import ServiceBusLimits
from localcloud.functions.service_bus_client import make_client
from localcloud.functions.service_bus_source import Source
from localcloud.functions.settings import ServiceBusConnection

_logger = logging.getLogger("host.servicebus")

# All times are in seconds.
#: The longest time before a listener checks whether to stop, and that the SDK waits for one frame.
_WAIT, _FRAME_TIMEOUT = 0.5, 0.2
#: For more messages, after the first one of a batch.
_SHORT_WAIT = 0.02
#: A listener that is idle for this long ends if there are others.
_IDLE = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0


@dataclass(frozen=True)
class Subscription:
    """What is listened to for which function, and how."""

    function: str
    source: Source
    connection: ServiceBusConnection
    limits: ServiceBusLimits
    #: The function takes several messages at once.
    many: bool
    #: Messages are completed when the function has succeeded.
    completes: bool


class Pump(Protocol):
    """What a listener works for."""

    stopping: threading.Event

    def connected(self) -> None:
        """A listener listens."""

    def failed(self, listener: "Listener", error: Exception) -> bool:
        """A listener lost its connection or could not connect. Returns whether it should try again."""

    def idle(self, listener: "Listener") -> bool:
        """A listener has been idle for long. Returns whether it should continue."""

    def handle(self, messages: Sequence[ServiceBusReceivedMessage]) -> bool:
        """Runs the function for the messages and returns whether it succeeded."""


@dataclass(eq=False)
class Delivery:
    """Messages in the hands of an invocation; they can be settled only by the receiver that they came from."""

    receiver: ServiceBusReceiver
    messages: Sequence[ServiceBusReceivedMessage]
    received: float = field(default_factory=time.monotonic)
    #: When to renew the locks; None for never.
    renewal: float | None = None

    def plan_renewal(self, longest: float) -> None:
        """Renews the locks after half of their time, until `longest` seconds after the messages were received."""
        locked_until = min((one.locked_until_utc for one in self.messages if one.locked_until_utc), default=None)
        if locked_until is None:
            return
        due = time.monotonic() + max(0.0, (locked_until - datetime.now(UTC)).total_seconds() / 2)
        self.renewal = due if due - self.received <= longest else None


class Listener:
    """Listens until its pump stops or no longer needs it."""

    def __init__(self, subscription: Subscription, pump: Pump) -> None:
        # Not a subclass of Thread, whose private names differ from one Python version to the next.
        self._thread = threading.Thread(target=self._run, name=f"listener of {subscription.function}", daemon=True)
        self.delivery: Delivery | None = None
        self._subscription = subscription
        self._pump = pump
        #: Held while the receiver settles or renews messages, since other threads may renew or abandon them.
        self._using = threading.Lock()

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._pump.stopping.is_set():
            began = time.monotonic()
            try:
                self._connect_and_listen()
                return
            except CancelledError:  # the host is ending, and the invocation with it
                return
            except Exception as error:  # noqa: BLE001 - the SDK lets many kinds through, and a pump outlives them all
                if not self._pump.failed(self, error):
                    return
            pause = min(pause * 2, _LONGEST_PAUSE) if time.monotonic() - began < _LONGEST_PAUSE else _FIRST_PAUSE
            self._pump.stopping.wait(pause)

    def _connect_and_listen(self) -> None:
        listened = self._subscription
        limits = listened.limits
        prefetched = limits.prefetch_count if listened.many else limits.prefetch_count // limits.concurrent_calls
        with (
            make_client(listened.connection, retries=0, frame_timeout=_FRAME_TIMEOUT) as client,
            listened.source.receiver(client, prefetched) as receiver,
        ):
            self._pump.connected()
            self._listen(receiver)

    def _listen(self, receiver: ServiceBusReceiver) -> None:
        last = time.monotonic()
        while not self._pump.stopping.is_set():
            messages = self._receive(receiver)
            if messages:
                if not self._handle(Delivery(receiver, messages)):
                    return
                last = time.monotonic()
            elif time.monotonic() - last > _IDLE and not self._pump.idle(self):
                return

    def _receive(self, receiver: ServiceBusReceiver) -> list[ServiceBusReceivedMessage]:
        messages = receiver.receive_messages(1, max_wait_time=_WAIT)
        if messages and self._subscription.many and self._subscription.limits.batch_size > 1:
            # Not with a long wait: the SDK returns no prefetched messages until a new one arrives.
            messages += receiver.receive_messages(self._subscription.limits.batch_size - 1, max_wait_time=_SHORT_WAIT)
        return messages

    def _handle(self, delivery: Delivery) -> bool:
        """False if the messages, and the receiver, were given up in the meantime."""
        delivery.plan_renewal(self._subscription.limits.lock_renewal_duration)
        self.delivery = delivery
        succeeded = False
        try:
            succeeded = self._pump.handle(delivery.messages)
        finally:
            with self._using:
                mine = self.delivery is delivery
                if mine:
                    self._settle(delivery, succeeded)
                    self.delivery = None
        return mine

    def _settle(self, delivery: Delivery, succeeded: bool) -> None:
        if succeeded and not self._subscription.completes:
            return
        settle = delivery.receiver.complete_message if succeeded else delivery.receiver.abandon_message
        for message in delivery.messages:
            try:
                settle(message)
            except ServiceBusError as error:
                _logger.warning(
                    "'%s': message %s was not settled, so it will be delivered again: %s",
                    self._subscription.function,
                    message.message_id,
                    error,
                )

    # ------------------------------------------------------------------------------- called by the pump's thread

    def renew(self) -> None:
        """Renews the locks of the current messages if it is time."""
        with self._using:
            delivery = self.delivery
            if delivery is None or delivery.renewal is None or delivery.renewal > time.monotonic():
                return
            delivery.renewal = None
            try:
                for message in delivery.messages:
                    delivery.receiver.renew_message_lock(message)
            except ServiceBusError as error:
                _logger.warning("'%s': a lock could not be renewed: %s", self._subscription.function, error)
            else:
                delivery.plan_renewal(self._subscription.limits.lock_renewal_duration)

    def give_up(self) -> None:
        """Abandons the current messages. The thread cannot be stopped; it ends when the function does."""
        with self._using:
            if self.delivery is not None:
                self._settle(self.delivery, succeeded=False)
                self.delivery = None
