"""Asks an app over HTTP: one request, one answer, whatever its status. Standard library only."""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

#: Seconds to wait for an answer. A replay can take a minute, and an idle app has to start first.
LONGEST_ANSWER = 120
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Answer:
    """What the app answered."""

    status: int
    reason: str  #: of the status line
    headers: Mapping[str, str]  #: by name in lower case
    content: bytes

    @property
    def text(self) -> str:
        """The content as text, whatever it is."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the content as JSON. Raises `ValueError` for anything else."""
        try:
            return json.loads(self.content)
        except RecursionError as fault:
            raise ValueError("too deeply nested") from fault


class NoAnswerError(Exception):
    """No answer came; the text says why."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirects, so that no other address gets the key."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Client:
    """Asks the app at an address, such as `http://localhost:7071`. May be used by several threads."""

    def __init__(self, url: str, seconds: float = LONGEST_ANSWER) -> None:
        """`seconds`: the longest wait for an answer."""
        self.url = url.rstrip("/")
        self._seconds = seconds
        proxies = [urllib.request.ProxyHandler({})] if is_loopback(url) else []
        self._opener = urllib.request.build_opener(_NoRedirects, *proxies)

    def ask(self, method: str, address: str, headers: Mapping[str, str], content: bytes | None = None) -> Answer:
        """Send a request to an address below the app's, such as `/api/promotions?top=1`. Raises `NoAnswerError`."""
        try:
            request = urllib.request.Request(self.url + address, content, dict(headers), method=method)
            try:
                with self._opener.open(request, timeout=self._seconds) as answer:
                    return _answer(answer.status, answer.reason, answer.headers, answer.read())
            except urllib.error.HTTPError as refusal:
                with refusal:
                    return _answer(refusal.code, refusal.reason, refusal.headers, _content(refusal))
        # URLError is an OSError; an invalid URL raises ValueError.
        except (OSError, ValueError, http.client.HTTPException) as fault:
            raise NoAnswerError(_reason(fault)) from fault


def is_loopback(url: str) -> bool:
    """Return whether the address is on this machine."""
    try:
        return urlsplit(url).hostname in _LOOPBACK
    except ValueError:
        return False


def _answer(status: int, reason: str, headers: Any, content: bytes) -> Answer:
    return Answer(status, reason, {name.lower(): value for name, value in headers.items()}, content)


def _content(refusal: urllib.error.HTTPError) -> bytes:
    """The status is known already, and says more than that the rest of the answer did not come."""
    try:
        return refusal.read()
    except (OSError, http.client.HTTPException):
        return b""


def _reason(fault: Exception) -> str:
    cause = fault.reason if isinstance(fault, urllib.error.URLError) else fault
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({cause.verify_message})"
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    return str(getattr(cause, "strerror", None) or cause or type(fault).__name__)
