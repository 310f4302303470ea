"""App Service authentication ("Easy Auth"), with a list of local users instead of Entra ID.

The platform takes its own headers away from requests that come from outside and, when it is switched on, adds them for
the user whose token came along. Requests without a token pass unauthenticated, as with `AllowAnonymous`.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from localcloud.functions.definition import HostError

_PLATFORM_HEADERS = ("x-ms-client-principal", "x-ms-token-")
_ROLE_CLAIM = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
_NAME_CLAIM = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
_OBJECT_CLAIM = "http://schemas.microsoft.com/identity/claims/objectidentifier"


@dataclass(frozen=True)
class LocalUser:
    """Somebody who may sign in: the object id, the name and the app roles that Entra ID would vouch for."""

    id: str
    name: str
    roles: Sequence[str]

    def principal_headers(self) -> dict[str, str]:
        """The headers that App Service adds for this user."""
        claims = [
            {"typ": _OBJECT_CLAIM, "val": self.id},
            {"typ": "name", "val": self.name},
            {"typ": "preferred_username", "val": self.name},
            {"typ": _NAME_CLAIM, "val": self.name},
            *({"typ": "roles", "val": role} for role in self.roles),
        ]
        principal = {"auth_typ": "aad", "claims": claims, "name_typ": _NAME_CLAIM, "role_typ": _ROLE_CLAIM}
        return {
            "x-ms-client-principal": base64.b64encode(json.dumps(principal).encode()).decode(),
            "x-ms-client-principal-id": self.id,
            "x-ms-client-principal-name": self.name,
            "x-ms-client-principal-idp": "aad",
        }


class LocalUsers:
    """The users by their tokens; with none of them, nobody is signed in."""

    def __init__(self, users: Mapping[str, LocalUser] | None, *, platform: bool = True) -> None:
        """`users` None means that authentication is off; without a `platform` in front, all headers pass."""
        self._users = users
        self._platform = platform

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> "LocalUsers":
        """Reads LOCAL_USERS `{token: {name, id, roles}}`, if WEBSITE_AUTH_ENABLED is true; raises HostError."""
        listed = settings.get("LOCAL_USERS")
        if settings.get("WEBSITE_AUTH_ENABLED", "").lower() != "true" or not listed:
            return cls(None)
        try:
            content = json.loads(listed)
            users = {token: LocalUser(one["id"], one["name"], list(one["roles"])) for token, one in content.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            form = '{"token": {"id": "…", "name": "…", "roles": ["…"]}}'
            raise HostError(f"LOCAL_USERS must be JSON of the form {form}.") from error
        return cls(users)

    def authenticate(self, headers: Mapping[str, str]) -> dict[str, str] | None:
        """The (lower-case) headers as the app may see them; None when the bearer token is nobody's."""
        if not self._platform:
            return dict(headers)
        kept = {name: value for name, value in headers.items() if not name.startswith(_PLATFORM_HEADERS)}
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if self._users is None or scheme.lower() != "bearer":
            return kept
        user = self._users.get(token.strip())
        return None if user is None else kept | user.principal_headers()
