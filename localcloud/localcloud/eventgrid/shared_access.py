"""Tokens in the header aeg-sas-token: a resource and an expiry, signed with the topic's key."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import unquote, unquote_plus, urlsplit

from localcloud.http_server import is_secret

#: How .NET writes a moment in the culture that Microsoft's documentation signs with; ISO 8601 is read besides.
_AMERICAN = "%m/%d/%Y %I:%M:%S %p"


class InvalidTokenError(Exception):
    """The token is not valid here; the message says why."""


def check_token(token: str, key: str, path: str, now: datetime) -> None:
    """Raises `InvalidTokenError` unless `token` is for `path`, signed with the base64 `key` and not expired at `now`.

    It is `r=RESOURCE&e=EXPIRY&s=SIGNATURE`, each percent-encoded, as `azure.eventgrid.generate_sas` writes it. Of the
    resource only the path counts, so that every name of this machine may be in it.
    """
    unsigned, _, signature = token.rpartition("&s=")
    digest = hmac.new(_bytes_of(key), unsigned.encode(errors="surrogateescape"), hashlib.sha256).digest()
    if not is_secret(unquote(signature), base64.b64encode(digest).decode()):
        raise InvalidTokenError("The token in aeg-sas-token is not signed with a key of this topic.")
    fields = dict(field.partition("=")[::2] for field in unsigned.split("&"))
    resource, expiry = (unquote_plus(fields.get(name, "")) for name in "re")
    try:
        is_for, expires = urlsplit(resource).path, _moment(expiry)
    except ValueError as error:
        raise InvalidTokenError(f"The token in aeg-sas-token cannot be read: {error}.") from error
    if is_for.rstrip("/") != path:
        raise InvalidTokenError(f"The token in aeg-sas-token is for {resource!r}, not for this topic.")
    if expires <= now:
        raise InvalidTokenError(f"The token in aeg-sas-token expired at {expiry}.")


def _bytes_of(key: str) -> bytes:
    try:
        return base64.b64decode(key, validate=True)
    except ValueError as error:
        raise InvalidTokenError("This topic takes no tokens, since its key is not base64. Use aeg-sas-key.") from error


def _moment(text: str) -> datetime:
    """Without a time zone it is in UTC."""
    plain = " ".join(text.split())
    moment = datetime.strptime(plain, _AMERICAN) if "/" in plain else datetime.fromisoformat(plain)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
