"""One AMQP session: its links, its windows, and the deliveries that are not settled yet."""

import logging
import uuid
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from localcloud.servicebus import settlement
from localcloud.servicebus.amqp_types import CodecError, Described
from localcloud.servicebus.broker import Broker
from localcloud.servicebus.links import MAX_REQUEST_SIZE, IncomingLink, OutgoingLink, QueueLink
from localcloud.servicebus.management import MANAGEMENT_SUFFIX, TOKEN_NODE, RequestNode, node_at
from localcloud.servicebus.message import BATCH_FORMAT, read_batch, read_message
from localcloud.servicebus.performatives import (
    ACCEPTED,
    Attach,
    Begin,
    Detach,
    Disposition,
    Flow,
    Transfer,
    error,
    field,
    rejected,
)
from localcloud.servicebus.queue import Queue
from localcloud.servicebus.session_links import SESSION_FILTER, SessionLink, filters_of
from localcloud.servicebus.session_queue import SessionCannotBeLockedError, SessionQueue, SessionRequiredError
from localcloud.servicebus.shared_access import UNAUTHORIZED_ACCESS, Claim, Grants, missing_claim

_SERIAL = 2**32
#: We read everything at once, so a client's transfers need no window; this is the widest that all clients accept.
_WINDOW = 2**31 - 1

_log = logging.getLogger(__name__)

Link = IncomingLink | OutgoingLink


class RefusedError(Exception):
    """An attach that is answered with an AMQP error."""

    def __init__(self, condition: str, description: str) -> None:
        super().__init__(description)
        self.condition = condition
        self.description = description


class Unsettled(NamedTuple):
    """A delivery without an outcome from the receiver yet, and its lock."""

    handle: int
    queue: Queue
    token: uuid.UUID


class Wire(Protocol):
    """How a session sends, and what its client may do."""

    @property
    def grants(self) -> Grants:
        """Rights from the tokens that the client has presented so far."""

    @property
    def payload_room(self) -> int:
        """How much of a message fits into one frame, in bytes."""

    def can_send(self) -> bool:
        """Whether there is room for more deliveries."""

    def send(self, channel: int, performative: Any, payload: bytes | memoryview = b"") -> None:
        """Sends one frame at the end of the turn."""


