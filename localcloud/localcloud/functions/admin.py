"""The admin API, as far as it makes sense without a portal: functions, host status, and running a function by hand."""

import asyncio
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from localcloud.functions.definition import FunctionDefinition
from localcloud.functions.event_grid_webhook import event_metadata
from localcloud.functions.http_streams import HttpStreams
from localcloud.functions.http_trigger import presented_key
from localcloud.functions.invocation import Invoker
from localcloud.functions.keys import Keys
from localcloud.functions.routes import Router
from localcloud.functions.runtime import http_request, json_text, json_value, string
from localcloud.functions.service_bus_metadata import hand_made_message
from localcloud.functions.timers import timer_info

VERSION = "4.0.0.0"

_KEYS_PATH = re.compile(r"/admin/host/(?P<scope>keys|functionkeys|systemkeys)(/(?P<name>[^/]+))?")


@dataclass(frozen=True)
class Indexed:
    """What the host found in the app."""

    functions: Mapping[str, FunctionDefinition]  #: by their names in lower case
    errors: Sequence[str]  #: of those not served


class Admin:
    """Serves what lies below `/admin`."""

    def __init__(
        self,
        indexed: Indexed,
        router: Router,
        keys: Keys | None,
        invoker: Invoker,
        streams: HttpStreams | None,
    ) -> None:
        """`keys` None to ask for none; `streams` for an app with a web server of its own."""
        self._functions = indexed.functions
        self._router = router
        self._errors = indexed.errors
        self._keys = keys
        self._invoker = invoker
        self._streams = streams
        self._started = time.monotonic()
        self._running: set[asyncio.Task[Any]] = set()

    async def handle(self, request: web.Request) -> web.Response:
        """Needs the master key for everything but the ping."""
        path = request.path.lower().rstrip("/")
        if path == "/admin/host/ping":
            return web.Response()
        if self._keys is not None and not self._keys.allow_admin(presented_key(request)):
            return web.Response(status=401)
        if path == "/admin/host/status" and request.method == "GET":
            return web.json_response(self._status())
        if path == "/admin/functions" and request.method == "GET":
            return web.json_response([self._described(one, request) for one in self._functions.values()])
        head, _, name = path.rpartition("/")
        if head == "/admin/functions" and request.method == "POST":
            return self._run(name, await request.read())
        if head == "/admin/functions" and request.method == "GET" and name in self._functions:
            return web.json_response(self._described(self._functions[name], request))
        if request.method == "GET" and (found := self._keys_at(path)) is not None:
            return web.json_response(found)
        return web.Response(status=404)

    def _keys_at(self, path: str) -> dict[str, Any] | None:
        """The access keys, or the one key, that the path names; None if there are no such keys."""
        if self._keys is None or not (asked := _KEYS_PATH.fullmatch(path)):
            return None
        keys = self._keys.system if asked["scope"] == "systemkeys" else {"default": self._keys.default}
        if not asked["name"]:
            return {"keys": [{"name": name, "value": value} for name, value in keys.items()], "links": []}
        if asked["scope"] == "systemkeys":
            keys = {**keys, "_master": self._keys.master}
        value = keys.get(asked["name"])
        return None if value is None else {"name": asked["name"], "value": value, "links": []}

    def _status(self) -> dict[str, Any]:
        return {
            "id": "localhost",
            "state": "Running",
            "version": VERSION,
            "processUptime": int((time.monotonic() - self._started) * 1000),
            "functionAppContentEditingState": "NotAllowed",
            **({"errors": list(self._errors)} if self._errors else {}),
        }

    def _run(self, name: str, body: bytes) -> web.Response:
        """Starts the function with the input as its trigger's value and does not wait for it."""
        try:
            content = json.loads(body)
            value = content.get("input", "")
        except (ValueError, AttributeError, RecursionError):
            return web.Response(status=400, text='The body must be JSON of the form {"input": "text"}.')
        definition = self._functions.get(name)
        if definition is None:
            return web.Response(status=404)
        text = value if isinstance(value, str) else json.dumps(value)
        try:
            start = self._invocation(definition, text)
        except (ValueError, RecursionError) as error:
            return web.Response(status=400, text=f"The input of '{definition.name}' must be a JSON object: {error}")
        task = asyncio.ensure_future(start)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return web.Response(status=202)

    def _invocation(self, definition: FunctionDefinition, text: str) -> Any:
        match definition.trigger.type:
            case "timerTrigger":
                return self._invoker.invoke_with_retries(definition, timer_info(None, past_due=False))
            case "eventGridTrigger":
                event = json.loads(text)
                if not isinstance(event, dict):
                    raise ValueError("it is none")
                return self._invoker.invoke(definition, json_text(text), event_metadata(event))
            case "serviceBusTrigger":
                return self._invoker.invoke(definition, *hand_made_message(definition, text))
            case "httpTrigger" if self._streams is not None:
                return self._streams.run(definition, text)
            case "httpTrigger":
                url = f"http://localhost/api/{definition.name}"
                return self._invoker.invoke(definition, http_request("POST", url, {}, {}, {}, text.encode()))
            case _:
                return self._invoker.invoke(definition, string(text), {"data": json_value(text)})

    def _described(self, definition: FunctionDefinition, request: web.Request) -> dict[str, Any]:
        bindings = [definition.trigger, *definition.outputs.values()]
        address = f"{request.scheme}://{request.host}"
        is_http = definition.trigger.type == "httpTrigger"
        return {
            "name": definition.name,
            "href": f"{address}/admin/functions/{definition.name}",
            "invoke_url_template": f"{address}{self._router.path(definition)}" if is_http else None,
            "language": "python",
            "isDisabled": definition.disabled,
            "config": {"bindings": [dict(binding.properties) for binding in bindings]},
        }
