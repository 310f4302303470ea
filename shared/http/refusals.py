"""Why a request is refused: one class per HTTP status. The text of each says what to do."""

import math
from collections.abc import Mapping
from typing import Any

from shared.ports import QueueUnavailableError


class RefusedError(Exception):
    """`more`: additional members of the problem document."""

    status = 400
    title = "Bad request"

    def __init__(self, detail: str, more: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.more = dict(more or {})

    @property
    def headers(self) -> Mapping[str, str]:
        """Additional headers of the answer."""
        return {}


class BadRequestError(RefusedError):
    """The request is invalid."""


class NotSignedInError(RefusedError):
    """The caller has not signed in, or the token is not valid (`invalid_token` in RFC 6750)."""

    status, title = 401, "Not signed in"

    def __init__(self, detail: str, *, invalid_token: bool = False) -> None:
        super().__init__(detail)
        self._invalid_token = invalid_token

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the authentication challenge of RFC 6750, section 3."""
        return {"WWW-Authenticate": 'Bearer error="invalid_token"' if self._invalid_token else "Bearer"}


class NotPermittedError(RefusedError):
    """The caller may not do this."""

    status, title = 403, "Not allowed"


class NotThereError(RefusedError):
    """The resource does not exist."""

    status, title = 404, "Not found"


class ConflictError(RefusedError):
    """The request does not fit the current state, which `more` describes."""

    status, title = 409, "Not now"


class KeyReusedError(RefusedError):
    """The Idempotency-Key was used for a different request."""

    status, title = 422, "Idempotency-Key used before"


class TooBusyError(RefusedError):
    """Too many requests at once; the caller can repeat the request."""

    status, title = 503, "Busy"


class NotAvailableError(RefusedError):
    """A dependency is unavailable; the text says which.

    `retry_after`: seconds until the caller should try again, if known.
    """

    status, title = 503, "Unavailable"

    def __init__(self, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self._retry_after = retry_after

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the header Retry-After, if the time is known."""
        return {} if self._retry_after is None else {"Retry-After": str(self._retry_after)}


def unavailable(fault: QueueUnavailableError, then: str = "") -> NotAvailableError:
    """Return the refusal for a request while the broker is unavailable; `then`: a sentence about what to do."""
    seconds = None if fault.retry_after is None else math.ceil(fault.retry_after)
    return NotAvailableError(f"{fault}. {then}" if then else str(fault), retry_after=seconds)
