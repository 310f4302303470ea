"""What the coordinator keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.core.journal import JournalEntry
from shared.core.messages import AwaitedJob, LaneKey
from shared.core.promotion import Lane, Promotion, PromotionStatus


@dataclass(frozen=True)
class Publishing:
    """How it went when changes were last published, by any process of the app."""

    at: datetime
    trouble: str = ""  #: in a sentence; empty where the topic took them


class VersionConflictError(Exception):
    """Somebody else has saved the lane since it was loaded. Load it again and decide anew."""


@dataclass(frozen=True)
class Page:
    """Some promotions, newest first, and what to pass to get those that follow; None at the end."""

    promotions: Sequence[Promotion]
    following: str | None


@dataclass(frozen=True)
class LanePage:
    """Some lanes in the order of their names, each with its promotions under way; `following` as in `Page`."""

    lanes: Sequence[Lane]
    following: str | None


@dataclass(frozen=True)
class PromotionFilter:
    """Which promotions to list; None means any."""

    route: str | None = None
    model: str | None = None
    environment: str | None = None  #: one of its stages is there
    status: PromotionStatus | None = None


class StoreUnavailableError(Exception):
    """What is kept cannot be read or written just now, such as for a full disk; the text says why. Again later."""


class Store(Protocol):
    """Lanes, promotions and journals. A save is one atomic batch."""

    def load(self, key: LaneKey, promotion: str | None) -> tuple[Lane, int]:
        """The lane with all promotions under way, and the named one even if it has ended; and the lane's version.

        Of those that wait in line (`Promotion.in_line`), only the first `NEXT_IN_LINE` and the named one are there.
        """

    def save(self, before: Lane, after: Lane, version: int, journal: Sequence[JournalEntry]) -> None:
        """Save what differs. `version` is that of `before`; raises `VersionConflictError` if it is no longer.

        Raises ValueError, and saves nothing, for more changes than the store writes at once.
        """

    def overdue(self, now: datetime) -> Sequence[LaneKey]:
        """Lanes that wait for an answer which should have come by now."""

    def awaiting(self, job: AwaitedJob) -> Sequence[LaneKey]:
        """Lanes that the job's end wakes, and perhaps some that wait for it no more."""

    def watching_since(self, now: datetime) -> datetime:
        """When this was first asked: registrations from before the app was there are not its business."""

    def promotion(self, promotion: str) -> tuple[Promotion, Sequence[JournalEntry]] | None: ...

    def promotions(self, wanted: PromotionFilter, most: int, following: str | None) -> Page:
        """Raises ValueError where `following` is none of ours."""

    def lanes(self, route: str | None, model: str | None, most: int, following: str | None) -> LanePage:
        """Lanes of routes; those of a route or model only, if named. ValueError where `following` is none of ours."""

    def publishing(self) -> Publishing | None:
        """What was kept last; None before the first time."""

    def keep_publishing(self, publishing: Publishing) -> None: ...

    def claim(self, key: str, content: str) -> str:
        """What was first kept under the key: `content`, if nothing was. Of several callers at once one is the first."""
