"""Who asks: the person whom a token of Microsoft Entra ID names. The app verifies the token itself.

Nothing else says who somebody is: no other header counts, and a function key identifies nobody. The claims are those of
https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
"""

import re
from collections.abc import Mapping
from typing import Any

import jwt

from shared.cloud.signing_keys import KeysUnavailableError, SigningKeys
from shared.config.sign_in import SignInSettings
from shared.core.events import Person
from shared.http.refusals import NotAvailableError, NotSignedInError

HEADER = "authorization"
#: Entra ID signs with no other. What a token says of its own algorithm is never taken for granted.
ALGORITHM = "RS256"
#: Seconds by which clocks may differ.
LEEWAY = 60
#: Characters; proxies and hosts take headers of 8 to 32 KB.
LONGEST_TOKEN = 32_768

_TOKEN = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){2}")
_NO_TOKEN = "The header Authorization must be `Bearer` and an access token of Microsoft Entra ID"
_ANEW = "Sign in again."
#: By what the library finds, the first that fits.
_FAULTS: Mapping[type[Exception], str] = {
    jwt.ExpiredSignatureError: f"The token has expired. {_ANEW}",
    jwt.ImmatureSignatureError: "The token is not valid yet. Look whether the clock of its issuer is right.",
    jwt.InvalidSignatureError: f"The token's signature is wrong. {_ANEW}",
}


class Verifier:
    """Verifies the tokens for one app. May be used by several threads."""

    def __init__(self, settings: SignInSettings, keys: SigningKeys) -> None:
        self.settings = settings
        self.keys = keys

    def person(self, token: str) -> Person:
        """Whom the token names. Raises `NotSignedInError`; `NotAvailableError` where that cannot be told just now."""
        key = self._key(token)
        try:
            claims = jwt.decode(
                token,
                key,
                [ALGORITHM],
                audience=self.settings.client_id,
                issuer=self.settings.issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud", "tid", "oid"], "strict_aud": True},
            )
        except jwt.InvalidTokenError as fault:
            raise NotSignedInError(self._sentence(fault), invalid_token=True) from fault
        if claims["tid"] != self.settings.tenant:
            raise NotSignedInError(f"The token is of another tenant than {self.settings.tenant}.", invalid_token=True)
        return _person(claims)

    def _key(self, token: str) -> jwt.PyJWK:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, RecursionError) as fault:
            raise NotSignedInError(f"{_NO_TOKEN}; this one cannot be read.", invalid_token=True) from fault
        kid = header.get("kid")
        if header.get("alg") != ALGORITHM:
            raise NotSignedInError(f"The token is not signed with {ALGORITHM}, which is needed.", invalid_token=True)
        if not isinstance(kid, str) or not kid:
            raise NotSignedInError("The token does not say which key signed it.", invalid_token=True)
        try:
            key = self.keys.find(kid)
        except KeysUnavailableError as away:
            text = f"Whether the token is right cannot be told just now: {away}. Try again later."
            raise NotAvailableError(text, retry_after=away.retry_after) from away
        if key is None:
            text = f"The token is signed with a key that {self.settings.issuer} does not publish. {_ANEW}"
            raise NotSignedInError(text, invalid_token=True)
        return key

    def _sentence(self, fault: jwt.InvalidTokenError) -> str:
        for kind, sentence in _FAULTS.items():
            if isinstance(fault, kind):
                return sentence
        if isinstance(fault, jwt.InvalidIssuerError):
            return (
                f"The token was not issued by {self.settings.issuer}. If it is of another tenant, sign in to this one; "
                "if it is of version 1, set requestedAccessTokenVersion of the app registration to 2."
            )
        if isinstance(fault, jwt.InvalidAudienceError):
            return f"The token is for another app: get one for the scope api://{self.settings.client_id}/.default."
        if isinstance(fault, jwt.MissingRequiredClaimError):
            return f"The token lacks the claim {fault.claim}."
        return f"{_NO_TOKEN}; this one cannot be read."


def carries_token(headers: Mapping[str, str]) -> bool:
    """Whether the request has a header Authorization, whatever is in it."""
    return any(name.lower() == HEADER for name in headers)


def signed_in(headers: Mapping[str, str], verifier: Verifier | None) -> Person | None:
    """The person whose token comes with a request; None where none comes. Names of headers are taken in any casing.

    Raises `NotSignedInError` for a token that does not count, and `NotAvailableError` where that cannot be told now.
    Without a `verifier` no token counts: the app's settings name nobody who could issue one.
    """
    given = [value for name, value in headers.items() if name.lower() == HEADER]
    if not given:
        return None
    if verifier is None:
        raise NotSignedInError("Nobody can sign in to this app: its settings name no tenant.", invalid_token=True)
    return verifier.person(_bearer(given))


def _bearer(given: list[str]) -> str:
    """The token in the only header; a host joins several with commas, which are in no token."""
    scheme, _, token = given[0].strip().partition(" ")
    token = token.strip()
    if len(given) > 1 or "," in given[0]:
        raise NotSignedInError("The request has more than one header Authorization: send one.", invalid_token=True)
    if scheme.lower() != "bearer" or len(token) > LONGEST_TOKEN or not _TOKEN.fullmatch(token):
        raise NotSignedInError(f"{_NO_TOKEN}.", invalid_token=True)
    return token


def _person(claims: Mapping[str, Any]) -> Person:
    """By the object id: names may change. An application has no name but its id."""
    person, roles = claims["oid"], claims.get("roles", [])
    if not isinstance(person, str) or not person:
        raise NotSignedInError("The token lacks the claim oid.", invalid_token=True)
    names = (claims.get(claim) for claim in ("name", "preferred_username"))
    name = next((name for name in names if isinstance(name, str) and name), person)
    listed = roles if isinstance(roles, list) else []
    return Person(person, name, tuple(dict.fromkeys(role for role in listed if isinstance(role, str))))
