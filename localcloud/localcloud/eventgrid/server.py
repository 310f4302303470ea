"""The HTTP side of Event Grid: publishing to a topic, the manual handshake and the state of the subscriptions."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from aiohttp import web

from localcloud.eventgrid.configuration import Topic
from localcloud.eventgrid.delivery import SubscriptionDelivery
from localcloud.eventgrid.events import LARGEST_REQUEST, InvalidEventsError, read_events, refuse_others
from localcloud.eventgrid.shared_access import InvalidTokenError, check_token
from localcloud.eventgrid.store import DeliveryStore
from localcloud.http_server import is_secret, refuse_unreadable


class EventGridServer:
    """Accepts events for the topics and hands them to the subscriptions that want them."""

    def __init__(
        self, topics: Sequence[Topic], subscriptions: Sequence[SubscriptionDelivery], store: DeliveryStore
    ) -> None:
        self._topics = {topic.name: topic for topic in topics}
        self._subscriptions = {one.subscription.name: one for one in subscriptions}
        self._store = store

    def application(self) -> web.Application:
        """The routes: `POST /topics/NAME/api/events` is a topic's publish address, `GET /health` returns the state."""
        application = web.Application(middlewares=[refuse_unreadable], client_max_size=LARGEST_REQUEST)
        application.add_routes(
            [
                web.post("/topics/{name}/api/events", self._publish),
                web.get("/subscriptions/{name}/validate", self._validate),
                web.get("/health", self._health),
            ]
        )
        return application

    async def _publish(self, request: web.Request) -> web.Response:
        topic = self._topics.get(request.match_info["name"])
        if topic is None:
            return _error(404, "NotFound", f"There is no topic {request.match_info['name']!r}.")
        if refusal := _refusal(request, topic.key):
            return _error(401, "Unauthorized", refusal)
        try:
            events = read_events(request.content_type, await request.read(), topic.topic_of_events)
            if topic.source:
                refuse_others(events, topic.source)
        except web.HTTPRequestEntityTooLarge:
            return _error(413, "RequestEntityTooLarge", f"A request may have {LARGEST_REQUEST} bytes at most.")
        except InvalidEventsError as error:
            return _error(400, "BadRequest", str(error))
        subscriptions = [one for one in self._subscriptions.values() if one.subscription.topic == topic.name]
        wanted = [
            (one.subscription.name, event, one.subscription.event_time_to_live_minutes * 60)
            for one in subscriptions
            for event in events
            if one.wants(event)
        ]
        if wanted:
            self._store.add(wanted, time.time())
            for one in subscriptions:
                one.wake()
        return web.Response(status=200)

    async def _validate(self, request: web.Request) -> web.Response:
        one = self._subscriptions.get(request.match_info["name"])
        if one is None or not one.handshake.confirm(request.query.get("code", "")):
            return _error(404, "NotFound", "No subscription of this name is waiting for this validation code.")
        return web.Response(text="Webhook successfully validated as a subscription endpoint.")

    async def _health(self, _request: web.Request) -> web.Response:
        subscriptions = {
            name: {"validated": one.handshake.done, "waiting": self._store.waiting(name)}
            for name, one in self._subscriptions.items()
        }
        return web.json_response({"status": "healthy", "subscriptions": subscriptions})


def _refusal(request: web.Request, key: str) -> str | None:
    """Why the request may not publish; None if it may."""
    if "aeg-sas-token" in request.headers and "aeg-sas-key" not in request.headers:
        try:
            check_token(request.headers["aeg-sas-token"], key, request.path, datetime.now(UTC))
        except InvalidTokenError as error:
            return str(error)
        return None
    if not is_secret(request.headers.get("aeg-sas-key", ""), key):
        return "The header aeg-sas-key is missing or is not a key of this topic."
    return None


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
