"""The managed identity endpoint of App Service and Functions, api-version 2019-08-01."""

from aiohttp import web

from localcloud.http_server import is_secret
from localcloud.identity.configuration import Identity, IdentityConfiguration
from localcloud.identity.tokens import issue_token

_API_VERSIONS = ("2019-08-01",)


class IdentityServer:
    """Answers requests for tokens of the configured identities."""

    def __init__(self, configuration: IdentityConfiguration, key: bytes) -> None:
        self._configuration = configuration
        self._by_client_id = {identity.client_id.lower(): identity for identity in configuration.identities}
        self._by_principal = {identity.principal_id.lower(): identity for identity in configuration.identities}
        self._by_resource = {identity.resource_id.lower(): identity for identity in configuration.identities}
        self._key = key

    def application(self) -> web.Application:
        """The routes: `GET /msi/token` is the value of IDENTITY_ENDPOINT, `GET /health` tells that the part runs."""
        application = web.Application()
        application.add_routes([web.get("/msi/token", self._token), web.get("/health", self._health)])
        return application

    async def _token(self, request: web.Request) -> web.Response:
        header = request.headers.get("X-IDENTITY-HEADER", "")
        if not is_secret(header, self._configuration.header):
            return _error(401, "The header X-IDENTITY-HEADER is missing or is not the value of IDENTITY_HEADER.")
        if request.query.get("api-version") not in _API_VERSIONS:
            return _error(400, f"The query needs api-version={' or '.join(_API_VERSIONS)}.")
        resource = request.query.get("resource", "")
        if not resource:
            return _error(400, "The query needs a resource, as https://management.azure.com.")
        identity = self._asked_for(request)
        if identity is None:
            return _error(
                400,
                "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.",
            )
        token = issue_token(identity, resource, self._key)
        return web.json_response(
            {
                "access_token": token.text,
                "client_id": identity.client_id,
                "expires_on": str(token.expires_on),
                "resource": resource,
                "token_type": "Bearer",
            }
        )

    def _asked_for(self, request: web.Request) -> Identity | None:
        if client_id := request.query.get("client_id"):
            return self._by_client_id.get(client_id.lower())
        if principal_id := request.query.get("principal_id") or request.query.get("object_id"):
            return self._by_principal.get(principal_id.lower())
        # The first is what App Service documents and the SDK sends, the second what the SDK's async credential sends.
        if resource_id := request.query.get("mi_res_id") or request.query.get("resource_id"):
            return self._by_resource.get(resource_id.lower())
        return self._configuration.system_assigned

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "healthy"})


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"statusCode": status, "message": message}, status=status)
