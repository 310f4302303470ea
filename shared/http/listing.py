"""Query parameters of the lists of promotions, lanes, lineage and failures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit, urlunsplit

from shared.coordinator.failures.judging import FailureFilter
from shared.core.plan import STEP_NAMES, UNDO_NAMES
from shared.core.promotion import PromotionStatus
from shared.core.queues import all_queues
from shared.ports import PromotionFilter

if TYPE_CHECKING:
    from shared.config import Configuration
    from shared.config.configuration import AnyRoute

USUAL_TOP = 50
MOST_TOP = 200

_PAGES = ("top", "continuation")
_OF_PROMOTIONS = ("route", "model", "environment", "status", *_PAGES)
_OF_LANES = ("route", "model", *_PAGES)
_OF_LINEAGE = ("of", *_PAGES)
_OF_FAILURES = ("queue", "route", "model", "environment", "step", "kind", *_PAGES)
#: Parameters that the platform adds to a query.
_PLATFORM = ("code", "clientId")


@dataclass(frozen=True)
class Listing:
    """A request for promotions."""

    wanted: PromotionFilter
    top: int
    continuation: str | None


@dataclass(frozen=True)
class LaneListing:
    """A request for lanes; None means any."""

    route: str | None
    model: str | None
    top: int
    continuation: str | None

    def fits(self, route: "AnyRoute") -> bool:
        """Whether this asks for lanes of the route."""
        return self.route in (None, route.name) and (self.model is None or route.takes(self.model))


@dataclass(frozen=True)
class LineageListing:
    """A request for what serves that came from something; `top` counts the lanes that are looked through."""

    of: str
    top: int
    continuation: str | None


@dataclass(frozen=True)
class FailureListing:
    """A request for failures."""

    wanted: FailureFilter
    top: int
    continuation: str | None


def read(query: Mapping[str, str]) -> Listing:
    """Parse the query; raises ValueError with a message for the caller."""
    _check_known(query, _OF_PROMOTIONS)
    status = query.get("status")
    if status is not None and status not in set(PromotionStatus):
        raise ValueError(f"unknown status {status[:100]!r}; known are {', '.join(PromotionStatus)}")
    wanted = PromotionFilter(
        query.get("route"), query.get("model"), query.get("environment"), PromotionStatus(status) if status else None
    )
    return Listing(wanted, _top(query.get("top", str(USUAL_TOP))), query.get("continuation"))


def read_lanes(query: Mapping[str, str]) -> LaneListing:
    """Parse the query of a list of lanes, like `read`."""
    _check_known(query, _OF_LANES)
    top = _top(query.get("top", str(USUAL_TOP)))
    return LaneListing(query.get("route"), query.get("model"), top, query.get("continuation"))


def read_lineage(query: Mapping[str, str]) -> LineageListing:
    """Parse the query of a search forward, like `read`."""
    _check_known(query, _OF_LINEAGE)
    if "of" not in query:
        raise ValueError("of: is missing; it names what to begin with: data:churn-sample:7, commit:f00ba12")
    return LineageListing(query["of"], _top(query.get("top", str(MOST_TOP))), query.get("continuation"))


def read_failures(query: Mapping[str, str]) -> FailureListing:
    """Parse the query of a list of failures, like `read`."""
    _check_known(query, _OF_FAILURES)
    wanted = FailureFilter(
        query.get("queue"),
        query.get("route"),
        query.get("model"),
        query.get("environment"),
        query.get("step"),
        query.get("kind"),
    )
    wanted.check()
    return FailureListing(wanted, _top(query.get("top", str(USUAL_TOP))), query.get("continuation"))


def read_page(query: Mapping[str, str], most: int) -> tuple[int, str | None]:
    """Parse the page size and continuation of a list without a filter; `most` limits the page size."""
    _check_known(query, _PAGES)
    return min(_top(query.get("top", str(USUAL_TOP))), most), query.get("continuation")


def check_names(wanted: Mapping[str, str | None], configuration: "Configuration") -> None:
    """Raise ValueError if a list is empty because a name in the query is not configured.

    Call it only for an empty list: promotions outlive the routes and environments that they used.
    """
    known: dict[str, Sequence[str]] = {
        "environment": list(configuration.environments),
        "route": list(configuration.routes),
        "queue": all_queues(configuration.environments),
        "step": (*STEP_NAMES, *UNDO_NAMES),
    }
    for key, names in known.items():
        name = wanted.get(key)
        if name is not None and name not in names:
            raise ValueError(f"unknown {key} {name[:100]!r}; known are {', '.join(names)}")


def _check_known(query: Mapping[str, str], known: Sequence[str]) -> None:
    unknown = [key for key in query if key not in (*known, *_PLATFORM)]
    if unknown:
        raise ValueError(f"unknown parameter {unknown[0][:100]}; known are {', '.join(known)}")


def _top(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= MOST_TOP):
        raise ValueError(f"top must be a whole number from 1 to {MOST_TOP}, not {text[:100]!r}")
    return int(text)


def next_link(url: str, query: Mapping[str, str], following: str | None) -> str | None:
    """Return the address of the next page, without the platform's own parameters."""
    if following is None:
        return None
    kept = {key: value for key, value in query.items() if key not in _PLATFORM} | {"continuation": following}
    return urlunsplit(urlsplit(url)._replace(query=urlencode(kept)))