class Session:
    """Talks to one client on one channel."""

    def __init__(self, wire: Wire, channel: int, begin: Begin, broker: Broker) -> None:
        self._wire = wire
        self._channel = channel
        self._broker = broker
        self._links: dict[int, Link] = {}
        #: Outgoing links of request nodes, by the address of the node.
        self._reply_links: dict[str, OutgoingLink] = {}
        self._unsettled: dict[int, Unsettled] = {}
        self._next_delivery_id = 0
        self._next_outgoing_id = 0
        self._next_incoming_id = begin.next_outgoing_id
        self._client_window = begin.incoming_window
        self.send(
            Begin(remote_channel=channel, incoming_window=_WINDOW, outgoing_window=_WINDOW, handle_max=begin.handle_max)
        )

    # ----------------------------------------------------------------------------------------------------- sending

    def send(self, performative: Any, payload: bytes | memoryview = b"") -> None:
        self._wire.send(self._channel, performative, payload)

    def can_send(self) -> bool:
        return self._client_window > 0 and self._wire.can_send()

    def transfer(self, handle: int, tag: bytes, encoded: bytes, *, settled: bool) -> int:
        """Sends one delivery in as many frames as it takes; returns its delivery id, which counts per session."""
        delivery_id = self._next_delivery_id
        self._next_delivery_id = (delivery_id + 1) % _SERIAL
        room = self._wire.payload_room
        rest = memoryview(encoded)
        while True:
            part, rest = rest[:room], rest[room:]
            self.send(Transfer(handle, delivery_id, tag, 0, settled=settled, more=bool(rest)), part)
            self._next_outgoing_id = (self._next_outgoing_id + 1) % _SERIAL
            self._client_window -= 1
            if not rest:
                return delivery_id

    def send_flow(self, handle: int, delivery_count: int, credit: int, *, drain: bool = False) -> None:
        self.send(
            Flow(
                next_incoming_id=self._next_incoming_id,
                incoming_window=_WINDOW,
                next_outgoing_id=self._next_outgoing_id,
                outgoing_window=_WINDOW,
                handle=handle,
                delivery_count=delivery_count,
                link_credit=credit,
                drain=drain,
            )
        )

    def settle(self, *, receiver: bool, delivery_id: int, outcome: Described) -> None:
        """One frame per delivery: the SDK's async client stalls on ranges."""
        self.send(Disposition(receiver, delivery_id, delivery_id, settled=True, state=outcome))

    def remember_unsettled(self, handle: int, delivery_id: int, queue: Queue, token: uuid.UUID) -> None:
        self._unsettled[delivery_id] = Unsettled(handle, queue, token)

    # --------------------------------------------------------------------------------------------------- receiving

    def on_attach(self, attach: Attach) -> None:
        if attach.handle in self._links:
            raise CodecError(f"handle {attach.handle} has a link already")
        try:
            link = self._attached(attach)
        except RefusedError as refusal:
            self._refuse(attach, refusal)
            return
        self._links[attach.handle] = link
        if not isinstance(link, SessionLink):
            self.send(_reply(attach)._replace(max_message_size=link.largest))
        elif link.lock is not None:
            self.confirm(link)
        link.opened()

    def confirm(self, link: SessionLink) -> None:
        self.send(link.confirmation(_reply(link.attach)))

    def end_link(self, handle: int, condition: str, description: str) -> None:
        link = self._links.pop(handle, None)
        if link is None:
            return
        link.closed()
        self._forget_unsettled(handle)
        refusal = RefusedError(condition, description)
        if isinstance(link, SessionLink) and link.lock is None:
            self._refuse(link.attach, refusal)
        else:
            self._detach(handle, refusal)

    def _refuse(self, attach: Attach, refusal: RefusedError) -> None:
        _log.info("refused a link: %s", refusal)
        self.send(_reply(attach)._replace(source=None, target=None))
        self._detach(attach.handle, refusal)

    def _detach(self, handle: int, refusal: RefusedError) -> None:
        self.send(Detach(handle, closed=True, error=error(refusal.condition, refusal.description)))

    def _attached(self, attach: Attach) -> Link:
        address = field(attach.source if attach.receiver else attach.target, 0)
        if not isinstance(address, str):
            raise RefusedError("amqp:invalid-field", "The link has no address.")
        if address == TOKEN_NODE or address.endswith(MANAGEMENT_SUFFIX):
            return self._attached_to_node(attach, address)
        queue = self._broker.queue_at(address)
        if queue is None:
            raise _not_found(address)
        claim = Claim.LISTEN if attach.receiver else Claim.SEND
        if not self._wire.grants.allow(claim, queue.name):
            raise RefusedError(UNAUTHORIZED_ACCESS, missing_claim(claim, queue.name))
        if not attach.receiver:
            if queue.dead_letters is None:
                raise RefusedError("amqp:not-allowed", f"{queue.name} takes dead letters only; nobody can send to it.")
            return IncomingLink(
                self, attach, lambda form, encoded: self._enqueue(queue, form, encoded), queue.max_message_size
            )
        return self._receiving(attach, queue)

    def _receiving(self, attach: Attach, queue: Queue) -> Link:
        asks_for_session = SESSION_FILTER in filters_of(attach)
        if not isinstance(queue, SessionQueue):
            if asks_for_session:
                raise RefusedError("amqp:not-allowed", f"{queue.name} has no sessions; receive from it without one.")
            return QueueLink(self, attach, queue, self._broker)
        if not asks_for_session:
            raise RefusedError("amqp:not-allowed", f"{queue.name} requires sessions; receive from one of them.")
        try:
            return SessionLink(self, attach, queue, self._broker)
        except SessionCannotBeLockedError as held:
            raise RefusedError("com.microsoft:session-cannot-be-locked", str(held)) from held

    def _attached_to_node(self, attach: Attach, address: str) -> Link:
        if attach.receiver:
            link = OutgoingLink(self, attach)
            self._reply_links[address] = link
            return link
        node = node_at(address, self._broker, self._wire.grants)
        if node is None:
            raise _not_found(address)
        return IncomingLink(self, attach, lambda _, encoded: self._request(node, address, encoded), MAX_REQUEST_SIZE)

    def on_flow(self, flow: Flow) -> None:
        expected = 0 if flow.next_incoming_id is None else flow.next_incoming_id
        window = (expected + flow.incoming_window - self._next_outgoing_id) % _SERIAL
        self._client_window = window if window <= _WINDOW else 0  # a message of many frames may have gone beyond it
        self._next_incoming_id = flow.next_outgoing_id
        if flow.handle in self._links:
            self._links[flow.handle].flow(flow)
        self.resume()

    def resume(self) -> None:
        """Continues delivering after the session's window or the connection was full."""
        for link in self._links.values():
            link.resume()

    def on_transfer(self, transfer: Transfer, payload: bytes) -> None:
        self._next_incoming_id = (self._next_incoming_id + 1) % _SERIAL
        link = self._links.get(transfer.handle)
        if isinstance(link, IncomingLink):
            link.take(transfer, payload)

    def on_disposition(self, disposition: Disposition) -> None:
        if not disposition.receiver:
            return
        for delivery_id in self._unsettled_between(disposition.first, disposition.last):
            _, queue, token = self._unsettled[delivery_id]
            outcome = settlement.settle(queue, token, disposition, self._broker.now())
            if outcome is None:
                continue
            del self._unsettled[delivery_id]
            if not disposition.settled:
                self.settle(receiver=False, delivery_id=delivery_id, outcome=outcome)
            self._broker.changed(queue)

    def _unsettled_between(self, first: int, last: int | None) -> Iterable[int]:
        if last is None or last == first:
            return [first] if first in self._unsettled else []
        return [delivery_id for delivery_id in self._unsettled if first <= delivery_id <= last]

    def on_detach(self, detach: Detach) -> None:
        link = self._links.pop(detach.handle, None)
        if link is not None:
            if isinstance(link, SessionLink) and link.lock is None:  # an attach is answered before its detach
                self.send(_reply(link.attach)._replace(source=None, target=None))
            link.closed()
            self._reply_links = {address: kept for address, kept in self._reply_links.items() if kept is not link}
            self._forget_unsettled(detach.handle)
            self.send(Detach(detach.handle, closed=True))

    def _forget_unsettled(self, handle: int) -> None:
        """Forgets a link's deliveries: they cannot be settled on it once it is gone. Clients then use the management
        node."""
        self._unsettled = {number: kept for number, kept in self._unsettled.items() if kept.handle != handle}

    def end(self) -> None:
        """Closes all links."""
        for link in self._links.values():
            link.closed()
        self._links.clear()

    # -------------------------------------------------------------------------------------- what arrives on links

    def _enqueue(self, queue: Queue, message_format: int, encoded: bytes) -> Described:
        now = self._broker.now()
        try:
            parts = read_batch(encoded) if message_format == BATCH_FORMAT else [encoded]
            messages = [read_message(part) for part in parts]
        except CodecError as fault:
            return rejected("amqp:decode-error", f"The message cannot be decoded: {fault}.")
        try:
            queue.check(message for message, _ in messages)
        except SessionRequiredError as refused:
            return rejected("amqp:not-allowed", str(refused))
        for message, message_id in messages:
            queue.send(message, message_id, now)
        self._broker.changed(queue)
        return ACCEPTED

    def _request(self, node: RequestNode, address: str, encoded: bytes) -> Described:
        link = self._reply_links.get(address)
        if link is None:
            return rejected("amqp:not-allowed", f"Attach a receiver to {address} before sending requests to it.")
        try:
            reply = node.answer(encoded)
        except CodecError as fault:
            return rejected("amqp:decode-error", f"The request cannot be decoded: {fault}.")
        link.send(self._next_delivery_id.to_bytes(4, "big"), reply, settled=True)
        return ACCEPTED


def _reply(attach: Attach) -> Attach:
    """The answer to an attach. Source and target are echoed: without them the SDK takes the link for refused."""
    return attach._replace(
        receiver=not attach.receiver,
        unsettled=None,
        incomplete_unsettled=None,
        initial_delivery_count=0 if attach.receiver else None,
        max_message_size=0,
        offered_capabilities=None,
        desired_capabilities=None,
        properties=None,
    )


def _not_found(address: str) -> RefusedError:
    return RefusedError(
        "amqp:not-found",
        # The SDKs for JavaScript, Java and .NET recognise a missing queue by these words.
        f"The messaging entity '{address}' could not be found. Add the queue to the configuration; topics, and queues"
        " with forwarding, are left out, as the log says at the start.",
    )
