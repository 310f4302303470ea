"""What a lane notes beside its promotions: holds, alerts, runs that were asked for, and what is still to publish."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from shared.core.wire import Moment


class Hold(Struct, frozen=True):
    """Keeps new promotions out of a stage until a person releases it."""

    promotion: str  #: the promotion whose rollback set it
    by: str
    reason: str
    since: Moment


class Alert(Struct, frozen=True):
    """An alert on a stage's endpoint."""

    id: str
    promotion: str  #: that served when it fired
    rule: str
    says: str
    at: Moment  #: when the app was told of it
    resolved: Moment | None = None


class Unpublished(Struct, frozen=True):
    """Changes that may not have been published, and that no redelivery would publish: the timer does."""

    since: Moment
    lines: Mapping[str, int]  #: by promotion: the first line of its journal that may be missing


class Cause(StrEnum):
    """Why a pipeline runs again."""

    SCHEDULE = "schedule"
    DRIFT = "drift"
    PERSON = "person"


class AskedRun(Struct, frozen=True):
    """A run that was asked for in a stage."""

    at: Moment
    cause: Cause
