"""`Set-Cookie` as the real host writes it: it takes cookies apart and lets ASP.NET Core put them together again.

Names of attributes come out in lower case and in ASP.NET Core's order, values percent-encoded, and `domain` and `path`
even where they are empty. Dates have one form, that of the runtime library.
"""

from datetime import UTC, datetime
from email.utils import format_datetime
from http.cookies import Morsel
from urllib.parse import quote

_DATE = "%a, %d %b %Y %H:%M:%S GMT"
_SAME_SITE = ("lax", "strict", "none")


class InvalidCookieError(ValueError):
    """A cookie with an attribute that the real host cannot read either; the text names both."""


def set_cookie(cookie: "Morsel[str]") -> str:
    """The header's value; raises InvalidCookieError."""
    attributes = [f"{cookie.key}={quote(cookie.value, safe='')}"]
    if cookie["expires"]:
        attributes.append(f"expires={_date(cookie)}")
    if cookie["max-age"]:
        attributes.append(f"max-age={_seconds(cookie)}")
    attributes += [f"domain={cookie['domain']}", f"path={cookie['path']}"]
    if cookie["secure"]:
        attributes.append("secure")
    if cookie["samesite"].lower() in _SAME_SITE:
        attributes.append(f"samesite={cookie['samesite'].lower()}")
    if cookie["httponly"]:
        attributes.append("httponly")
    return "; ".join(attributes)


def _date(cookie: "Morsel[str]") -> str:
    try:
        moment = datetime.strptime(cookie["expires"], _DATE).replace(tzinfo=UTC)
    except ValueError:
        reason = f"expires at {cookie['expires']!r}, which is not a date like 'Thu, 12 Jan 2017 13:55:08 GMT'"
        raise InvalidCookieError(f"the cookie {cookie.key!r} {reason}") from None
    return format_datetime(moment, usegmt=True)


def _seconds(cookie: "Morsel[str]") -> int:
    try:
        return int(float(cookie["max-age"]))
    except (ValueError, OverflowError):
        reason = f"has the max-age {cookie['max-age']!r}, which is not a number of seconds"
        raise InvalidCookieError(f"the cookie {cookie.key!r} {reason}") from None
