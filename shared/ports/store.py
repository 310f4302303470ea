"""The port of the coordinator's store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.core.holds import Holds
from shared.core.journal import JournalEntry
from shared.core.messages import AwaitedJob, LaneKey
from shared.core.promotion import Lane, Promotion, PromotionStatus


@dataclass(frozen=True)
class Publishing:
    """The result of the last attempt to publish changes, by any process of the app."""

    at: datetime
    trouble: str = ""  #: in a sentence; empty if the topic accepted them


class VersionConflictError(Exception):
    """Somebody else has saved the lane since it was loaded. Load it and decide again."""


@dataclass(frozen=True)
class Page:
    """Some promotions, newest first. `following` continues the list; None at the end."""

    promotions: Sequence[Promotion]
    following: str | None


@dataclass(frozen=True)
class LanePage:
    """Some lanes, ordered by name, each with its promotions under way; `following` as in `Page`."""

    lanes: Sequence[Lane]
    following: str | None


@dataclass(frozen=True)
class PromotionFilter:
    """Which promotions to list; None means any."""

    route: str | None = None
    model: str | None = None
    environment: str | None = None  #: one of its stages is in this environment
    status: PromotionStatus | None = None


class StoreUnavailableError(Exception):
    """The store cannot be read or written now, such as when the disk is full; the text says why. Try again later."""


class Store(Protocol):
    """Lanes, promotions and journals. A save is one atomic batch."""

    def load(self, key: LaneKey, promotion: str | None) -> tuple[Lane, int]:
        """The lane and its version. The lane has all promotions that are under way or keep something
        (`Promotion.at_work`), and the named one even if it has ended.

        Of those that wait in line (`Promotion.in_line`), only the first `NEXT_IN_LINE` and the named one are loaded.
        """

    def save(self, before: Lane, after: Lane, version: int, journal: Sequence[JournalEntry]) -> None:
        """Save what differs. `version` is that of `before`; raises `VersionConflictError` if the lane has changed
        since.

        Raises ValueError, and saves nothing, if there are more changes than the store can write at once.
        """

    def overdue(self, now: datetime) -> Sequence[LaneKey]:
        """The lanes whose awaited answer is overdue."""

    def awaiting(self, job: AwaitedJob) -> Sequence[LaneKey]:
        """The lanes that the job's end wakes, and perhaps some that no longer wait for it."""

    def watching_since(self, now: datetime) -> datetime:
        """The time of the first call. The app ignores registrations from before that."""

    def promotion(self, promotion: str) -> tuple[Promotion, Sequence[JournalEntry]] | None: ...

    def promotions(self, wanted: PromotionFilter, most: int, following: str | None) -> Page:
        """One page of promotions. Raises ValueError if `following` is not a valid continuation."""

    def lanes(self, route: str | None, model: str | None, most: int, following: str | None) -> LanePage:
        """Lanes of routes, optionally of one route or model. ValueError if `following` is not a valid continuation."""

    def publishing(self) -> Publishing | None:
        """The last result; None before the first one."""

    def keep_publishing(self, publishing: Publishing) -> None: ...

    def holds(self) -> tuple[Holds, int]:
        """The holds of operators, and the version of what is stored: 0 before the first."""

    def save_holds(self, holds: Holds, version: int) -> None:
        """Save them. `version` is that of the holds that were read; raises `VersionConflictError` if they have changed
        since."""

    def claim(self, key: str, content: str) -> str:
        """Store `content` under the key unless something is stored already. Returns what is stored; concurrent callers
        all get the same."""
