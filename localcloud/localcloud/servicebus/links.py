"""The broker's ends of links: incoming links bring messages or requests, outgoing links deliver messages or replies."""

import uuid
from collections.abc import Callable
from typing import Protocol

from localcloud.servicebus.amqp_types import Described
from localcloud.servicebus.broker import Broker
from localcloud.servicebus.message import Message, write_delivery, write_message
from localcloud.servicebus.performatives import Attach, Flow, Transfer, rejected
from localcloud.servicebus.queue import Lock, Queue

#: The largest request in bytes. It may exceed a message's limit; then the reply says so. If the link rejected it, the
#: SDK would never use that management link again.
MAX_REQUEST_SIZE = 16 * 1024 * 1024
#: Messages that a client may send before it gets new credit, which it does when half is used.
INCOMING_CREDIT = 1000
#: `snd-settle-mode`: the sender settles every delivery itself, that is, receive-and-delete.
SETTLED_BY_SENDER = 1

_SERIAL = 2**32

#: Takes a delivery's message format and its bytes; gives its outcome.
Accept = Callable[[int, bytes], Described]


class Channel(Protocol):
    """How a link sends. Deliveries and their ids belong to the channel, handles to the link."""

    def can_send(self) -> bool:
        """Whether there is room for another delivery."""

    def transfer(self, handle: int, tag: bytes, encoded: bytes, *, settled: bool) -> int:
        """Sends one delivery; returns its delivery id."""

    def send_flow(self, handle: int, delivery_count: int, credit: int, *, drain: bool = False) -> None:
        """Tells the client a link's credit."""

    def settle(self, *, receiver: bool, delivery_id: int, outcome: Described) -> None:
        """Tells the client the outcome of a delivery."""

    def remember_unsettled(self, handle: int, delivery_id: int, queue: Queue, token: uuid.UUID) -> None:
        """Waits for the client's outcome of a delivery that this token locks."""


class IncomingLink:
    """Puts transfer frames together and hands each complete delivery on."""

    def __init__(self, session: Channel, attach: Attach, accept: Accept, largest: int) -> None:
        self._session = session
        #: Of a delivery, in bytes.
        self.largest = largest
        self._handle = attach.handle
        self._accept = accept
        self._delivery_count = attach.initial_delivery_count or 0
        self._credit = 0
        self._first: Transfer | None = None
        self._parts: list[bytes] = []
        self._size = 0

    def opened(self) -> None:
        self._top_up_credit()

    def take(self, transfer: Transfer, payload: bytes) -> None:
        if self._first is None:
            self._first = transfer
        self._size += len(payload)
        if self._size <= self.largest:
            self._parts.append(payload)
        else:
            self._parts.clear()
        if transfer.more and not transfer.aborted:
            return
        first, encoded, size = self._first, b"".join(self._parts), self._size
        self._first, self._parts, self._size = None, [], 0
        self._delivery_count += 1
        self._credit -= 1
        if not transfer.aborted:
            self._finish(first, encoded, size)
        if self._credit <= INCOMING_CREDIT // 2:
            self._top_up_credit()

    def flow(self, flow: Flow) -> None:
        if flow.echo:
            self._top_up_credit()

    def resume(self) -> None:
        """Does nothing: incoming messages never wait for room."""

    def closed(self) -> None:
        """Does nothing: an incomplete delivery was never acknowledged."""

    def _finish(self, first: Transfer, encoded: bytes, size: int) -> None:
        if size > self.largest:
            description = f"The message has {size} bytes; at most {self.largest} are allowed."
            outcome = rejected("amqp:link:message-size-exceeded", description)
        else:
            outcome = self._accept(first.message_format or 0, encoded)
        if not first.settled and first.delivery_id is not None:
            self._session.settle(receiver=True, delivery_id=first.delivery_id, outcome=outcome)

    def _top_up_credit(self) -> None:
        self._credit = INCOMING_CREDIT
        self._session.send_flow(self._handle, self._delivery_count, INCOMING_CREDIT)


class OutgoingLink:
    """Sends deliveries to a client."""

    #: We have no limit; the client may have one.
    largest = 0

    def __init__(self, session: Channel, attach: Attach) -> None:
        self._session = session
        self._handle = attach.handle
        self._delivery_count = 0
        self._credit = 0

    def opened(self) -> None:
        """Does nothing: credit comes from the client."""

    def flow(self, flow: Flow) -> None:
        if flow.link_credit is None:
            return
        granted = ((flow.delivery_count or 0) + flow.link_credit - self._delivery_count) % _SERIAL
        self._credit = granted if granted < _SERIAL // 2 else 0
        if flow.drain:
            self._drain()
        elif flow.echo:
            self._session.send_flow(self._handle, self._delivery_count, self._credit)

    def send(self, tag: bytes, encoded: bytes, *, settled: bool) -> int:
        """Sends one delivery and returns its delivery id. A reply needs no credit: its request asked for it."""
        self._delivery_count = (self._delivery_count + 1) % _SERIAL
        self._credit = max(self._credit - 1, 0)
        return self._session.transfer(self._handle, tag, encoded, settled=settled)

    def resume(self) -> None:
        """Does nothing: replies are not held back."""

    def closed(self) -> None:
        """Does nothing: there is nothing to give back."""

    def _drain(self) -> None:
        """Uses up the credit, since the client wants only the messages that are there now."""
        self._delivery_count = (self._delivery_count + self._credit) % _SERIAL
        self._credit = 0
        self._session.send_flow(self._handle, self._delivery_count, 0, drain=True)


class QueueLink(OutgoingLink):
    """Delivers the messages of a queue, locked or, in receive-and-delete, for good."""

    def __init__(self, session: Channel, attach: Attach, queue: Queue, broker: Broker) -> None:
        super().__init__(session, attach)
        self.queue = queue
        self._broker = broker
        self._deletes = attach.send_settle_mode == SETTLED_BY_SENDER

    def opened(self) -> None:
        self._broker.add_receiver(self.queue, self)

    def resume(self) -> None:
        self._broker.changed(self.queue)

    def closed(self) -> None:
        """Keeps the locks: their messages can still be settled through the management node."""
        self._broker.remove_receiver(self.queue, self)

    def is_ready(self) -> bool:
        return self._credit > 0 and self._session.can_send()

    def deliver_next(self, now: float) -> bool:
        if self._deletes:
            message = self._take(now)
            if message is None:
                return False
            self.send(uuid.uuid4().bytes_le, write_message(message), settled=True)
            return True
        lock = self._lock(now)
        if lock is None:
            return False
        encoded = write_delivery(lock.message, lock.token, lock.until)
        # The SDK reads the lock token from the delivery tag, as a little-endian UUID.
        delivery_id = self.send(lock.token.bytes_le, encoded, settled=False)
        self._session.remember_unsettled(self._handle, delivery_id, self.queue, lock.token)
        return True

    def _take(self, now: float) -> Message | None:
        return self.queue.take_next(now)

    def _lock(self, now: float) -> Lock | None:
        return self.queue.lock_next(now)

    def _drain(self) -> None:
        self._broker.deliver(self.queue)
        super()._drain()
