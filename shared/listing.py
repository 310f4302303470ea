"""The query of a list of promotions, read once at the edge."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit, urlunsplit

from shared.core.promotion import PromotionStatus
from shared.ports import PromotionFilter

USUAL_TOP = 50
MOST_TOP = 200

_FILTERS = ("route", "model", "environment", "status")
_KNOWN = (*_FILTERS, "top", "continuation")
#: What the platform puts into a query, and is none of ours.
_PLATFORM = ("code", "clientId")


@dataclass(frozen=True)
class Listing:
    """Which promotions are asked for."""

    wanted: PromotionFilter
    top: int
    continuation: str | None


def read(query: Mapping[str, str]) -> Listing:
    """The query's meaning; raises ValueError with a sentence for people."""
    unknown = [key for key in query if key not in (*_KNOWN, *_PLATFORM)]
    if unknown:
        raise ValueError(f"{unknown[0]} is not known here; known are {', '.join(_KNOWN)}")
    status = query.get("status")
    if status is not None and status not in set(PromotionStatus):
        raise ValueError(f"status {status!r} is none of {', '.join(PromotionStatus)}")
    wanted = PromotionFilter(
        query.get("route"), query.get("model"), query.get("environment"), PromotionStatus(status) if status else None
    )
    return Listing(wanted, _top(query.get("top", str(USUAL_TOP))), query.get("continuation"))


def _top(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST_TOP):
        raise ValueError(f"top must be a whole number from 1 to {MOST_TOP}, not {text!r}")
    return int(text)


def next_link(url: str, query: Mapping[str, str], following: str | None) -> str | None:
    """The address of the page that follows; keys of the platform are not repeated in it."""
    if following is None:
        return None
    kept = {key: value for key, value in query.items() if key in _KNOWN} | {"continuation": following}
    return urlunsplit(urlsplit(url)._replace(query=urlencode(kept)))
