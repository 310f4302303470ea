"""Garbage on the wire: every part refuses it, logs no traceback of it, and serves on."""

import asyncio
import contextlib
import gzip
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from localcloud.servicebus.amqp_types import Described, ULong
from localcloud.servicebus.encoding import encode
from localcloud.servicebus.performatives import AMQP_HEADER, Begin, Open, encode_frame
from localcloud.up import LocalCloud
from tests.up.test_app import description

PATIENCE = 1.0

pytestmark = pytest.mark.asyncio(loop_scope="module")

LINES = [
    b"GARBAGE\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /%ff%00%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 100_000 + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x00" * 64,
    b"AMQP\x00\x01\x00\x00\xff\xff\xff\xff",
]
DEEP = b"[" * 5000 + b"]" * 5000
BODIES: dict[str, tuple[bytes, dict[str, str]]] = {
    "nothing": (b"", {}),
    "deep": (DEEP, {}),
    "deep object": (b'{"a":' * 5000 + b"1" + b"}" * 5000, {}),
    "no UTF-8": (b'{"a": "\xff\xfe"}', {}),
    "unknown charset": (b"{}", {"Content-Type": "application/json; charset=nonsense"}),
    "no gzip": (b"{}", {"Content-Encoding": "gzip"}),
    "cut gzip": (gzip.compress(b"{}" * 100)[:20], {"Content-Encoding": "gzip"}),
    "numbers": (b"[1, 2, NaN]", {}),
    "a lone surrogate": (b'[{"id": "\\ud800", "subject": "\\ud800"}]', {}),
    "huge number": (b"[" + b"9" * 5000 + b"]", {}),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalCloud]:
    folder = tmp_path_factory.mktemp("garbage")
    async with LocalCloud(description(folder), folder / "data") as one:
        yield one


def tracebacks(cloud: LocalCloud) -> dict[str, str]:
    """The end of each log that has one."""
    logs = {log.name: log.read_text(errors="replace") for log in (cloud.layout.data / "logs").iterdir()}
    return {name: text[text.index("Traceback") :][:3000] for name, text in logs.items() if "Traceback" in text}


async def say(port: int, *words: bytes, context: ssl.SSLContext | None = None) -> None:
    """Sends the bytes and reads until the part has answered and closed, or waits for more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        for word in words:
            writer.write(word)
        writer.write_eof() if writer.can_write_eof() else None
        async with asyncio.timeout(PATIENCE):
            while await reader.read(65536):
                pass
    except (ConnectionError, ssl.SSLError, TimeoutError):
        pass  # it had enough, or wants more
    finally:
        writer.close()


async def test_bytes_that_are_no_request_are_no_fault_of_the_part(cloud: LocalCloud) -> None:
    ports = cloud.layout.ports
    trusting = ssl.create_default_context(cafile=str(cloud.layout.ca_file))
    trusting.check_hostname = False
    for words in LINES:
        for port in (ports.identity, ports.eventgrid, ports.functions, ports.azureml, ports.servicebus):
            await say(port, words)
        await say(ports.azureml, words, context=trusting)
    assert tracebacks(cloud) == {}


def routes(cloud: LocalCloud, token: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    layout = cloud.layout
    bearer = {"Authorization": f"Bearer {token}"}
    workspace = layout.azureml_url + layout.workspace_ids["dev"]
    yield "POST", layout.topics["dev"], {"aeg-sas-key": layout.secrets.topic_keys["dev"]}
    yield "POST", layout.webhook, {"aeg-event-type": "Notification"}
    yield "POST", layout.webhook, {"aeg-event-type": "SubscriptionValidation"}
    yield "POST", f"{layout.functions_url}/admin/functions/intake", {"x-functions-key": layout.secrets.master_key}
    yield "POST", layout.identity_endpoint, {}
    for path in ("models/iris/versions/1", "jobs/j", "onlineEndpoints/e", "onlineEndpoints/e/deployments/d"):
        yield "PUT", f"{workspace}/{path}", bearer
    yield "POST", f"{layout.azureml_url}/mlflow/v1.0{layout.workspace_ids['dev']}/api/2.0/mlflow/runs/create", bearer
    yield "POST", f"{layout.azureml_url}/local/faults", bearer
    yield "GET", workspace, {"Authorization": "Bearer a.b.c"}


async def test_bodies_that_cannot_be_read_are_refused(cloud: LocalCloud) -> None:
    layout = cloud.layout
    trust = ssl.create_default_context(cafile=str(layout.ca_file))
    refused: dict[str, int] = {}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        query = {"api-version": "2019-08-01", "resource": "https://management.azure.com"}
        query["client_id"] = layout.client_ids["dev"]
        identity = {"X-IDENTITY-HEADER": layout.secrets.identity_header}
        async with session.get(layout.identity_endpoint, params=query, headers=identity) as answer:
            token = (await answer.json())["access_token"]
        for method, url, headers in routes(cloud, token):
            for name, (body, more) in BODIES.items():
                # Sent as they are: the client must not compress or check them.
                every = {"Content-Type": "application/json", **headers, **more}
                # Some are refused before they were sent as a whole.
                with contextlib.suppress(aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                    async with session.request(method, url, data=iterated(body), headers=every, ssl=trust) as answer:
                        if answer.status >= 500:
                            refused[f"{method} {url.partition('?')[0]}: {name}"] = answer.status
    assert tracebacks(cloud) == {}
    assert refused == {}


async def iterated(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def test_performatives_with_fields_of_other_types_close_their_connection_only(cloud: LocalCloud) -> None:
    opening = AMQP_HEADER + encode_frame(0, Open("garbage"))
    opening += encode_frame(0, Begin(next_outgoing_id=0, incoming_window=100, outgoing_window=100))
    odd: list[Any] = [-1, 2**40, "text", [], {}, True, b"", Described(ULong(1), []), None]
    for code, fields in (
        (0x10, ["id", "host", 1, 1, 1]),
        (0x11, [None, 0, 1, 1, 1]),
        (0x12, ["link", 0, True, 0, 0, Described(ULong(0x28), ["q"]), Described(ULong(0x29), ["q"]), {}, False, 0, 1]),
        (0x13, [0, 1, 0, 1, 0, 0, 1, 0, False, False]),
        (0x14, [0, 0, b"tag", 0, False, False, 0, None, False, False, False]),
        (0x15, [True, 0, 0, False, Described(ULong(0x24), [])]),
        (0x16, [0, True]),
    ):
        for position in range(len(fields)):
            for value in odd:
                changed = [*fields[:position], value, *fields[position + 1 :]]
                body = bytes(encode(Described(ULong(code), changed)))
                frame = (len(body) + 8).to_bytes(4, "big") + b"\x02\x00\x00\x00" + body
                await say(cloud.layout.ports.servicebus, opening, frame)
    assert tracebacks(cloud) == {}
    assert cloud.addresses["pids"]["servicebus"]


async def test_all_parts_serve_on(cloud: LocalCloud) -> None:
    assert set(cloud.addresses["pids"]) == {"identity", "servicebus", "eventgrid", "azureml", "functions"}
