"""What a caller may do with a workspace or a registry, as `Microsoft.Authorization/permissions` lists it."""

from aiohttp import web

from localcloud.azureml.rights import CALLER, Rights
from localcloud.azureml.scopes import ARM_REGISTRY, WORKSPACE, Scopes


class Permissions:
    """Routes of the permissions below each scope."""

    def __init__(self, scopes: Scopes, rights: Rights) -> None:
        self._scopes = scopes
        self._rights = rights

    def routes(self) -> list[web.RouteDef]:
        below = "/providers/{_authorization:(?i:Microsoft\\.Authorization)}/permissions"
        return [web.get(scope + below, self._list) for scope in (WORKSPACE, ARM_REGISTRY)]

    async def _list(self, request: web.Request) -> web.Response:
        """One entry for each role that the caller has there."""
        scope = self._scopes.requested(request)
        return web.json_response({"value": self._rights.permissions(request[CALLER], scope)})
