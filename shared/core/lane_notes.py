"""What a lane notes beside its promotions: holds, alerts, runs that were asked for, and what is still to publish."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.core.wire import Moment


@dataclass(frozen=True)
class Hold:
    """Keeps new promotions out of a stage until a person releases it."""

    promotion: str  #: the promotion whose rollback set it
    by: str
    reason: str
    since: Moment


@dataclass(frozen=True)
class Alert:
    """An alert on a stage's endpoint."""

    id: str
    promotion: str  #: that served when it fired
    rule: str
    says: str
    at: Moment  #: when the app was told of it
    resolved: Moment | None = None


@dataclass(frozen=True)
class Unpublished:
    """Changes that may not have been published, and that no redelivery would publish: the timer does."""

    since: Moment
    lines: Mapping[str, int]  #: by promotion: the first line of its journal that may be missing


class Cause(StrEnum):
    """Why a pipeline runs again."""

    SCHEDULE = "schedule"
    DRIFT = "drift"
    PERSON = "person"


@dataclass(frozen=True)
class AskedRun:
    """A run that was asked for in a stage."""

    at: Moment
    cause: Cause
