"""What is known of a lane: its champions, and the promotions on their way. Values only; the rules are in `lane.py`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import Any

from shared.core.messages import GRACE, AwaitedJob, Candidate, Champion, Evidence, Failed, Kind, LaneKey
from shared.core.plan import KINDS, PlannedStep


class StepStatus(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"  #: a command for it is in a queue or with a worker
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"  #: its stage was turned back before it was done: nobody asks for it any more


class _Spoken(StrEnum):
    @property
    def words(self) -> str:
        """For people: without the hyphens that the value has for machines."""
        return self.value.replace("-", " ")


class StageStatus(_Spoken):
    WAITING = "waiting"  #: for the stages before it
    QUEUED = "queued"  #: for another promotion to leave the stage
    RUNNING = "running"
    UNDOING = "undoing"  #: walking the plan back after a failure
    SUCCEEDED = "succeeded"
    FAILED = "failed"  #: something broke
    REFUSED = "refused"  #: a gate said no
    REJECTED = "rejected"  #: a person said no, or nobody said yes in time
    CANCELLED = "cancelled"  #: a person called it off before it took traffic
    ROLLED_BACK = "rolled-back"  #: a person gave the traffic back to what served before
    SKIPPED = "skipped"  #: a stage before it did not succeed
    SUPERSEDED = "superseded"  #: a newer candidate took its place in the queue


class PromotionStatus(_Spoken):
    @property
    def told(self) -> str:
        """With its verb: `is running`, `has succeeded`."""
        return f"{'has' if self in ('succeeded', 'failed') else 'is'} {self.words}"

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolled-back"
    SUPERSEDED = "superseded"
    IGNORED = "ignored"  #: no route takes it: recorded, and nothing else happens


STAGE_ENDED = frozenset(
    {
        StageStatus.SUCCEEDED,
        StageStatus.FAILED,
        StageStatus.REFUSED,
        StageStatus.REJECTED,
        StageStatus.CANCELLED,
        StageStatus.ROLLED_BACK,
        StageStatus.SKIPPED,
        StageStatus.SUPERSEDED,
    }
)
#: Statuses in which no other promotion of the lane may be in the stage.
STAGE_OCCUPIED = frozenset({StageStatus.RUNNING, StageStatus.UNDOING})
PROMOTION_UNDER_WAY = frozenset({PromotionStatus.QUEUED, PromotionStatus.RUNNING})

#: Of the promotions that wait in line, so many are loaded with their lane: those that come next. How many wait behind
#: them then costs nothing.
NEXT_IN_LINE = 8

#: The role that lets people approve, where a stage names none.
APPROVER = "Promotion.Approver"


@dataclass(frozen=True)
class ApprovalRule:
    """The approval that a stage asks for, as it was when the promotion started."""

    least: int = 1  #: different people
    roles: tuple[str, ...] = (APPROVER,)  #: any one of them is enough
    not_requester: bool = True
    not_author: bool = False


#: Who asked for a promotion where that was done with a function key: a person, but nobody knows which.
SOMEBODY = "function key"


@dataclass(frozen=True)
class StepRun:
    """One step of a stage's plan, and how far it has come."""

    plan: PlannedStep
    status: StepStatus = StepStatus.WAITING
    poll: int = 0  #: number of the poll that is under way, from 1
    state: Mapping[str, Any] = field(default_factory=dict)  #: what its last poll wants to know at the next
    awaits: AwaitedJob | None = None  #: whose end its last poll waits for
    heard: AwaitedJob | None = None  #: whose end was told of before a poll said that it waits for it
    retries: int = 0  #: polls in a row that could not be made
    started: datetime | None = None
    ended: datetime | None = None
    next_poll: datetime | None = None
    deadline: datetime | None = None
    says: str = ""  #: what the last poll saw, in words
    seconds: float = 0.0  #: of function time used so far
    evidence: Evidence = field(default_factory=dict)
    failure: Failed | None = None


