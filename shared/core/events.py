"""What can happen to a lane. Each event says itself whom it is from, which promotion it needs, and whether it can come
again.

Reports of workers are in `messages.py`, since they travel through queues. They answer the same questions.
"""

from dataclasses import dataclass

from shared.core.messages import RECONCILE, AwaitedJob, LaneKey, StepReported
from shared.core.promotion import Lane, Promotion


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in."""

    id: str  #: of the Entra ID principal
    name: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class PromotionRequested:
    """A candidate is to go along this lane. Made by `routing.py` from news, or from a person's request."""

    promotion: Promotion
    refusal: str = ""  #: why nothing is to happen: then it is recorded and ends at once
    automatic: bool = True
    reason: str = ""  #: why a person wants it

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
        """Whether its queue delivers it again if the process dies over it."""
        return self.automatic and self.may_be_repeated

    @property
    def may_be_repeated(self) -> bool:
        """Whether it is stale only if it was delivered before. The timer finds the same registrations repeatedly."""
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
    """A job has ended that a step of the lane waits for, or that one of the lane's promotions has submitted."""

    lane: LaneKey
    job: AwaitedJob
    promotion: str = ""  #: that has submitted it, as far as the job's tag says so
    who: str = ""
    comes_again: bool = False
    may_be_repeated: bool = False

    def about(self, lane: Lane | None) -> str | None:
        return self.promotion or None


class _OfPerson:
    """What a person asks of a lane. It is applied at once, so no queue delivers it again."""

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
    """What a person asks of one promotion."""

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
    """A person lets a waiting stage go on. `evidence`: digest of what was seen, if the person's tool gives it."""

    stage: str | None = None
    evidence: str | None = None


@dataclass(frozen=True)
class Rejected(_OfPromotion):
    """A person ends a waiting stage."""

    stage: str | None = None


@dataclass(frozen=True)
class Cancelled(_OfPromotion):
    """A person calls the promotion off."""


@dataclass(frozen=True)
class RolledBack(_OfPromotion):
    """A person gives a stage's traffic back. `stage`: the one under way or the last that it serves, if left out."""

    stage: str | None = None


@dataclass(frozen=True)
class Abandoned(_OfPromotion):
    """A person ends the way back of a promotion where it stands: what is not undone yet stays as it is."""

    stage: str | None = None


@dataclass(frozen=True)
class Retried(_OfPromotion):
    """A person has a failed promotion tried again, or one that is under way polled now."""

    from_step: str | None = None
    only_failed: bool = False  #: one that is under way is refused


@dataclass(frozen=True)
class Replayed(_OfPromotion):
    """A person has dead-lettered messages of a promotion delivered again: noted, and what they bring follows."""

    what: str  #: in words


@dataclass(frozen=True)
class Discarded(_OfPromotion):
    """A person has put dead-lettered messages of a promotion aside for good: noted, and nothing follows."""

    what: str  #: in words


@dataclass(frozen=True)
class Released(_OfPerson):
    """A person lets new promotions into a held stage again."""

    lane: LaneKey
    stage: str
    by: Person
    reason: str

    def about(self, lane: Lane | None) -> str | None:
        """The promotion whose rollback set the hold: the line is written into its journal."""
        hold = lane.holds.get(self.stage) if lane is not None else None
        return hold.promotion if hold else None

    @property
    def may_be_repeated(self) -> bool:
        return False


PersonEvent = Approved | Rejected | Cancelled | RolledBack | Abandoned | Retried | Released | Replayed | Discarded
LaneEvent = PromotionRequested | StepReported | TimePassed | AwaitedJobEnded | PersonEvent


class NotNowError(Exception):
    """The request does not apply to the lane as it is; the text says why."""


class TakenElsewhereError(NotNowError):
    """The stage's environment takes its approvals in an app of its own."""

    def __init__(self, says: str, stage: str, environment: str) -> None:
        super().__init__(says)
        self.stage = stage
        self.environment = environment


class NotAllowedError(Exception):
    """The person may not ask for this; the text says what is missing."""
