"""Why a request over HTTP is refused, each kind with its status. The text of each says what to do."""

import math
from collections.abc import Mapping
from typing import Any

from shared.ports import QueueUnavailableError


class RefusedError(Exception):
    """`more`: further members of the problem document."""

    status = 400
    title = "Bad request"

    def __init__(self, detail: str, more: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.more = dict(more or {})

    @property
    def headers(self) -> Mapping[str, str]:
        """What the answer's headers say besides."""
        return {}


class BadRequestError(RefusedError):
    """The request cannot be meant as it is."""


class NotSignedInError(RefusedError):
    """Nobody has signed in, or the token does not count (`invalid_token`, as RFC 6750 calls both)."""

    status, title = 401, "Not signed in"

    def __init__(self, detail: str, *, invalid_token: bool = False) -> None:
        super().__init__(detail)
        self._invalid_token = invalid_token

    @property
    def headers(self) -> Mapping[str, str]:
        """How to authenticate, by RFC 6750, section 3."""
        return {"WWW-Authenticate": 'Bearer error="invalid_token"' if self._invalid_token else "Bearer"}


class NotPermittedError(RefusedError):
    """Whoever asks may not ask for this."""

    status, title = 403, "Not allowed"


class NotThereError(RefusedError):
    """What the address names is not there."""

    status, title = 404, "Not found"


class ConflictError(RefusedError):
    """It does not apply as things are; `more` says how they are."""

    status, title = 409, "Not now"


class KeyReusedError(RefusedError):
    """The Idempotency-Key was used for something else."""

    status, title = 422, "Idempotency-Key used before"


class TooBusyError(RefusedError):
    """Too much happens at once; the same request may be made again."""

    status, title = 503, "Busy"


class NotAvailableError(RefusedError):
    """Something that the answer depends on does not answer just now; the text says what.

    `retry_after`: in how many seconds to ask again, where that is known.
    """

    status, title = 503, "Unavailable"

    def __init__(self, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self._retry_after = retry_after

    @property
    def headers(self) -> Mapping[str, str]:
        """When to ask again."""
        return {} if self._retry_after is None else {"Retry-After": str(self._retry_after)}


def unavailable(fault: QueueUnavailableError, then: str = "") -> NotAvailableError:
    """What the broker's absence means for a request; `then`: a sentence about what to do."""
    seconds = None if fault.retry_after is None else math.ceil(fault.retry_after)
    return NotAvailableError(f"{fault}. {then}" if then else str(fault), retry_after=seconds)
