"""What the SDK never does but other clients may: the broker answers by the AMQP specification and lives on."""

import asyncio
import sqlite3
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from localcloud.servicebus.amqp_types import Array, Described, ULong
from localcloud.servicebus.broker import Broker
from localcloud.servicebus.config import QueueSettings
from localcloud.servicebus.connection import Connection
from localcloud.servicebus.message import APPLICATION_PROPERTIES, PROPERTIES, VALUE, encode_section, sections
from localcloud.servicebus.performatives import (
    ACCEPTED,
    AMQP_HEADER,
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    Flow,
    Open,
    Transfer,
    decode_frame,
    encode_frame,
    field,
)
from localcloud.servicebus.shared_access import Grants
from localcloud.servicebus.store import Store
from localcloud.testing.broker import LONGEST_WAIT, BrokerProcess, write_config

from .conftest import Bus, nested

Expected = TypeVar("Expected")
LARGE = 2**31 - 1


class Peer:
    """A client that writes and reads single frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, opening: Open, begin: Begin | None = None) -> "Peer":
        peer = cls(*await asyncio.open_connection("127.0.0.1", port))
        peer.writer.write(AMQP_HEADER)
        peer.send(opening)
        assert await peer.reader.readexactly(8) == AMQP_HEADER
        await peer.expect(Open)
        if begin is not None:
            peer.send(begin)
            await peer.expect(Begin)
        return peer

    def send(self, performative: Any, payload: bytes = b"") -> None:
        self.writer.write(encode_frame(0, performative, payload))

    async def frame(self) -> tuple[Any, bytes]:
        """The next frame; (None, b"") for an empty one."""
        async with asyncio.timeout(LONGEST_WAIT):
            head = await self.reader.readexactly(8)
            body = await self.reader.readexactly(int.from_bytes(head[:4], "big") - 8)
        return decode_frame(body) if body else (None, b"")

    async def expect(self, kind: type[Expected]) -> Expected:
        performative, _ = await self.frame()
        assert isinstance(performative, kind), performative
        return performative

    async def is_closed(self) -> bool:
        async with asyncio.timeout(LONGEST_WAIT):
            return await self.reader.read() == b""

    async def attach(self, queue: str, *, receiver: bool, handle: int = 0, settle_mode: int = 0) -> None:
        end = Described(ULong(0x28 if receiver else 0x29), [queue])
        ends: dict[str, Any] = {"source": end} if receiver else {"target": end}
        self.send(Attach(f"link-{handle}", handle, receiver=receiver, send_settle_mode=settle_mode, **ends))
        await self.expect(Attach)

    async def put(self, *bodies: str) -> None:
        """Sends messages by way of handle 9."""
        for number, body in enumerate(bodies):
            self.send(Transfer(9, number, b"%d" % number), encode_section(VALUE, body))
            accepted = await self.expect(Disposition)
            assert accepted.state == ACCEPTED


@pytest.fixture
async def peer(broker: BrokerProcess) -> AsyncIterator[Peer]:
    begin = Begin(next_outgoing_id=0, incoming_window=LARGE, outgoing_window=LARGE)
    peer = await Peer.connect(broker.port, Open("test"), begin)
    yield peer
    peer.writer.close()


@pytest.fixture
async def filled(peer: Peer, bus: Bus) -> str:
    """A queue with three messages."""
    queue = bus.queue("plain")
    await peer.attach(queue, receiver=False, handle=9)
    await peer.expect(Flow)
    await peer.put("a", "b", "c")
    return queue


def grant(credit: int, *, drain: bool = False, window: int = LARGE, taken: int = 0) -> Flow:
    return Flow(taken, window, 0, LARGE, handle=0, delivery_count=taken, link_credit=credit, drain=drain)


async def test_no_more_messages_come_than_there_is_credit(peer: Peer, filled: str) -> None:
    await peer.attach(filled, receiver=True)
    peer.send(grant(2))
    assert [(await peer.expect(Transfer)).delivery_id for _ in range(2)] == [0, 1]
    peer.send(grant(0, taken=2)._replace(echo=True))
    assert (await peer.expect(Flow)).link_credit == 0
    peer.send(grant(1, taken=2))
    assert (await peer.expect(Transfer)).delivery_id == 2


async def test_draining_delivers_what_is_there_and_uses_up_the_credit(peer: Peer, filled: str) -> None:
    await peer.attach(filled, receiver=True)
    peer.send(grant(10, drain=True))
    for _ in range(3):
        await peer.expect(Transfer)
    drained = await peer.expect(Flow)
    assert (drained.drain, drained.link_credit, drained.delivery_count) == (True, 0, 10)


async def test_no_more_frames_come_than_the_session_window_takes(peer: Peer, filled: str) -> None:
    await peer.attach(filled, receiver=True)
    peer.send(grant(10, window=2))
    await peer.expect(Transfer)
    await peer.expect(Transfer)
    peer.send(grant(8, window=0, taken=2)._replace(echo=True))
    await peer.expect(Flow)
    peer.send(grant(8, window=2, taken=2))
    assert (await peer.expect(Transfer)).delivery_id == 2


async def test_a_range_of_deliveries_is_settled_one_by_one(peer: Peer, filled: str) -> None:
    await peer.attach(filled, receiver=True)
    peer.send(grant(3))
    for _ in range(3):
        await peer.expect(Transfer)
    peer.send(Disposition(receiver=True, first=0, last=2**32 - 1, settled=False, state=ACCEPTED))
    for delivery_id in range(3):
        settled = await peer.expect(Disposition)
        assert (settled.first, settled.last, settled.settled, settled.state) == (
            delivery_id,
            delivery_id,
            True,
            ACCEPTED,
        )


@pytest.mark.parametrize(
    ("outcome", "deliveries"),
    [(Described(ULong(0x26), []), 0), (Described(ULong(0x27), [False]), 0), (Described(ULong(0x27), [True]), 1)],
    ids=["released", "modified", "modified as failed"],
)
async def test_only_a_failed_delivery_counts(peer: Peer, filled: str, outcome: Described, deliveries: int) -> None:
    await peer.attach(filled, receiver=True)
    peer.send(grant(1))
    await peer.expect(Transfer)
    peer.send(Disposition(receiver=True, first=0, settled=True, state=outcome))
    peer.send(grant(1, taken=1))
    _, payload = await peer.frame()
    header = next(sections(payload))
    assert header.value[4] == deliveries


async def test_a_receiver_that_only_tells_of_progress_keeps_its_lock(peer: Peer, filled: str) -> None:
    await peer.attach(filled, receiver=True)
    peer.send(grant(1))
    await peer.expect(Transfer)
    received = Described(ULong(0x23), [0, 0])
    peer.send(Disposition(receiver=True, first=0, settled=False, state=received))
    peer.send(Disposition(receiver=True, first=0, settled=False, state=ACCEPTED))
    assert (await peer.expect(Disposition)).state == ACCEPTED


async def test_deliveries_settled_by_the_sender_are_gone(peer: Peer, filled: str) -> None:
    await peer.attach(filled, receiver=True, settle_mode=1)
    peer.send(grant(3))
    assert [(await peer.expect(Transfer)).settled for _ in range(3)] == [True] * 3
    peer.send(grant(1, drain=True, taken=3))
    await peer.expect(Flow)


async def test_a_message_in_many_frames_is_put_together(peer: Peer, filled: str) -> None:
    encoded = encode_section(VALUE, "in many frames")
    for position in range(len(encoded)):
        last = position == len(encoded) - 1
        first_only: dict[str, Any] = {"delivery_id": 7, "delivery_tag": b"7"} if position == 0 else {}
        peer.send(Transfer(9, more=not last, **first_only), encoded[position : position + 1])
    assert (await peer.expect(Disposition)).state == ACCEPTED
    await peer.attach(filled, receiver=True)
    peer.send(grant(4))
    payloads = [(await peer.frame())[1] for _ in range(4)]
    assert payloads[3].endswith(encoded)


async def test_an_aborted_message_is_forgotten(peer: Peer, filled: str) -> None:
    peer.send(Transfer(9, 7, b"7", more=True), b"half a mess")
    peer.send(Transfer(9, 7, b"7", aborted=True))
    await peer.put("whole")


async def test_what_is_no_message_is_refused_and_the_link_goes_on(peer: Peer, filled: str) -> None:
    peer.send(Transfer(9, 7, b"7"), b"no message")
    refused = await peer.expect(Disposition)
    assert field(field(refused.state, 0), 0) == "amqp:decode-error"
    await peer.put("whole")


async def test_a_message_nested_deeper_than_the_sdk_decodes_is_refused_and_the_link_goes_on(
    peer: Peer, filled: str
) -> None:
    for delivery_id, levels in ((7, 65), (8, 5000)):
        peer.send(Transfer(9, delivery_id, b"%d" % delivery_id), nested(levels))
        refused = await peer.expect(Disposition)
        assert field(field(refused.state, 0), 0) == "amqp:decode-error"
    peer.send(Transfer(9, 9, b"9"), nested(64))
    assert (await peer.expect(Disposition)).state == ACCEPTED


async def test_an_unknown_queue_is_refused_by_attach_and_detach(peer: Peer) -> None:
    peer.send(Attach("link", 3, receiver=True, source=Described(ULong(0x28), ["nowhere"])))
    answer = await peer.expect(Attach)
    assert (answer.source, answer.target) == (None, None)
    detached = await peer.expect(Detach)
    assert (detached.handle, detached.closed, field(detached.error, 0)) == (3, True, "amqp:not-found")


@pytest.mark.parametrize(
    ("operation", "body", "status", "condition"),
    [
        ("com.microsoft:get-session-state", {}, 501, "amqp:not-implemented"),
        ("com.microsoft:peek-message", {"message-count": "many"}, 400, "com.microsoft:argument-error"),
        ("com.microsoft:peek-message", {"message-count": -1}, 400, "com.microsoft:argument-error"),
        (
            "com.microsoft:receive-by-sequence-number",
            {"sequence-numbers": Array(["one"])},
            400,
            "com.microsoft:argument-error",
        ),
        ("com.microsoft:renew-lock", {"lock-tokens": Array([uuid.uuid4()])}, 410, "com.microsoft:message-lock-lost"),
        ("com.microsoft:schedule-message", {"messages": [{"message": b"none"}]}, 400, "com.microsoft:argument-error"),
    ],
)
async def test_a_request_that_cannot_be_met_is_answered_with_the_reason(
    peer: Peer, filled: str, operation: str, body: dict[str, Any], status: int, condition: str
) -> None:
    await peer.attach(f"{filled}/$management", receiver=True, handle=0)
    await peer.attach(f"{filled}/$management", receiver=False, handle=1)
    await peer.expect(Flow)
    properties = encode_section(PROPERTIES, ["request-1"])
    asked = encode_section(APPLICATION_PROPERTIES, {"operation": operation})
    peer.send(Transfer(1, 7, b"7", settled=True), properties + asked + encode_section(VALUE, body))
    _, reply = await peer.frame()
    answered = {section.code: section.value for section in sections(reply)}
    assert answered[PROPERTIES][5] == "request-1"
    assert answered[APPLICATION_PROPERTIES]["statusCode"] == status
    assert answered[APPLICATION_PROPERTIES]["errorCondition"] == condition


@pytest.mark.parametrize("noise", [b"POST / HTTP/1.1\r\n\r\n", b"\xff" * 64, b"\0\0\0\x10\2\0\0\0" + b"\x99" * 8])
async def test_another_protocol_is_closed_and_the_broker_goes_on(broker: BrokerProcess, noise: bytes) -> None:
    noisy = Peer(*await asyncio.open_connection("127.0.0.1", broker.port))
    noisy.writer.write(noise)
    closed = await noisy.expect(Close)
    assert field(closed.error, 0) == "amqp:connection:framing-error"
    assert await noisy.is_closed()
    noisy.writer.close()
    (await Peer.connect(broker.port, Open("after"))).writer.close()


async def test_a_close_is_answered_and_ends_the_connection(peer: Peer) -> None:
    peer.send(Close())
    assert (await peer.expect(Close)).error is None
    assert await peer.is_closed()


async def test_a_client_that_gives_up_on_silence_gets_heartbeats(broker: BrokerProcess) -> None:
    peer = await Peer.connect(broker.port, Open("test", idle_timeout=100))
    assert [await peer.frame() for _ in range(2)] == [(None, b"")] * 2
    peer.writer.close()


async def test_what_cannot_be_kept_is_not_acknowledged_and_ends_the_broker(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    broker = Broker([QueueSettings("q")], store)
    connections: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(broker, connections, Grants(None)), "127.0.0.1", 0)
    begin = Begin(incoming_window=LARGE, outgoing_window=LARGE)
    peer = await Peer.connect(server.sockets[0].getsockname()[1], Open("test"), begin)
    await peer.attach("q", receiver=False, handle=9)
    await peer.expect(Flow)
    store.close()
    peer.send(Transfer(9, 0, b"0"), encode_section(VALUE, "a"))
    with pytest.raises(sqlite3.ProgrammingError):
        await asyncio.wait_for(broker.failed, LONGEST_WAIT)
    for connection in list(connections):
        connection.abort()
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await peer.frame()
    peer.writer.close()
    server.close()
    await server.wait_closed()
    broker.close()


async def test_a_port_in_use_is_said_in_words(broker: BrokerProcess, tmp_path: Path) -> None:
    config = write_config(tmp_path / "Config.json", {"q": {}})
    command = ["-m", "localcloud", "servicebus", "--data", str(tmp_path / "d"), "--config", str(config)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, "--port", str(broker.port), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await asyncio.wait_for(process.communicate(), LONGEST_WAIT)
    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{broker.port}" in errors.decode()
    assert "Traceback" not in errors.decode()
