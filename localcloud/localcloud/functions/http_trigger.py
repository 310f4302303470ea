"""HTTP triggers: a request becomes what the function gets."""

import logging
import os

from aiohttp import web

from localcloud.functions.definition import FunctionDefinition
from localcloud.functions.http_response import InvalidResponseError, response_of
from localcloud.functions.http_streams import HttpStreams
from localcloud.functions.invocation import Invoker
from localcloud.functions.keys import Keys
from localcloud.functions.routes import Router
from localcloud.functions.runtime import http_request

_logger = logging.getLogger("host.http")

_NO_HOME_PAGE = "AzureWebJobsDisableHomepage"


class HttpTriggers:
    """Serves every HTTP function of the app."""

    def __init__(self, router: Router, keys: Keys | None, invoker: Invoker, streams: HttpStreams | None) -> None:
        """`keys` None means that no key is required; `streams` are for an app with its own web server."""
        self._router = router
        self._keys = keys
        self._invoker = invoker
        self._streams = streams

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """404 without a route for path and method, 401 without the key, 500 when the function fails."""
        found = self._router.find(request.method, request.rel_url.raw_path)
        if found is None:
            return _home_page() if request.path == "/" else web.Response(status=404)
        definition, route_parameters = found
        if definition.disabled and not (self._keys is not None and self._keys.allow_admin(presented_key(request))):
            return web.Response(status=404)
        if not self._allowed(request, definition):
            return web.Response(status=401)
        if self._streams is not None:
            return await self._streams.handle(definition, route_parameters, request)
        trigger = http_request(
            request.method,
            f"{request.scheme}://{request.host}{request.rel_url.raw_path_qs}",
            _headers(request),
            _query(request),
            route_parameters,
            await request.read(),
        )
        result = await self._invoker.invoke(definition, trigger)
        if not result.succeeded:
            return web.Response(status=500)
        output = next((name for name, binding in definition.outputs.items() if binding.type == "http"), "$return")
        returned = result.returned if output == "$return" else dict(result.outputs).get(output)
        try:
            return response_of(returned)
        except InvalidResponseError as error:
            _logger.error("'%s' returned a response that cannot be sent: %s.", definition.name, error)
            return web.Response(status=500)

    def _allowed(self, request: web.Request, definition: FunctionDefinition) -> bool:
        level = str(definition.trigger.properties.get("authLevel", "FUNCTION")).upper()
        if self._keys is None or level == "ANONYMOUS":
            return True
        key = presented_key(request)
        return self._keys.allow_admin(key) if level == "ADMIN" else self._keys.allow_function(key)


def presented_key(request: web.Request) -> str:
    """The key in the header `x-functions-key`, else in the query's `code`."""
    header = request.headers.get("x-functions-key")
    return header if header is not None else request.query.get("code", "")


def _home_page() -> web.Response:
    """The real host has such a page too. It shows that the host is running."""
    if os.environ.get(_NO_HOME_PAGE, "").lower() == "true":
        return web.Response(status=204)
    page = "<!DOCTYPE html><title>Functions</title><p>This function app is up and running, on the local host."
    return web.Response(text=page, content_type="text/html")


def _headers(request: web.Request) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        name = name.lower()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _query(request: web.Request) -> dict[str, str]:
    """Parameters without a value never reach Python; repeated ones arrive joined by commas."""
    joined: dict[str, str] = {}
    for name, value in request.query.items():
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return {name: value for name, value in joined.items() if value}
