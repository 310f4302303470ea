"""Creates access tokens with the same claims as Microsoft Entra ID's.

A token for Azure itself is signed with HS256 and a key that the local parts share; one for an application with RS256,
as Entra ID signs all of its tokens, and a key whose public part is published.
"""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from localcloud.identity.configuration import AppRegistration, Identity
from localcloud.identity.signing_key import SigningKey

#: The one tenant of the local cloud.
TENANT = "00000000-0000-0000-0000-000000000001"

#: Seconds that a token is valid: as with a real managed identity, a day.
LIFETIME = 24 * 60 * 60

#: Groups that a token names. Of somebody who is in more, it names none.
MOST_GROUPS = 200

#: A token is valid from a little before it is made, since clocks differ.
_CLOCK_SKEW = 300


@dataclass(frozen=True)
class Token:
    """A signed token and when it expires, in seconds since 1970."""

    text: str
    expires_on: int


def issue_token(identity: Identity, resource: str, key: bytes) -> Token:
    """A token with which the identity may call the resource."""
    now = int(time.time())
    claims = {
        "aud": resource,
        "iss": f"https://sts.windows.net/{TENANT}/",
        "iat": now,
        "nbf": now - _CLOCK_SKEW,
        "exp": now + LIFETIME,
        "appid": identity.client_id,
        "name": identity.name,
        "oid": identity.principal_id,
        "sub": identity.principal_id,
        "tid": TENANT,
        "uti": uuid.uuid4().hex,
        "ver": "1.0",
    }
    claims |= {"scp": "user_impersonation"} if identity.is_person else {"idtyp": "app"}
    return Token(jwt.encode(claims, key, "HS256"), now + LIFETIME)


def issue_app_token(identity: Identity, application: AppRegistration, authority: str, key: SigningKey) -> Token:
    """A token of version 2 with which the identity may call the application, with its roles and groups there."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "aud": application.client_id.lower(),
        "iss": issuer(authority),
        "iat": now,
        "nbf": now - _CLOCK_SKEW,
        "exp": now + LIFETIME,
        "azp": identity.client_id,
        "name": identity.name,
        "oid": identity.principal_id,
        "preferred_username": identity.name,
        "sub": identity.principal_id,
        "tid": TENANT,
        "uti": uuid.uuid4().hex,
        "ver": "2.0",
    }
    # As in Entra ID, a claim is missing if it would be empty, and an app without a user has no groups in its token.
    if roles := application.roles.get(identity.name):
        claims["roles"] = list(roles)
    if identity.is_person and (groups := application.groups.get(identity.name)):
        claims |= _groups(groups)
    return Token(jwt.encode(claims, key.private, "RS256", {"kid": key.id}), now + LIFETIME)


def _groups(groups: Sequence[str]) -> dict[str, Any]:
    """The claim of a token that names all groups, or the claims of one that cannot. Source:
    https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference#groups-overage-claim
    """
    if len(groups) <= MOST_GROUPS:
        return {"groups": list(groups)}
    return {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.invalid"}}}


def issuer(authority: str) -> str:
    """Of the tokens for applications; below it is the OpenID configuration."""
    return f"{authority}/{TENANT}/v2.0"
