"""The events of a lane. Each event knows who sent it, which promotion it needs, and whether it can be delivered again.

Workers' reports are in `messages.py`, since they travel through queues. They have the same properties.
"""

from dataclasses import dataclass
from datetime import timedelta

from shared.core.lane_notes import Cause
from shared.core.messages import RECONCILE, AwaitedJob, LaneKey, StepReported
from shared.core.promotion import Lane, Promotion, StageRun


@dataclass(frozen=True)
class Person:
    """A person who is signed in."""

    id: str  #: object id in Entra ID
    name: str
    roles: tuple[str, ...]
    groups: tuple[str, ...] = ()  #: object ids of the Entra ID groups in the token, in lower case
    groups_left_out: str = ""  #: why the token has no groups although the person is in some; empty if it may have


@dataclass(frozen=True)
class PromotionRequested:
    """A candidate should be promoted along this lane. `routing.py` makes one from news, or from a person's request."""

    promotion: Promotion
    refusal: str = ""  #: if set: why the promotion is recorded and ends at once
    automatic: bool = True
    reason: str = ""  #: the reason that a person gave

    @property
    def lane(self) -> LaneKey:
        return self.promotion.lane

    def about(self, lane: Lane | None) -> str:
        """The promotion that must be loaded."""
        return self.promotion.id

    @property
    def who(self) -> str:
        return self.promotion.requested_by

    @property
    def comes_again(self) -> bool:
        """Whether its queue delivers it again if the process dies while handling it."""
        return self.automatic and self.may_be_repeated

    @property
    def may_be_repeated(self) -> bool:
        """Whether staleness means that it was delivered before. Not so for the timer, which finds the same
        registrations repeatedly."""
        return self.promotion.requested_by != RECONCILE


@dataclass(frozen=True)
class TimePassed:
    """The reconciling timer found the lane overdue."""

    lane: LaneKey
    who: str = ""
    comes_again: bool = False
    may_be_repeated: bool = False

    def about(self, lane: Lane | None) -> str | None:
        return None


@dataclass(frozen=True)
class AwaitedJobEnded:
    """A job has ended that a step of the lane waits for, or that one of the lane's promotions submitted."""

    lane: LaneKey
    job: AwaitedJob
    promotion: str = ""  #: that has submitted it, as far as the job's tag says so
    who: str = ""
    comes_again: bool = False
    may_be_repeated: bool = False

    def about(self, lane: Lane | None) -> str | None:
        return self.promotion or None


@dataclass(frozen=True)
class RunAsked:
    """The pipeline that serves a stage is to run there again, if it is time for it."""

    lane: LaneKey
    stage: StageRun  #: as a promotion starts with it now
    cause: Cause
    requested_by: str
    configuration: str  #: hash, as in `Promotion`
    pause: timedelta = timedelta(0)  #: since the last run, for a schedule; since the last one for drift, for drift
    most_in_month: int = 0  #: runs for drift
    requester: str = ""  #: as in `Promotion`
    reason: str = ""
    bundle: str = ""  #: as in `Promotion`
    comes_again: bool = False
    may_be_repeated: bool = False

    def about(self, lane: Lane | None) -> str | None:
        return None

    @property
    def who(self) -> str:
        return self.requested_by


@dataclass(frozen=True)
class AlertChanged:
    """An alert on a stage's endpoint has fired, or is resolved."""

    lane: LaneKey
    stage: str
    alert: str  #: its id
    rule: str
    fired: bool
    says: str
    who: str = ""
    comes_again: bool = True
    may_be_repeated: bool = True

    def about(self, lane: Lane | None) -> str | None:
        """The promotion that it fired for, else the one that serves the stage."""
        if lane is None:
            return None
        kept = [each.promotion for each in lane.alerts.get(self.stage, ()) if each.id == self.alert]
        champion = lane.champions.get(self.stage)
        return kept[0] if kept else champion.promotion if champion is not None else None


class _OfPerson:
    """A person's request to a lane. It is applied at once, so no queue delivers it again."""

    by: Person
    reason: str

    @property
    def who(self) -> str:
        return self.by.name

    @property
    def comes_again(self) -> bool:
        return False

    def asked(self) -> str:
        """Who asked, and why."""
        return f"{self.by.name}: {self.reason}" if self.reason else self.by.name


@dataclass(frozen=True)
class _OfPromotion(_OfPerson):
    """A person's request about one promotion."""

    lane: LaneKey
    promotion: str
    by: Person
    reason: str

    def about(self, lane: Lane | None) -> str | None:
        return self.promotion

    @property
    def may_be_repeated(self) -> bool:
        return True


@dataclass(frozen=True)
class Approved(_OfPromotion):
    """A person lets a waiting stage continue. `evidence`: digest of what the person saw, if their tool sends it."""

    stage: str | None = None
    evidence: str | None = None


@dataclass(frozen=True)
class Rejected(_OfPromotion):
    """A person ends a waiting stage."""

    stage: str | None = None


@dataclass(frozen=True)
class Cancelled(_OfPromotion):
    """A person cancels the promotion."""


@dataclass(frozen=True)
class RolledBack(_OfPromotion):
    """A person rolls a stage back. `stage` defaults to the one under way, else the last one that the promotion
    serves."""

    stage: str | None = None


@dataclass(frozen=True)
class Abandoned(_OfPromotion):
    """A person stops undoing a promotion: what is not undone yet stays as it is."""

    stage: str | None = None


@dataclass(frozen=True)
class KeepingEnded(_OfPromotion):
    """A person has the deployments removed that a promotion replaced and keeps. `stage` defaults to all that keep
    some."""

    stage: str | None = None


@dataclass(frozen=True)
class Renewed:
    """The files of the newest bundle, which a retry uses from now on."""

    bundle: str  #: its digest
    changed: tuple[str, ...] = ()  #: names of the promotion's files that differ in it


@dataclass(frozen=True)
class Retried(_OfPromotion):
    """A person retries a failed promotion, or has one that is under way polled now."""

    from_step: str | None = None
    only_failed: bool = False  #: refuse a promotion that is under way
    renewed: Renewed | None = None  #: None: the promotion keeps its files


@dataclass(frozen=True)
class Replayed(_OfPromotion):
    """A person replays a promotion's dead letters: only noted here, since the messages themselves follow."""

    what: str  #: in words


@dataclass(frozen=True)
class Discarded(_OfPromotion):
    """A person discards a promotion's dead letters: only noted here, and nothing follows."""

    what: str  #: in words


@dataclass(frozen=True)
class Released(_OfPerson):
    """A person releases a held stage, so that new promotions may enter it again."""

    lane: LaneKey
    stage: str
    by: Person
    reason: str

    def about(self, lane: Lane | None) -> str | None:
        """The promotion whose rollback set the hold: its journal gets the line."""
        hold = lane.holds.get(self.stage) if lane is not None else None
        return hold.promotion if hold else None

    @property
    def may_be_repeated(self) -> bool:
        return False


PersonEvent = (
    Approved | Rejected | Cancelled | RolledBack | Abandoned | KeepingEnded | Retried | Released | Replayed | Discarded
)
LaneEvent = PromotionRequested | StepReported | TimePassed | AwaitedJobEnded | RunAsked | AlertChanged | PersonEvent


class NotNowError(Exception):
    """The request does not fit the lane's current state; the text says why."""


class TakenElsewhereError(NotNowError):
    """The stage's environment takes approvals in its own app."""

    def __init__(self, says: str, stage: str, environment: str) -> None:
        super().__init__(says)
        self.stage = stage
        self.environment = environment


class NotAllowedError(Exception):
    """The person may not do this; the text says what is missing."""
