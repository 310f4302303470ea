"""AMQP over WebSockets: through the unmodified SDK, and what a WebSocket's other clients may do."""

import asyncio
import os
from collections.abc import AsyncIterator

import aiohttp
import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, TransportType
from azure.servicebus.aio import ServiceBusClient as AsyncServiceBusClient

from localcloud.servicebus.web_socket import PATH, SUBPROTOCOL, WebSocket
from localcloud.testing.broker import LONGEST_WAIT, BrokerProcess

from .conftest import Bus, bodies, receive


def test_the_sdk_sends_and_receives_over_a_web_socket(broker: BrokerProcess, bus: Bus) -> None:
    queue, large = bus.queue("large"), "x" * 700_000
    client = ServiceBusClient.from_connection_string(
        broker.connection_string,
        transport_type=TransportType.AmqpOverWebsocket,
        custom_endpoint_address=f"sb://localhost:{broker.port}",
    )
    with client, client.get_queue_sender(queue) as sender, client.get_queue_receiver(queue) as receiver:
        sender.send_messages([ServiceBusMessage(text) for text in ("a", "b")])
        sender.send_messages(ServiceBusMessage(large))
        received = receive(receiver, 3)
        assert bodies(received) == ["a", "b", large]
        for message in received:
            receiver.complete_message(message)
        assert receiver.peek_messages(10, sequence_number=1) == []


# The SDK gives aiohttp an argument that is deprecated.
@pytest.mark.filterwarnings("ignore:ssl=None is deprecated:DeprecationWarning")
async def test_the_async_sdk_sends_and_receives_over_a_web_socket(broker: BrokerProcess, bus: Bus) -> None:
    queue = bus.queue("plain")
    client = AsyncServiceBusClient.from_connection_string(
        broker.connection_string,
        transport_type=TransportType.AmqpOverWebsocket,
        custom_endpoint_address=f"sb://localhost:{broker.port}",
    )
    async with client, client.get_queue_sender(queue) as sender, client.get_queue_receiver(queue) as receiver:
        await sender.send_messages(ServiceBusMessage("over the web"))
        [message] = await receiver.receive_messages(max_wait_time=LONGEST_WAIT)
        assert str(message) == "over the web"


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_ping_is_answered_and_a_close_too(broker: BrokerProcess, session: aiohttp.ClientSession) -> None:
    url = f"ws://localhost:{broker.port}{PATH}"
    async with session.ws_connect(url, protocols=[SUBPROTOCOL], autoping=False) as socket:
        assert socket.protocol == SUBPROTOCOL
        await socket.ping(b"are you there")
        pong = await socket.receive(LONGEST_WAIT)
        assert (pong.type, bytes(pong.data)) == (aiohttp.WSMsgType.PONG, b"are you there")
        await socket.close(code=1000)
        assert socket.close_code == 1000


async def test_text_is_no_amqp_and_ends_the_web_socket(broker: BrokerProcess, session: aiohttp.ClientSession) -> None:
    async with session.ws_connect(f"ws://localhost:{broker.port}{PATH}") as socket:
        await socket.send_str("hello")
        assert (await socket.receive(LONGEST_WAIT)).type is aiohttp.WSMsgType.CLOSE


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/", 404, f"Only AMQP is served here, plainly or over a WebSocket at {PATH}."),
        (PATH, 400, "for WebSockets only"),
    ],
)
async def test_a_plain_http_request_is_answered_with_what_is_here(
    broker: BrokerProcess, session: aiohttp.ClientSession, path: str, status: int, reason: str
) -> None:
    async with session.get(f"http://localhost:{broker.port}{path}") as response:
        assert response.status == status
        assert reason in await response.text()


async def test_an_endless_handshake_ends_the_connection(broker: BrokerProcess) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
    writer.write(b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000)
    assert b"431" in await asyncio.wait_for(reader.readline(), LONGEST_WAIT)
    writer.close()


def test_a_web_socket_may_arrive_byte_by_byte() -> None:
    mask, text = os.urandom(4), b"AMQP" * 50
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(text))
    handshake = f"GET {PATH} HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\n\r\n".encode()
    everything = handshake + bytes((0x82, 0x80 | 126)) + len(text).to_bytes(2, "big") + mask + masked
    socket = WebSocket()
    received = [socket.receive(bytes([byte])) for byte in everything]
    assert b"".join(one.payload for one in received) == text
    assert b"".join(one.answer for one in received).startswith(b"HTTP/1.1 101")


def test_a_frame_that_is_not_masked_ends_the_web_socket() -> None:
    socket = WebSocket()
    socket.receive(f"GET {PATH} HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\n\r\n".encode())
    assert socket.receive(b"\x82\x01a").ended
