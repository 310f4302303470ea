"""Converts everything that a call to Azure ML raises into the port's errors, with sentences for people."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import CredentialUnavailableError

from shared.ports import BusyError, ForbiddenError, OutOfQuotaError, RejectedError, UnavailableError

#: A longer pause that a service asks for is cut to this.
LONGEST_PAUSE = timedelta(minutes=15)

#: Azure's codes and words for exhausted quota or capacity.
_NO_ROOM = re.compile(
    r"OutOfQuota|QuotaExceeded|InsufficientQuota|OutOfCapacity|not enough (core )?quota", re.IGNORECASE
)
#: What Azure says, with varying statuses, if an asset's version exists with other files.
TAKEN = re.compile(r"already (exists|linked)|cannot be (changed|updated)", re.IGNORECASE)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # azure-ai-ml puts colours into its messages
_LONGEST_MESSAGE = 600


@contextmanager
def told_in_words(who: str, what: str) -> Iterator[None]:
    """Raise the port's errors in place of the SDK's, with a sentence "<who> could not <what>: …"."""
    try:
        yield
    except CredentialUnavailableError as fault:  # the platform's token service does not answer, which is temporary
        raise UnavailableError(f"{who} could not {what}: it cannot get a token: {brief(str(fault))}") from fault
    except HttpResponseError as fault:
        raise _from_response(fault, f"{who} could not {what}") from fault
    except (ServiceRequestError, ServiceResponseError) as fault:
        raise UnavailableError(f"{who} could not {what}: Azure cannot be reached: {brief(str(fault))}") from fault
    except AzureError as fault:  # including what azure-ai-ml raises for arguments that it rejects itself
        raise RejectedError(f"{who} could not {what}: {brief(str(fault))}") from fault


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> timedelta | None:
    """The pause that an answer asks for: seconds or an HTTP date (RFC 9110). None if there is no usable value."""
    written = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    if written.isdigit():
        return min(timedelta(seconds=int(written)), LONGEST_PAUSE) if len(written) < 9 else LONGEST_PAUSE
    try:
        moment = parsedate_to_datetime(written)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment - (now or datetime.now(UTC)), timedelta(0)), LONGEST_PAUSE)


def _from_response(fault: HttpResponseError, so_far: str) -> Exception:
    status, message = fault.status_code, _message(fault)
    says = f"{so_far}: {message}"
    if _NO_ROOM.search(message):
        return OutOfQuotaError(says)
    if status in (401, 403) or (status is None and isinstance(fault, ClientAuthenticationError)):
        return ForbiddenError(f"{says} Give the identity the role that allows it.")
    headers: Mapping[str, str] = getattr(fault.response, "headers", None) or {}
    if status == 409:
        return BusyError(says, retry_after(headers))
    if status is None or status in (408, 429) or status >= 500:
        return UnavailableError(f"{says} (status {status})", retry_after(headers))
    return RejectedError(says)


def _message(fault: HttpResponseError) -> str:
    """`Code: message` as Azure gave it, or whatever else is known."""
    error = fault.error
    code, message = getattr(error, "code", None), getattr(error, "message", None)
    if not message:
        return brief(fault.message)
    # "The request is invalid." says nothing: what is wrong with it is in the details.
    said = [str(message), *(str(each.message) for each in getattr(error, "details", None) or () if each.message)]
    return brief(f"{code}: {' '.join(said)}" if code else " ".join(said))


def brief(text: str) -> str:
    """The text on one line, without colours, and shortened if it is long."""
    line = " ".join(_COLOURS.sub("", text).split())
    return line if len(line) <= _LONGEST_MESSAGE else line[: _LONGEST_MESSAGE - 1] + "…"
