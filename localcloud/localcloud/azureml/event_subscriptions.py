"""Subscriptions to a workspace's events, as `Microsoft.EventGrid/eventSubscriptions` lists them below the workspace."""

from aiohttp import web

from localcloud.azureml.configuration import EventSubscriptionSettings, Settings
from localcloud.azureml.scopes import WORKSPACE, Scope, Scopes
from localcloud.azureml.wire import Json

_TYPE = "Microsoft.EventGrid/eventSubscriptions"


class EventSubscriptions:
    """Lists what the configuration says. Event Grid itself is another part."""

    def __init__(self, settings: Settings, scopes: Scopes) -> None:
        self._scopes = scopes
        self._by_workspace = {one.id.lower(): one.event_subscriptions for one in settings.workspaces}

    def routes(self) -> list[web.RouteDef]:
        below = "/providers/{_eventgrid:(?i:Microsoft\\.EventGrid)}/eventSubscriptions"
        return [web.get(WORKSPACE + below, self._list)]

    async def _list(self, request: web.Request) -> web.Response:
        workspace = self._scopes.requested(request)
        found = self._by_workspace.get(workspace.path.lower(), ())
        return web.json_response({"value": [_shown(workspace, each) for each in found]})


def _shown(workspace: Scope, subscription: EventSubscriptionSettings) -> Json:
    """The webhook without its query, which has the key, as Azure shows it."""
    webhook = {"endpointUrl": None, "endpointBaseUrl": subscription.endpoint.partition("?")[0]}
    return {
        "id": f"{workspace.path}/providers/{_TYPE}/{subscription.name}",
        "name": subscription.name,
        "type": _TYPE,
        "properties": {
            "topic": workspace.path,
            "provisioningState": "Succeeded",
            "destination": {"endpointType": "WebHook", "properties": webhook},
            "filter": {"includedEventTypes": list(subscription.included_event_types) or None},
        },
    }
