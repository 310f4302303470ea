"""Why a request over HTTP is refused, each kind with its status. The text of each says what to do."""

from collections.abc import Mapping
from typing import Any


class RefusedError(Exception):
    """`more`: further members of the problem document."""

    status = 400
    title = "Bad request"

    def __init__(self, detail: str, more: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.more = dict(more or {})


class BadRequestError(RefusedError):
    """The request cannot be meant as it is."""


class NotSignedInError(RefusedError):
    """This app serves only people who have signed in."""

    status, title = 401, "Not signed in"


class ForbiddenError(RefusedError):
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


class BusyError(RefusedError):
    """Too much happens at once; the same request may be made again."""

    status, title = 503, "Busy"


class UnavailableError(RefusedError):
    """Something that the answer depends on does not answer just now; the text says what."""

    status, title = 503, "Unavailable"
