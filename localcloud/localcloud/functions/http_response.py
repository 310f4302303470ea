"""What an HTTP function returned, as the response that goes out."""

import re
from collections.abc import Mapping
from http.cookies import Morsel
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from localcloud.functions.runtime import Datum
from localcloud.functions.set_cookie import InvalidCookieError, set_cookie

# What the real host's server accepts.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t -~]*")
_STATUSES = range(200, 1000)

#: The server sets these itself.
_OF_THE_SERVER = ("Content-Length", "Transfer-Encoding")


class InvalidResponseError(Exception):
    """A response that cannot be sent; the text says why."""


def response_of(returned: Datum | None) -> web.Response:
    """The response, 204 if there is none; raises InvalidResponseError."""
    if returned is None or returned.type is None:
        return web.Response(status=204)
    if returned.type == "http":
        return _full_response(returned.value)
    if returned.type == "bytes":
        return web.Response(body=returned.value)
    text = returned.value if isinstance(returned.value, str) else str(returned.python_value)
    return web.Response(text=text)


def _full_response(value: Mapping[str, Any]) -> web.Response:
    headers = CIMultiDict((name, header.value) for name, header in value["headers"].items())
    for jar in value["cookies"] or ():
        for cookie in jar.values():
            headers.add("Set-Cookie", _set_cookie(cookie))
    for name in _OF_THE_SERVER:
        headers.popall(name, None)
    for name, text in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(text):
            raise InvalidResponseError(f"the header {name!r} has characters other than printable ASCII")
    return web.Response(status=_status(value["status_code"].value), body=value["body"].value, headers=headers)


def _set_cookie(cookie: "Morsel[str]") -> str:
    try:
        return set_cookie(cookie)
    except InvalidCookieError as error:
        raise InvalidResponseError(str(error)) from error


def _status(text: str) -> int:
    if not (text.isdecimal() and int(text) in _STATUSES):
        raise InvalidResponseError(f"{text!r} is no status from {_STATUSES[0]} to {_STATUSES[-1]}")
    return int(text)