@dataclass(frozen=True)
class StageRun:
    """One stage of a promotion."""

    name: str
    environment: str
    endpoint: str  #: empty where the stage has none
    after: tuple[str, ...]  #: names of the stages that must have succeeded
    settings: Mapping[str, Any]  #: as they were when the promotion started
    steps: tuple[StepRun, ...]
    approval: ApprovalRule = ApprovalRule()
    undoing: tuple[StepRun, ...] = ()
    status: StageStatus = StageStatus.WAITING
    attempt: int = 1
    ends_as: StageStatus = StageStatus.FAILED  #: what it becomes once it is undone
    predecessor: Champion | None = None  #: what served the stage when this promotion entered it
    #: Until then a command of the stage that was never answered may still act: no undo begins before.
    unanswered_until: datetime | None = None
    abandoned: str = ""  #: who gave up its way back, and why; empty where nobody did
    queued: datetime | None = None  #: since when it waits for its turn
    started: datetime | None = None
    ended: datetime | None = None
    reason: str = ""

    @property
    def current(self) -> StepRun | None:
        """The step that is next or under way; None when the walk is at its end.

        On the way back that is first the step that was under way when the stage was turned back: it must have answered
        before it is undone.
        """
        if self.status not in STAGE_OCCUPIED:
            return None
        if self.status is StageStatus.RUNNING:
            return _first(self.steps, StepStatus.WAITING, StepStatus.RUNNING)
        return _first(self.steps, StepStatus.RUNNING) or _first(self.undoing, StepStatus.WAITING, StepStatus.RUNNING)

    def is_held(self, now: datetime) -> bool:
        """Whether a command that was never answered may still act."""
        return self.unanswered_until is not None and now < self.unanswered_until

    def has_called_off(self, step: StepRun) -> bool:
        """Whether a step that is under way is not to be asked again: the stage was turned back meanwhile, or the way
        back was abandoned."""
        if self.status is not StageStatus.UNDOING:
            return False
        return bool(self.abandoned) or any(step.plan.name == other.plan.name for other in self.steps)

    def left_unanswered(self, step: StepRun) -> "StageRun":
        """This stage, remembering how long the present command of a step may still act though nobody waits for it."""
        if step.next_poll is None:
            return self
        until = step.next_poll + GRACE
        return replace(self, unanswered_until=max(until, self.unanswered_until or until))

    def environment_of(self, step: str) -> str | None:
        """Whose worker is asked for a step, or for one that undoes it; None for a step that the stage does not have."""
        plans = (known.plan for known in (*self.steps, *self.undoing))
        return next((plan.environment for plan in plans if step == plan.name or step in plan.undo), None)

    def with_step(self, step: StepRun) -> "StageRun":
        """This stage with the step of the same name replaced; no step of the plan is named as one that undoes."""

        def put(steps: tuple[StepRun, ...]) -> tuple[StepRun, ...]:
            return tuple(step if other.plan.name == step.plan.name else other for other in steps)

        return replace(self, steps=put(self.steps), undoing=put(self.undoing))


def _first(steps: tuple[StepRun, ...], *statuses: StepStatus) -> StepRun | None:
    return next((step for step in steps if step.status in statuses), None)


@dataclass(frozen=True)
class Promotion:
    """One candidate's journey along a lane."""

    id: str
    lane: LaneKey
    candidate: Candidate
    stages: tuple[StageRun, ...]
    requested_by: str
    configuration: str  #: hash of the configuration that it started with
    created: datetime
    updated: datetime
    status: PromotionStatus = PromotionStatus.QUEUED
    reason: str = ""  #: why it ended as it did
    requester: str = ""  #: id of the person who asked for it; empty if it came by itself
    lines: int = 0  #: of its journal so far

    @property
    def under_way(self) -> bool:
        return self.status in PROMOTION_UNDER_WAY

    @property
    def by_somebody(self) -> bool:
        """Whether a person asked for it without signing in. What came by itself was asked for by no person."""
        return not self.requester and self.requested_by == SOMEBODY

    @property
    def in_line(self) -> bool:
        """Whether it only waits behind others that go on before it, each in its turn."""
        return self.status is PromotionStatus.QUEUED and not KINDS[self.candidate.kind].supersedes

    def stage(self, name: str) -> StageRun | None:
        return next((stage for stage in self.stages if stage.name == name), None)

    def with_stage(self, stage: StageRun) -> "Promotion":
        return replace(self, stages=tuple(stage if other.name == stage.name else other for other in self.stages))

    def evidence_for(self, stage: StageRun) -> dict[str, Evidence]:
        """What the steps of a stage may build on: evidence that travels with the candidate, then the stage's own."""
        known = [*self.travelling(), *stage.steps]
        return {step.plan.name: step.evidence for step in known if step.status is StepStatus.SUCCEEDED}

    def travelling(self) -> Iterator[StepRun]:
        """The steps whose evidence is about the candidate itself."""
        return (step for stage in self.stages for step in stage.steps if step.plan.travels)


