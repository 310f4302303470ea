"""The webhook to which Event Grid delivers: `/runtime/webhooks/eventgrid?functionName=NAME&code=KEY`.

Answers as the extension of the real host does, with both event schemas and both handshakes.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from localcloud.functions.definition import FunctionDefinition
from localcloud.functions.http_trigger import presented_key
from localcloud.functions.invocation import Invoker
from localcloud.functions.keys import EVENT_GRID_KEY, Keys
from localcloud.functions.runtime import Datum, InvocationResult, json_value

PATH = "/runtime/webhooks/eventgrid"

_ORIGINS = ("eventgrid.azure.net", "eventgrid.azure.us", "eventgrid.azure.cn")


class EventGridWebhook:
    """Hands events to the functions with an Event Grid trigger."""

    def __init__(self, functions: Mapping[str, FunctionDefinition], keys: Keys | None, invoker: Invoker) -> None:
        """`functions` by their names in lower case; `keys` None means that no key is required."""
        self._functions = functions
        self._keys = keys
        self._invoker = invoker

    async def handle(self, request: web.Request) -> web.Response:
        """202 when every event was handled, 500 if one of them failed, so that all are delivered again."""
        if self._keys is not None and not self._keys.allow_system(presented_key(request), EVENT_GRID_KEY):
            return web.Response(status=401)
        name = request.query.get("functionName", "")
        definition = self._functions.get(name.lower())
        if definition is None or definition.disabled:
            return web.Response(status=404, text=f"cannot find function: '{name}'")
        if request.method == "OPTIONS":
            origin = request.headers.get("WebHook-Request-Origin", "")
            return web.Response(headers={"Webhook-Allowed-Origin": origin if origin in _ORIGINS else _ORIGINS[0]})
        event_type = request.headers.get("aeg-event-type", "").lower()
        if event_type == "unsubscribe":
            return web.Response(status=202)
        if event_type not in ("subscriptionvalidation", "notification"):
            return web.Response(status=400)
        try:
            content = json.loads(await request.read())
        except (ValueError, RecursionError) as error:
            return web.Response(status=400, text=f"The body is not valid JSON: {error}")
        if event_type == "subscriptionvalidation":
            return _validation(content)
        return await self._notify(definition, content)

    async def _notify(self, definition: FunctionDefinition, content: Any) -> web.Response:
        events = content if isinstance(content, list) else [content]
        if not all(isinstance(event, dict) for event in events):
            return web.Response(status=400, text="An event must be a JSON object.")
        if len(events) == 1:
            results = [await self._invoke(definition, events[0])]
        else:
            results = await asyncio.gather(*(self._invoke(definition, event) for event in events))
        failed = next((result for result in results if not result.succeeded), None)
        return web.Response(status=202) if failed is None else web.Response(status=500, text=failed.error)

    async def _invoke(self, definition: FunctionDefinition, event: Mapping[str, Any]) -> InvocationResult:
        return await self._invoker.invoke(definition, json_value(event), event_metadata(event))


def event_metadata(event: Mapping[str, Any]) -> dict[str, Datum]:
    """The trigger metadata of an event: its data, if it has any."""
    data = event.get("data")
    return {} if data is None else {"data": json_value(data)}


def _validation(content: Any) -> web.Response:
    try:
        data = content[0]["data"] if isinstance(content, list) else content["data"]
        code = (json.loads(data) if isinstance(data, str) else data)["validationCode"]
    except (KeyError, IndexError, TypeError, ValueError, RecursionError):
        return web.Response(status=400, text="The validation event holds no data.validationCode.")
    return web.Response(text=json.dumps({"validationResponse": code}))
