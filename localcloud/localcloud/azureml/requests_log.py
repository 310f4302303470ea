"""The log of the calls made so far, at `/local/requests`. Benchmarks use it to count calls."""

import json
import re
import time
from collections import deque

from aiohttp import web
from aiohttp.typedefs import Handler

from localcloud.azureml.rights import CALLER
from localcloud.azureml.storage import REGISTRY_CONTAINER
from localcloud.azureml.wire import Json

KEPT = 100_000  # calls; older ones are forgotten
_ARM_PREFIX = re.compile(r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/[^/]+", re.IGNORECASE)
_DATA_PLANES = {
    "/blob/": "/blob/*",
    "/scoring/": "/scoring/*/*/score",
    "/batch/": "/batch/*/*/jobs",
    "/assetstore/v1.0/operations/": "/assetstore/v1.0/operations/*",
    "/registrymanagement/v1.0/registries/": "/registrymanagement/v1.0/registries/*/discovery",
}
_NAME = re.compile(r"(?<=/)(?P<collection>[A-Za-z]+)/[^/]+")


class RequestsLog:
    """Records method, path, status, identity, time and duration of each call, until the next restart."""

    def __init__(self) -> None:
        self._calls: deque[Json] = deque(maxlen=KEPT)

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/local/requests", self._list), web.delete("/local/requests", self._clear)]

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/local/"):
            return await handler(request)
        call: Json = {
            "time": time.time(),
            "method": request.method,
            "path": _ARM_PREFIX.sub("", request.path),
            "operation": normalised(request.path),
            "status": 0,  # it stays 0 if the caller hangs up
            "seconds": 0.0,
            "identity": None,
        }
        self._calls.append(call)
        response = await handler(request)
        call["status"], call["seconds"] = response.status, time.time() - call["time"]
        if CALLER in request:
            call["identity"] = request[CALLER].client_id
        return response

    async def _list(self, request: web.Request) -> web.Response:
        """All calls, or with `?since=<seconds since the epoch>` those after that."""
        since = asked_since(request)
        return web.json_response({"value": [call for call in self._calls if call["time"] > since]})

    async def _clear(self, _: web.Request) -> web.Response:
        self._calls.clear()
        return web.Response(status=204)


def asked_since(request: web.Request) -> float:
    """The seconds since the epoch in `?since=`, 0 without it; 400 for anything but a number."""
    try:
        return float(request.query.get("since", 0))
    except ValueError:
        body = json.dumps({"error": {"code": "BadRequest", "message": "since must be a number"}})
        raise web.HTTPBadRequest(text=body, content_type="application/json") from None


def normalised(path: str) -> str:
    """The path with every name replaced by `*`: `/workspaces/*/models/*/versions/*`."""
    short = _ARM_PREFIX.sub("", path)
    if re.match(f"/{REGISTRY_CONTAINER}", short):
        return "/blob/*"
    for data_plane, shown in _DATA_PLANES.items():
        if short.startswith(data_plane):
            return shown
    prefix, marker, rest = short.rpartition("/managementfrontend")
    return prefix + marker + _NAME.sub(r"\g<collection>/*", rest)
