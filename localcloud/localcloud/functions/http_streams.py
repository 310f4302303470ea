"""HTTP triggers of apps with their own web server: requests are forwarded to that server, as by the real host.

Bodies pass through as streams in both directions. What the function gets and gives is the server's to make.
"""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from localcloud.functions.definition import FunctionDefinition
from localcloud.functions.invocation import Invoker
from localcloud.functions.web_server import INVOCATION_HEADER

_logger = logging.getLogger("host.http")

#: Headers that apply to one connection and are not forwarded (RFC 9110, 7.6.1).
_OF_THE_CONNECTION = (
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
)
#: Headers that aiohttp would add to a request that has none.
_NOT_ADDED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")

#: Seconds in which the server answers for a function that has failed.
_LONGEST_ANSWER = 5.0


class HttpStreams:
    """Forwards requests to the app's own web server."""

    def __init__(self, web_server: str, invoker: Invoker) -> None:
        """`web_server` is the server's address."""
        self._web_server = web_server
        self._invoker = invoker
        self._client: aiohttp.ClientSession | None = None

    async def handle(
        self, definition: FunctionDefinition, route: Mapping[str, str], request: web.Request
    ) -> web.StreamResponse:
        """The response of the app's server; 500 if the function ends without one."""
        headers = _without_connection(request.headers)
        body = request.content if request.can_read_body else None
        try:
            async with self._answer(
                definition, route, request.method, request.rel_url.raw_path_qs, headers, body
            ) as answer:
                response = web.StreamResponse(status=answer.status, headers=_without_connection(answer.headers))
                await response.prepare(request)
                async for part in answer.content.iter_any():
                    await response.write(part)
                await response.write_eof()
                return response
        except (aiohttp.ClientError, TimeoutError) as error:
            _logger.error("'%s' gave no response: %r", definition.name, error)
            return web.Response(status=500)

    async def run(self, definition: FunctionDefinition, text: str) -> None:
        """Runs the function by hand, with the text as the request's body."""
        path = f"/api/{definition.name}"
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):  # a failed invocation is in the log
            async with self._answer(definition, {}, "POST", path, CIMultiDict(), text.encode()):
                pass

    async def close(self) -> None:
        """Ends the connections to the server."""
        if self._client is not None:
            await self._client.close()

    @contextlib.asynccontextmanager
    async def _answer(
        self,
        definition: FunctionDefinition,
        route: Mapping[str, str],
        method: str,
        path: str,
        headers: "CIMultiDict[str]",
        body: Any,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The beginning of the server's response; raises `aiohttp.ClientError` or `TimeoutError` if there is none."""
        invocation_id = str(uuid.uuid4())
        headers[INVOCATION_HEADER] = invocation_id
        request = self._connected().request(
            method,
            self._web_server + path,
            headers=headers,
            data=body,
            allow_redirects=False,
            skip_auto_headers=_NOT_ADDED,
        )
        invocation = asyncio.ensure_future(self._invoker.invoke_streaming(definition, route, invocation_id))
        answer = asyncio.ensure_future(request)
        try:
            await asyncio.wait((invocation, answer), return_when=asyncio.FIRST_COMPLETED)
            # A function that fails leaves the response to the server, which has its own HTTP errors.
            failed = invocation.done() and not invocation.result().succeeded
            async with asyncio.timeout(_LONGEST_ANSWER if failed else None), await answer as response:
                yield response
        finally:
            answer.cancel()
            if answer.done() and not answer.cancelled() and answer.exception() is not None:
                invocation.cancel()  # the request never arrived, or its response never came

    def _connected(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                auto_decompress=False,
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._client


def _without_connection(headers: Mapping[str, str]) -> "CIMultiDict[str]":
    passed_on = CIMultiDict(headers)
    for name in _OF_THE_CONNECTION:
        passed_on.popall(name, None)
    return passed_on
