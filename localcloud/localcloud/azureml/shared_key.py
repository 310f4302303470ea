"""Requests to Blob storage that are signed with an account key: the scheme SharedKey.

Source: "Authorize with Shared Key" in Microsoft's REST reference of Azure Storage. Headers are put in the order of
their bytes; the service's own order differs for names that differ in their hyphens alone, of which none are sent here.
"""

import base64
import hashlib
import hmac
from urllib.parse import unquote

from aiohttp import web

_SIGNED_HEADERS = (
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-MD5",
    "Content-Type",
    "Date",
    "If-Modified-Since",
    "If-Match",
    "If-None-Match",
    "If-Unmodified-Since",
    "Range",
)


def is_signed(request: web.Request, key: str) -> bool:
    """Whether the request's signature was made with this key, in base64 as account keys are."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme != "SharedKey":
        return False
    account, _, signature = given.rpartition(":")
    # aiohttp gives the bytes of a header that are no text as surrogates.
    text = _text(request, account).encode(errors="surrogateescape")
    expected = base64.b64encode(hmac.digest(base64.b64decode(key), text, hashlib.sha256))
    return hmac.compare_digest(signature.encode(errors="surrogateescape"), expected)


def _text(request: web.Request, account: str) -> str:
    headers = {name: request.headers.get(name, "") for name in _SIGNED_HEADERS}
    if headers["Content-Length"] == "0":
        headers["Content-Length"] = ""
    storage = sorted((name.lower(), value) for name, value in request.headers.items() if name.lower()[:5] == "x-ms-")
    path, _, query = request.raw_path.partition("?")
    parameters = sorted(tuple(part.split("=", 1)) for part in query.split("&") if "=" in part)
    return "".join(
        [
            f"{request.method}\n",
            *(f"{value}\n" for value in headers.values()),
            *(f"{name}:{value}\n" for name, value in storage),
            f"/{account}{path}",
            *(f"\n{name.lower()}:{unquote(value)}" for name, value in parameters),
        ]
    )
