"""One client's connection: protocol headers, SASL, frames in and out, heartbeats, and its sessions."""

import asyncio
import logging
from typing import Any, cast

from localcloud.servicebus.amqp_types import CodecError
from localcloud.servicebus.broker import Broker
from localcloud.servicebus.performatives import (
    AMQP_FRAME,
    AMQP_HEADER,
    SASL_FRAME,
    SASL_HEADER,
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    Transfer,
    decode_frame,
    encode_frame,
    error,
    symbols,
)
from localcloud.servicebus.session import Session
from localcloud.servicebus.shared_access import Grants
from localcloud.servicebus.web_socket import WebSocket, framed

CONTAINER_ID = "localcloud-servicebus"
MAX_FRAME_SIZE = 65_536
_CHANNEL_MAX = 65_535
_EMPTY_FRAME = bytes((0, 0, 0, 8, 2, AMQP_FRAME, 0, 0))
#: More than the frame header and the longest transfer performative that we write.
_TRANSFER_OVERHEAD = 128

#: Deliveries wait when a turn already has this many bytes to send.
_MOST_TO_SEND = 1024 * 1024

_log = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """Reads frames as they arrive, and keeps outgoing frames until the end of the broker's turn."""

    def __init__(self, broker: Broker, connections: set["Connection"], grants: Grants) -> None:
        self._broker = broker
        self.grants = grants
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        #: None for plain AMQP, and until the first byte shows which it is.
        self._web_socket: WebSocket | None = None
        self._is_new = True
        self._received = bytearray()
        self._to_send = bytearray()
        self._sessions: dict[int, Session] = {}
        self._writable = True
        self._closing = False
        self._heartbeat: asyncio.TimerHandle | None = None
        #: How much of a message fits into one frame.
        self.payload_room = MAX_FRAME_SIZE - _TRANSFER_OVERHEAD

    # --------------------------------------------------------------------------------------------------- transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._connections.discard(self)
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        for session in self._sessions.values():
            session.end()
        self._sessions.clear()

    def data_received(self, data: bytes) -> None:
        if self._is_new:
            self._is_new = False
            if data.startswith(b"G"):  # of GET; AMQP begins with its own name
                self._web_socket = WebSocket()
        if self._web_socket is not None:
            received = self._web_socket.receive(data)
            if self._transport is not None:
                self._transport.write(received.answer)
                if received.ended:
                    self._transport.close()
            data = received.payload
        self._received += data
        try:
            self._read_frames()
        except CodecError as fault:
            _log.warning("closed a connection: %s", fault)
            self._close(error("amqp:connection:framing-error", str(fault)))

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._resume()

    def can_send(self) -> bool:
        """Whether there is room for more deliveries; replies and outcomes are never held back."""
        return self._writable and not self._closing and len(self._to_send) < _MOST_TO_SEND

    def send(self, channel: int, performative: Any, payload: bytes | memoryview = b"", kind: int = AMQP_FRAME) -> None:
        self._to_send += encode_frame(channel, performative, payload, kind)
        self._broker.has_output(self)

    def flush(self) -> None:
        to_send, self._to_send = self._to_send, bytearray()
        if self._transport is not None and to_send:
            self._write(to_send)
            if self._closing:
                self._transport.close()
            elif self._writable and len(to_send) >= _MOST_TO_SEND:
                self._resume()

    def _write(self, encoded: bytes | bytearray) -> None:
        assert self._transport is not None
        self._transport.write(encoded if self._web_socket is None else framed(encoded))

    def abort(self) -> None:
        """Drops the connection at once, and all output with it."""
        self._to_send.clear()
        if self._transport is not None:
            self._transport.abort()

    def _resume(self) -> None:
        for session in self._sessions.values():
            session.resume()

    # ------------------------------------------------------------------------------------------------------ frames

    def _read_frames(self) -> None:
        received, offset = self._received, 0
        while len(received) - offset >= 8 and not self._closing:
            head = bytes(received[offset : offset + 8])
            if head in (AMQP_HEADER, SASL_HEADER):
                offset += 8
                self._on_protocol_header(head)
                continue
            size = int.from_bytes(head[:4], "big")
            body_start = head[4] * 4
            if not 8 <= body_start <= size <= MAX_FRAME_SIZE:
                raise CodecError(f"a frame of {size} bytes, body at {body_start}, or another protocol than AMQP 1.0")
            if len(received) - offset < size:
                break
            body = bytes(received[offset + body_start : offset + size])
            offset += size
            if body:  # an empty frame only shows that the client is alive
                self._on_frame(int.from_bytes(head[6:], "big"), *decode_frame(body))
        del received[:offset]

    def _on_protocol_header(self, header: bytes) -> None:
        self._to_send += header
        self._broker.has_output(self)
        if header == SASL_HEADER:
            mechanisms = symbols("MSSBCBS", "ANONYMOUS", "PLAIN", "EXTERNAL")
            self.send(0, SaslMechanisms(mechanisms), kind=SASL_FRAME)

    def _on_frame(self, channel: int, performative: Any, payload: bytes) -> None:
        match performative:
            case SaslInit():
                self.send(0, SaslOutcome(code=0), kind=SASL_FRAME)
            case Open():
                self._on_open(performative)
            case Close():
                self._close(None)
            case Begin():
                if channel in self._sessions:
                    raise CodecError(f"channel {channel} has a session already")
                self._sessions[channel] = Session(self, channel, performative, self._broker)
            case End():
                session = self._sessions.pop(channel, None)
                if session is not None:
                    session.end()
                    self.send(channel, End())
            case _:
                session = self._sessions.get(channel)
                if session is not None:  # the SDK detaches its links after it has ended their session
                    _on_session_frame(session, performative, payload)

    def _on_open(self, opened: Open) -> None:
        frame_size = min(opened.max_frame_size or MAX_FRAME_SIZE, MAX_FRAME_SIZE)
        self.payload_room = max(frame_size - _TRANSFER_OVERHEAD, _TRANSFER_OVERHEAD)
        if opened.idle_timeout:
            self._beat(opened.idle_timeout / 1000 / 2)
        self.send(0, Open(CONTAINER_ID, max_frame_size=MAX_FRAME_SIZE, channel_max=_CHANNEL_MAX))

    def _beat(self, interval: float) -> None:
        """Keeps a silent connection alive for a client that gives up on silent peers."""
        if self._transport is not None and self._heartbeat is not None:
            self._write(_EMPTY_FRAME)
        self._heartbeat = asyncio.get_running_loop().call_later(interval, self._beat, interval)

    def _close(self, reason: Any) -> None:
        self.send(0, Close(reason))
        self._closing = True
        for session in self._sessions.values():
            session.end()
        self._sessions.clear()


def _on_session_frame(session: Session, performative: Any, payload: bytes) -> None:
    match performative:
        case Transfer():
            session.on_transfer(performative, payload)
        case Disposition():
            session.on_disposition(performative)
        case Flow():
            session.on_flow(performative)
        case Attach():
            session.on_attach(performative)
        case Detach():
            session.on_detach(performative)
        case _:
            raise CodecError(f"{type(performative).__name__} is not expected from a client")