@dataclass(frozen=True)
class Hold:
    """Keeps new promotions out of a stage until a person releases it."""

    promotion: str  #: whose rollback set it
    by: str
    reason: str
    since: datetime


@dataclass(frozen=True)
class Unpublished:
    """Changes that may not have been published, and that no message brings again: the timer looks after them."""

    since: datetime
    lines: Mapping[str, int]  #: by promotion: the first line of its journal that may be missing


@dataclass(frozen=True)
class Lane:
    """A lane as the core sees it: those promotions that are under way, and the one an event speaks of. Of those that
    wait in line only the next few are here."""

    key: LaneKey
    champions: Mapping[str, Champion] = field(default_factory=dict)  #: by stage
    holds: Mapping[str, Hold] = field(default_factory=dict)  #: by stage
    promotions: tuple[Promotion, ...] = ()
    unpublished: Unpublished | None = None
    #: By stage: until then a command of a promotion that has left it may still act, so that nobody enters.
    closed_until: Mapping[str, datetime] = field(default_factory=dict)
    #: By stage and step: the seconds that it took the last times.
    durations: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def promotion(self, promotion: str) -> Promotion | None:
        place = self._places.get(promotion)
        return None if place is None else self.promotions[place]

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {promotion.id: place for place, promotion in enumerate(self.promotions)}

    @cached_property
    def _occupants(self) -> Mapping[tuple[Kind, str], str]:
        """By kind and stage: the promotion that is in the stage."""
        return {
            (promotion.candidate.kind, stage.name): promotion.id
            for promotion in self.under_way()
            for stage in promotion.stages
            if stage.status in STAGE_OCCUPIED
        }

    def occupant(self, kind: Kind, stage: str) -> str | None:
        """The promotion of that kind that is in a stage: others of the kind wait until it has left."""
        return self._occupants.get((kind, stage))

    def under_way(self) -> Iterator[Promotion]:
        return (promotion for promotion in self.promotions if promotion.under_way)

    def serves(self, promotion: Promotion, stage: StageRun) -> bool:
        """Whether the promotion's candidate is the stage's champion."""
        champion = self.champions.get(stage.name)
        return champion is not None and champion.promotion == promotion.id

    def without_past_closures(self, now: datetime) -> "Lane":
        open_still = {stage: until for stage, until in self.closed_until.items() if now < until}
        return self if len(open_still) == len(self.closed_until) else replace(self, closed_until=open_still)

    def with_promotion(self, promotion: Promotion) -> "Lane":
        """This lane with the promotion replaced, or added at the end; the same lane if it has that one already."""
        place = self._places.get(promotion.id)
        if place is None:
            return replace(self, promotions=(*self.promotions, promotion))
        if promotion == self.promotions[place]:
            return self
        return replace(self, promotions=(*self.promotions[:place], promotion, *self.promotions[place + 1 :]))


def promotion_id(lane: LaneKey, candidate: Candidate, request: str = "") -> str:
    """Deterministic, so that the same news twice is one promotion; a person's request adds a text of its own."""

    def slug(text: str, most: int) -> str:
        return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text)[:most].strip("-")

    own = _digest(_OWN_DIGITS, candidate.kind, candidate.name, candidate.version, candidate.workspace.lower(), request)
    return f"{slug(candidate.name, 32)}-{slug(candidate.version, 12)}-{lane_digest(lane)}{own}".lower()


def lane_digest(lane: LaneKey) -> str:
    """Six hexadecimal digits that tell most lanes apart, and stand in the id of each of their promotions."""
    return _digest(_LANE_DIGITS, lane.route, lane.model)


def lane_digest_of(promotion: str) -> str | None:
    """The digest of a promotion's lane, read from the promotion's id; None for what is no such id."""
    found = _PROMOTION_ID.fullmatch(promotion)
    return found[1] if found else None


#: In hexadecimal digits. The lane's only finds the lane's neighbours; what is the promotion's own must be its alone.
_LANE_DIGITS, _OWN_DIGITS = 6, 20

_PROMOTION_ID = re.compile(rf"[a-z0-9-]{{0,60}}-([0-9a-f]{{{_LANE_DIGITS}}})[0-9a-f]{{{_OWN_DIGITS}}}")


def _digest(digits: int, *parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:digits]
