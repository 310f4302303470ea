"""Who asks: the person for whom App Service authentication vouches in the header `X-MS-CLIENT-PRINCIPAL`.

The platform takes that header away from what comes from outside, but only while its authentication is switched on:
otherwise anybody could write it.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from shared.core.people import Person
from shared.http.refusals import ForbiddenError

HEADER = "x-ms-client-principal"
#: Set by the platform where its authentication is switched on.
SWITCHED_ON = "WEBSITE_AUTH_ENABLED"

_OBJECT_ID = ("http://schemas.microsoft.com/identity/claims/objectidentifier", "oid")
_NAME = ("name", "preferred_username")


def signed_in(headers: Mapping[str, str], settings: Mapping[str, str]) -> Person | None:
    """The person who signed in with Entra ID; None for nobody. Names of headers are taken in any casing."""
    if settings.get(SWITCHED_ON, "").lower() != "true":
        return None
    written = next((value for name, value in headers.items() if name.lower() == HEADER), None)
    principal = _decoded(written) if written else None
    return _person(principal) if principal is not None else None


def _decoded(written: str) -> dict[str, Any] | None:
    try:
        principal = json.loads(base64.b64decode(written, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return principal if isinstance(principal, dict) else None


def _person(principal: Mapping[str, Any]) -> Person | None:
    """None for another identity provider, and for a principal without an object id: nobody could tell who that is."""
    if principal.get("auth_typ") != "aad" or not isinstance(principal.get("claims"), list):
        return None
    claims = [
        (claim["typ"], claim["val"])
        for claim in principal["claims"]
        if isinstance(claim, dict) and isinstance(claim.get("typ"), str) and isinstance(claim.get("val"), str)
    ]

    def first(*types: object) -> str:
        return next((value for wanted in types for kind, value in claims if kind == wanted and value), "")

    person = first(*_OBJECT_ID)
    role_types = ("roles", principal.get("role_typ"))
    roles = tuple(dict.fromkeys(value for kind, value in claims if kind in role_types))
    return Person(person, first(*_NAME, principal.get("name_typ")) or person, roles) if person else None


def identified(person: Person | None) -> Person:
    """The person; raises `ForbiddenError` for nobody, which is all that a function key alone stands for."""
    if person is None:
        raise ForbiddenError("Sign in with Microsoft Entra ID: a function key alone may read and start, nothing else.")
    return person
