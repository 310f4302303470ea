"""The managed identity endpoint of App Service and Functions, api-version 2019-08-01; and what an application needs to
verify the tokens for it: the tenant's OpenID configuration and signing keys, as Entra ID publishes them.
"""

from aiohttp import web

from localcloud.http_server import is_secret
from localcloud.identity.configuration import Identity, IdentityConfiguration
from localcloud.identity.signing_key import SigningKey
from localcloud.identity.tokens import TENANT, issue_app_token, issue_token, issuer

_API_VERSIONS = ("2019-08-01",)
_KEYS = f"/{TENANT}/discovery/v2.0/keys"


class IdentityServer:
    """Answers requests for tokens of the configured identities."""

    def __init__(
        self, configuration: IdentityConfiguration, key: bytes, signing_key: SigningKey | None, authority: str
    ) -> None:
        """`signing_key` None if there are no applications. `authority`: this server's address, as they know it."""
        self._configuration = configuration
        self._signing_key = signing_key
        self._authority = authority
        self._applications = {name: one for one in configuration.applications for name in one.resources}
        self._by_client_id = {identity.client_id.lower(): identity for identity in configuration.identities}
        self._by_principal = {identity.principal_id.lower(): identity for identity in configuration.identities}
        self._by_resource = {identity.resource_id.lower(): identity for identity in configuration.identities}
        self._key = key

    def application(self) -> web.Application:
        """The routes: `GET /msi/token` is the value of IDENTITY_ENDPOINT, `GET /health` says that the part runs."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/msi/token", self._token),
                web.get("/health", self._health),
                web.get(f"/{TENANT}/v2.0/.well-known/openid-configuration", self._openid_configuration),
                web.get(_KEYS, self._keys),
            ]
        )
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
        application = self._applications.get(resource.lower())
        if application is None and resource.lower().startswith("api://"):
            return _error(400, f"AADSTS500011: The resource principal named {resource} was not found in the tenant.")
        if application and self._signing_key:
            token = issue_app_token(identity, application, self._authority, self._signing_key)
        else:
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

    async def _openid_configuration(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": issuer(self._authority),
                "jwks_uri": f"{self._authority}{_KEYS}",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def _keys(self, _request: web.Request) -> web.Response:
        return web.json_response({"keys": [self._signing_key.published()] if self._signing_key else []})

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "healthy"})


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"statusCode": status, "message": message}, status=status)
