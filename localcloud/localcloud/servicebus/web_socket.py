"""The server's side of a WebSocket (RFC 6455) that carries AMQP, without I/O: bytes in, bytes out."""

import base64
import hashlib
from typing import NamedTuple

#: Where Service Bus has AMQP over WebSockets, and the subprotocol's name there.
PATH = "/$servicebus/websocket"
SUBPROTOCOL = "AMQPWSB10"

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x2, 0x8, 0x9, 0xA
_FINAL, _MASKED = 0x80, 0x80
#: In bytes; a client's AMQP frames are much smaller.
_LONGEST_HANDSHAKE, _LONGEST_FRAME = 16 * 1024, 4 * 1024 * 1024


class Received(NamedTuple):
    """What came in: AMQP's bytes, the answer that is due at once, and whether the connection ends with it."""

    payload: bytes = b""
    answer: bytes = b""
    ended: bool = False


class WebSocket:
    """One client's WebSocket, from its handshake on."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._is_open = False

    def receive(self, data: bytes) -> Received:
        """Takes bytes as they came. Where they are no WebSocket's, the answer says why and the connection ends."""
        self._buffer += data
        handshake = b""
        if not self._is_open:
            head, found, _ = bytes(self._buffer).partition(b"\r\n\r\n")
            if not found:
                if len(self._buffer) > _LONGEST_HANDSHAKE:
                    return _refused("431 Request Header Fields Too Large", "The request is too long.")
                return Received()
            handled = _handshake(head.decode("latin-1"))
            if handled.ended:
                return handled
            handshake = handled.answer
            del self._buffer[: len(head) + 4]
            self._is_open = True
        payload, answer, ended = self._read_frames()
        return Received(payload, handshake + answer, ended)

    def _read_frames(self) -> Received:
        payload, answer = bytearray(), bytearray()
        while (frame := self._next_frame()) is not None:
            opcode, content = frame
            if opcode in (_BINARY, _CONTINUATION):
                payload += content
            elif opcode == _PING:
                answer += _framed(_PONG, content)
            elif opcode == _CLOSE:
                return Received(bytes(payload), bytes(answer + _framed(_CLOSE, content[:2])), ended=True)
            elif opcode != _PONG:
                return Received(bytes(payload), bytes(answer + _framed(_CLOSE, (1002).to_bytes(2, "big"))), ended=True)
        return Received(bytes(payload), bytes(answer))

    def _next_frame(self) -> tuple[int, bytes] | None:
        """Opcode and content of the next whole frame; None if more has to come, opcode -1 for what is not allowed."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length, start = buffer[1] & 0x7F, 2
        if length >= 126:
            size = 2 if length == 126 else 8
            if len(buffer) < start + size:
                return None
            length = int.from_bytes(buffer[start : start + size], "big")
            start += size
        if not buffer[1] & _MASKED or length > _LONGEST_FRAME:
            return -1, b""
        if len(buffer) < start + 4 + length:
            return None
        mask = bytes(buffer[start : start + 4])
        content = _unmasked(bytes(buffer[start + 4 : start + 4 + length]), mask)
        opcode = buffer[0] & 0x0F
        del buffer[: start + 4 + length]
        return opcode, content


def framed(payload: bytes | bytearray) -> bytes:
    """AMQP's bytes as the WebSocket carries them."""
    return _framed(_BINARY, payload)


def _framed(opcode: int, content: bytes | bytearray) -> bytes:
    size = len(content)
    if size < 126:
        head = bytes((_FINAL | opcode, size))
    elif size < 2**16:
        head = bytes((_FINAL | opcode, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((_FINAL | opcode, 127)) + size.to_bytes(8, "big")
    return head + content


def _unmasked(content: bytes, mask: bytes) -> bytes:
    size = len(content)
    repeated = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(content, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")


def _handshake(head: str) -> Received:
    request, *lines = head.split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    method, _, rest = request.partition(" ")
    if method != "GET" or rest.partition(" ")[0].partition("?")[0] != PATH:
        return _refused("404 Not Found", f"Only AMQP is served here, plainly or over a WebSocket at {PATH}.")
    key = headers.get("sec-websocket-key")
    if headers.get("upgrade", "").lower() != "websocket" or not key:
        return _refused("400 Bad Request", f"{PATH} is for WebSockets only.")
    accepted = base64.b64encode(hashlib.sha1((key + _GUID).encode("latin-1"), usedforsecurity=False).digest()).decode()
    answer = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    answer.append(f"Sec-WebSocket-Accept: {accepted}")
    offered = [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",")]
    if SUBPROTOCOL in offered:
        answer.append(f"Sec-WebSocket-Protocol: {SUBPROTOCOL}")
    return Received(answer="\r\n".join([*answer, "", ""]).encode())


def _refused(status: str, reason: str) -> Received:
    head = [f"HTTP/1.1 {status}", "Content-Type: text/plain", f"Content-Length: {len(reason)}", "Connection: close"]
    return Received(answer="\r\n".join([*head, "", reason]).encode(), ended=True)
