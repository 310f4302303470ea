"""Posts notifications to a webhook as Event Grid does: one event per request, many requests in flight.

Reads `{"url", "connections", "bodies"}` from the named file, and prints the seconds that it took.
"""

import asyncio
import json
import sys
import time
from collections import deque
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

#: Seconds after which a delivery fails, as in Event Grid.
TIMEOUT = 30.0


class Poster(asyncio.Protocol):
    """One connection, which sends the next request as soon as the previous one is answered. Uses plain sockets, because
    a client library would need more processor time than what is measured."""

    def __init__(self, requests: deque[bytes], ended: "asyncio.Future[None]") -> None:
        self._requests = requests
        self._ended = ended
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._post()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if b"\r\n\r\n" not in self._answer:
            return
        if not self._answer.startswith(b"HTTP/1.1 202 "):
            self._end(RuntimeError(f"the answer to a notification was {self._answer[:500]!r}"))
            return
        self._answer = b""
        self._post()

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error or ConnectionError("the webhook closed a connection"))

    def _post(self) -> None:
        if self._requests:
            self._transport.write(self._requests.popleft())
        else:
            self._end(None)

    def _end(self, error: Exception | None) -> None:
        if not self._ended.done():
            if error is None:
                self._ended.set_result(None)
            else:
                self._ended.set_exception(error)
            self._transport.close()


async def post_all(url: str, bodies: list[str], connections: int) -> float:
    """The seconds from the first request to the last answer. Raises if an answer is not 202."""
    address = urlsplit(url)
    requests = deque(_request(address.netloc, f"{address.path}?{address.query}", body.encode()) for body in bodies)
    loop = asyncio.get_running_loop()
    ends = [loop.create_future() for _ in range(connections)]
    began = time.perf_counter()
    for end in ends:
        await loop.create_connection(partial(Poster, requests, end), address.hostname or "", address.port or 80)
    async with asyncio.timeout(TIMEOUT + len(bodies) / 100):
        await asyncio.gather(*ends)
    return time.perf_counter() - began


def _request(host: str, path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json; charset=utf-8\r\n"
        f"aeg-event-type: Notification\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main(file: Path) -> None:
    asked = json.loads(file.read_text())
    seconds = asyncio.run(post_all(asked["url"], asked["bodies"], asked["connections"]))
    sys.stdout.write(json.dumps(seconds) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
