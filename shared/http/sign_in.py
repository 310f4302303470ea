"""Sign-in: the person named by a token from Microsoft Entra ID. The app verifies the token itself.

Nothing else identifies a person: no other header counts, and a function key names nobody. The claims are those of
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
#: Entra ID signs with no other algorithm. A token's own statement about its algorithm is never trusted.
ALGORITHM = "RS256"
#: Allowed clock difference, in seconds.
LEEWAY = 60
#: Characters; proxies and hosts take headers of 8 to 32 KB.
LONGEST_TOKEN = 32_768

_TOKEN = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){2}")
_NO_TOKEN = "The Authorization header must be `Bearer` and an access token from Microsoft Entra ID"
_ANEW = "Sign in again."
_GROUPS_LEFT_OUT = (
    "You are in more groups than a token can hold, so it names none. Assign the groups that matter to this app in "
    "Entra ID, set groupMembershipClaims of its app registration to ApplicationGroup, and sign in again."
)
#: By exception of the library; the first match counts.
_FAULTS: Mapping[type[Exception], str] = {
    jwt.ExpiredSignatureError: f"The token has expired. {_ANEW}",
    jwt.ImmatureSignatureError: "The token is not valid yet. Check the clock of the issuer.",
    jwt.InvalidSignatureError: f"The token's signature is wrong. {_ANEW}",
}


class Verifier:
    """Verifies the tokens for one app. Thread-safe."""

    def __init__(self, settings: SignInSettings, keys: SigningKeys) -> None:
        self.settings = settings
        self.keys = keys

    def person(self, token: str) -> Person:
        """Return the person in a token. Raises `NotSignedInError`; `NotAvailableError` if it cannot be verified now."""
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
            raise NotSignedInError(f"The token is not from the tenant {self.settings.tenant}.", invalid_token=True)
        return _person(claims)

    def _key(self, token: str) -> jwt.PyJWK:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, RecursionError) as fault:
            raise NotSignedInError(f"{_NO_TOKEN}; this one cannot be read.", invalid_token=True) from fault
        kid = header.get("kid")
        if header.get("alg") != ALGORITHM:
            raise NotSignedInError(f"The token must be signed with {ALGORITHM}.", invalid_token=True)
        if not isinstance(kid, str) or not kid:
            raise NotSignedInError("The token does not say which key signed it.", invalid_token=True)
        try:
            key = self.keys.find(kid)
        except KeysUnavailableError as away:
            text = f"The token cannot be verified at the moment: {away}. Try again later."
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
                f"The token was not issued by {self.settings.issuer}. If it is from another tenant, sign in here; "
                "if it is a version 1 token, set requestedAccessTokenVersion of the app registration to 2."
            )
        if isinstance(fault, jwt.InvalidAudienceError):
            return f"The token is for another app. Get one for the scope api://{self.settings.client_id}/.default."
        if isinstance(fault, jwt.MissingRequiredClaimError):
            return f"The token lacks the claim {fault.claim}."
        return f"{_NO_TOKEN}; this one cannot be read."


def carries_token(headers: Mapping[str, str]) -> bool:
    """Return whether the request has an Authorization header, whatever its content."""
    return any(name.lower() == HEADER for name in headers)


def signed_in(headers: Mapping[str, str], verifier: Verifier | None) -> Person | None:
    """Return the person whose token comes with a request, or None without one. Header names may have any casing.

    Raises `NotSignedInError` for an invalid token, and `NotAvailableError` if it cannot be verified now. Without a
    `verifier` every token is invalid: the app's settings name no issuer.
    """
    given = [value for name, value in headers.items() if name.lower() == HEADER]
    if not given:
        return None
    if verifier is None:
        raise NotSignedInError("Sign-in is not configured: the app's settings name no tenant.", invalid_token=True)
    return verifier.person(_bearer(given))


def _bearer(given: list[str]) -> str:
    """Return the token of the only header. A host joins several headers with commas, which no token contains."""
    scheme, _, token = given[0].strip().partition(" ")
    token = token.strip()
    if len(given) > 1 or "," in given[0]:
        raise NotSignedInError("The request has more than one Authorization header. Send one.", invalid_token=True)
    if scheme.lower() != "bearer" or len(token) > LONGEST_TOKEN or not _TOKEN.fullmatch(token):
        raise NotSignedInError(f"{_NO_TOKEN}.", invalid_token=True)
    return token


def _person(claims: Mapping[str, Any]) -> Person:
    """Return the person by object id, since names may change. An application has only its id as a name."""
    person, roles = claims["oid"], claims.get("roles", [])
    if not isinstance(person, str) or not person:
        raise NotSignedInError("The token lacks the claim oid.", invalid_token=True)
    names = (claims.get(claim) for claim in ("name", "preferred_username"))
    name = next((name for name in names if isinstance(name, str) and name), person)
    listed = roles if isinstance(roles, list) else []
    texts = tuple(dict.fromkeys(role for role in listed if isinstance(role, str)))
    return Person(person, name, texts, _groups(claims), _GROUPS_LEFT_OUT if _leaves_groups_out(claims) else "")


def _groups(claims: Mapping[str, Any]) -> tuple[str, ...]:
    groups = claims.get("groups", [])
    listed = groups if isinstance(groups, list) else []
    return tuple(dict.fromkeys(group.lower() for group in listed if isinstance(group, str)))


def _leaves_groups_out(claims: Mapping[str, Any]) -> bool:
    """Whether the person is in more groups than a token holds: 200, and a few in some flows. See
    https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference#groups-overage-claim
    """
    names = claims.get("_claim_names")
    return bool(claims.get("hasgroups")) or (isinstance(names, dict) and "groups" in names)
