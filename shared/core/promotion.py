"""The state of a lane: its champions, and the promotions under way. Values only; the rules are in `lane.py`."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

from msgspec import Struct, field

from shared.core.lane_notes import Alert, AskedRun, Hold, Unpublished
from shared.core.messages import GRACE, AwaitedJob, Candidate, Champion, Evidence, Failed, Kind, LaneKey
from shared.core.plan import KINDS, PlannedStep
from shared.core.replacing import replace
from shared.core.window import Window
from shared.core.wire import Moment


class StepStatus(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"  #: a command for it is in a queue or with a worker
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"  #: its stage was turned back before it ended: it is not polled again


class _Spoken(StrEnum):
    @property
    def words(self) -> str:
        """The value for people, without hyphens."""
        return self.value.replace("-", " ")


class StageStatus(_Spoken):
    WAITING = "waiting"  #: for the stages before it
    QUEUED = "queued"  #: for another promotion to leave the stage
    RUNNING = "running"
    UNDOING = "undoing"  #: undoing its steps, such as after a failure
    SUCCEEDED = "succeeded"
    FAILED = "failed"  #: something broke
    REFUSED = "refused"  #: a gate said no
    REJECTED = "rejected"  #: a person said no, or nobody said yes in time
    CANCELLED = "cancelled"  #: a person cancelled it before it took traffic
    ROLLED_BACK = "rolled-back"  #: a person returned the traffic to what served before
    SKIPPED = "skipped"  #: a stage before it did not succeed
    SUPERSEDED = "superseded"  #: a newer candidate took its place in the queue


class PromotionStatus(_Spoken):
    @property
    def told(self) -> str:
        """The status with its verb: `is running`, `has succeeded`."""
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
    IGNORED = "ignored"  #: no route takes it: it is recorded, and nothing else happens


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
#: In these statuses, no other promotion of the lane may be in the stage.
STAGE_OCCUPIED = frozenset({StageStatus.RUNNING, StageStatus.UNDOING})
PROMOTION_UNDER_WAY = frozenset({PromotionStatus.QUEUED, PromotionStatus.RUNNING})

#: How many of the promotions that wait in line are loaded with their lane: the next ones. The length of the line then
#: costs nothing.
NEXT_IN_LINE = 8

#: The role that lets people approve, unless a stage names others.
APPROVER = "Promotion.Approver"


class ApprovalRule(Struct, frozen=True):
    """The approval that a stage requires, as it was when the promotion started."""

    least: int = 1  #: different people
    roles: tuple[str, ...] = (APPROVER,)  #: any one of them is enough
    not_requester: bool = True
    not_author: bool = False
    #: Object ids of Entra ID groups, in lower case: a person must be in one of them, too. Empty: no group is needed.
    groups: tuple[str, ...] = ()


#: The requester if a promotion was started with a function key: a person, but unknown who.
SOMEBODY = "function key"


class StepRun(Struct, frozen=True, omit_defaults=True):
    """One step of a stage's plan, and its progress. Documents leave defaults out, as they do of its plan."""

    plan: PlannedStep
    status: StepStatus = StepStatus.WAITING
    poll: int = 0  #: number of the current poll, from 1
    state: Mapping[str, Any] = field(default_factory=dict)  #: what its last poll kept for the next
    awaits: AwaitedJob | None = None  #: the job that its last poll waits for
    heard: AwaitedJob | None = None  #: a job whose end was reported before a poll said that the step waits for it
    only_reads: bool = False  #: its last poll said that the current one changes nothing
    retries: int = 0  #: number of consecutive polls that could not be made
    started: Moment | None = None
    ended: Moment | None = None
    next_poll: Moment | None = None
    deadline: Moment | None = None
    not_before: Moment | None = None  #: it waits for this time: to begin, or to end if it only waits
    first_running: Moment | None = None  #: when a poll first found it under way: Azure had begun its work by then
    seen_running: Moment | None = None  #: when a poll last found it under way
    says: str = ""  #: what the last poll saw, in words
    seconds: float = 0.0  #: function time used so far
    evidence: Evidence = field(default_factory=dict)
    failure: Failed | None = None


class Held(Struct, frozen=True):
    """The hold that a stage met when it would have gone on."""

    scope: str  #: in words, as in `holds.Scope`; the stage's name for the hold of a rollback
    by: str
    reason: str
    since: Moment
    until: Moment | None = None  #: when the hold ends by itself
    look_again: Moment | None = None  #: in case nobody says that it was released

    def is_same(self, other: "Held | None") -> bool:
        """Whether both are the same hold, whenever each was looked at."""
        return other is not None and self == replace(other, look_again=self.look_again)

    @property
    def next_look(self) -> datetime | None:
        return min(filter(None, (self.until, self.look_again)), default=None)


class StageRun(Struct, frozen=True, dict=True):
    """One stage of a promotion."""

    name: str
    environment: str
    endpoint: str  #: empty if the stage has none
    after: tuple[str, ...]  #: names of the stages that must have succeeded
    settings: Mapping[str, Any]  #: as they were when the promotion started
    steps: tuple[StepRun, ...]
    approval: ApprovalRule = ApprovalRule()
    soak: timedelta = timedelta(0)  #: how long the stages before must have served the candidate
    windows: tuple[Window, ...] = ()  #: when steps may begin that have to be in a window; none: always
    held: Held | None = None  #: what keeps it waiting
    undoing: tuple[StepRun, ...] = ()
    status: StageStatus = StageStatus.WAITING
    attempt: int = 1
    ends_as: StageStatus = StageStatus.FAILED  #: its status once it is undone
    predecessor: Champion | None = None  #: what served the stage when this promotion entered it
    #: Until then an unanswered command of the stage may still act, so no undo begins earlier.
    unanswered_until: Moment | None = None
    #: Until then such a command may still move the traffic, so no later step begins earlier.
    moving_until: Moment | None = None
    abandoned: str = ""  #: who stopped undoing it, and why; empty if nobody did
    #: Until then it keeps the deployments that it replaced, without traffic; None if it keeps none.
    kept_until: Moment | None = None
    queued: Moment | None = None  #: when it started to wait for its turn
    started: Moment | None = None
    ended: Moment | None = None
    reason: str = ""

    @cached_property  # asked for twenty times in each decision
    def current(self) -> StepRun | None:
        """The step that is next or under way; None when all have ended.

        While the stage is being undone, that is first the step that was under way when it was turned back: it must
        answer before it is undone. After the stage's end, it is a step with a delay, once it has begun.
        """
        if self.status is StageStatus.SUCCEEDED:
            return _first(self.steps, StepStatus.RUNNING)
        if self.status not in STAGE_OCCUPIED:
            return None
        if self.status is StageStatus.RUNNING:
            at_once = tuple(step for step in self.steps if not step.plan.delay)
            return _first(at_once, StepStatus.WAITING, StepStatus.RUNNING)
        return _first(self.steps, StepStatus.RUNNING) or _first(self.undoing, StepStatus.WAITING, StepStatus.RUNNING)

    @property
    def is_occupied(self) -> bool:
        """Whether no other promotion of the lane may be in the stage."""
        return self.current is not None or self.status in STAGE_OCCUPIED

    def is_held(self, now: datetime) -> bool:
        """Whether an unanswered command may still act."""
        return self.unanswered_until is not None and now < self.unanswered_until

    def held_until(self, step: StepRun) -> datetime | None:
        """Until when the step, which is next, may not begin, because an earlier command may still act. May be past.

        Once undoing has begun, no forward step can act any more, and undoing steps may overlap. A step that moves
        traffic leaves something else than those after it, so none of these may begin before it can no longer act.
        """
        if self.undoing:
            return self.unanswered_until if step is self.undoing[0] else None
        return self.moving_until

    def has_called_off(self, step: StepRun) -> bool:
        """Whether a step under way must not be polled again: the stage was turned back since, or its undo was
        abandoned."""
        if self.status is not StageStatus.UNDOING:
            return False
        return bool(self.abandoned) or any(step.plan.name == other.plan.name for other in self.steps)

    def left_unanswered(self, step: StepRun) -> "StageRun":
        """This stage, which records how long a step's current command may still act although nobody waits for it."""
        if step.next_poll is None:
            return self
        until = step.next_poll + GRACE
        stage = replace(self, unanswered_until=max(until, self.unanswered_until or until))
        if not step.plan.moves_traffic:
            return stage
        return replace(stage, moving_until=max(until, self.moving_until or until))

    @property
    def breach(self) -> str:
        """What was found while the stage was watched, and it serves all the same; empty if nothing was."""
        return next((step.failure.reason for step in self.steps if step.plan.holds and step.failure is not None), "")

    def environment_of(self, step: str) -> str | None:
        """The environment whose worker runs a step or its undo; None for a step that the stage does not have."""
        plans = (known.plan for known in (*self.steps, *self.undoing))
        return next((plan.environment for plan in plans if step == plan.name or step in plan.undo), None)

    def with_step(self, step: StepRun) -> "StageRun":
        """This stage with the step of the same name replaced. Names of steps and of undoing steps never clash."""

        def put(steps: tuple[StepRun, ...]) -> tuple[StepRun, ...]:
            return tuple(step if other.plan.name == step.plan.name else other for other in steps)

        return replace(self, steps=put(self.steps), undoing=put(self.undoing))


def _first(steps: tuple[StepRun, ...], *statuses: StepStatus) -> StepRun | None:
    return next((step for step in steps if step.status in statuses), None)


class Promotion(Struct, frozen=True):
    """One candidate's journey along a lane."""

    id: str
    lane: LaneKey
    candidate: Candidate
    stages: tuple[StageRun, ...]
    requested_by: str
    configuration: str  #: hash of the configuration it started with
    created: Moment
    updated: Moment
    status: PromotionStatus = PromotionStatus.QUEUED
    reason: str = ""  #: why it ended
    requester: str = ""  #: id of the person who requested it; empty if it started automatically
    lines: int = 0  #: length of its journal so far
    bundle: str = ""  #: digest of the bundle whose files it uses; empty if they are the app's own

    @property
    def under_way(self) -> bool:
        return self.status in PROMOTION_UNDER_WAY

    @property
    def keeps(self) -> bool:
        """Whether it keeps deployments that it replaced, and will remove them although it has ended."""
        return any(stage.kept_until is not None for stage in self.stages)

    @property
    def at_work(self) -> bool:
        """Whether the rules go on with it: it is under way, or has something left to remove."""
        return self.under_way or self.keeps

    @property
    def by_somebody(self) -> bool:
        """Whether a person requested it without signing in. Nobody requests one that starts automatically."""
        return not self.requester and self.requested_by == SOMEBODY

    @property
    def by_person(self) -> bool:
        """Whether a person requested it, signed in or not."""
        return bool(self.requester) or self.by_somebody

    @property
    def in_line(self) -> bool:
        """Whether it only waits in line behind others."""
        return self.status is PromotionStatus.QUEUED and not KINDS[self.candidate.kind].supersedes

    def stage(self, name: str) -> StageRun | None:
        return next((stage for stage in self.stages if stage.name == name), None)

    def with_stage(self, stage: StageRun) -> "Promotion":
        return replace(self, stages=tuple(stage if other.name == stage.name else other for other in self.stages))

    def evidence_for(self, stage: StageRun) -> dict[str, Evidence]:
        """The evidence that the steps of a stage may use: what travels with the candidate, then the stage's own."""
        known = [*self.travelling(), *stage.steps]
        return {step.plan.name: step.evidence for step in known if step.status is StepStatus.SUCCEEDED}

    def approvable(self, stage: StageRun) -> dict[str, Evidence]:
        """The evidence for a stage that people approve."""
        informing = {step.plan.name for step in stage.steps if step.plan.informs}
        return {name: seen for name, seen in self.evidence_for(stage).items() if name not in informing}

    def travelling(self) -> Iterator[StepRun]:
        """The steps whose evidence travels with the candidate."""
        return (step for stage in self.stages for step in stage.steps if step.plan.travels)


class Lane(Struct, frozen=True, dict=True):
    """A lane as the core sees it: the promotions under way, and the one that an event is about. Of those that wait in
    line, only the next few are loaded."""

    key: LaneKey
    champions: Mapping[str, Champion] = field(default_factory=dict)  #: by stage
    holds: Mapping[str, Hold] = field(default_factory=dict)  #: by stage
    promotions: tuple[Promotion, ...] = ()
    unpublished: Unpublished | None = None
    #: By stage: until then a command of a promotion that has left it may still act, so no other may enter.
    closed_until: Mapping[str, Moment] = field(default_factory=dict)
    #: By stage and step: the least and the most seconds that it can have taken, of the last times.
    durations: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    #: By stage: when its pipeline was last asked to run again.
    runs: Mapping[str, tuple[AskedRun, ...]] = field(default_factory=dict)
    alerts: Mapping[str, tuple[Alert, ...]] = field(default_factory=dict)  #: by stage, on its endpoint

    def promotion(self, promotion: str) -> Promotion | None:
        place = self._places.get(promotion)
        return None if place is None else self.promotions[place]

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {promotion.id: place for place, promotion in enumerate(self.promotions)}

    @cached_property
    def _occupants(self) -> Mapping[tuple[Kind, str], str]:
        """The promotion in each stage, by kind and stage."""
        return {
            (promotion.candidate.kind, stage.name): promotion.id
            for promotion in self.at_work()
            for stage in promotion.stages
            if stage.is_occupied
        }

    def occupant(self, kind: Kind, stage: str) -> str | None:
        """The promotion of that kind in a stage. Others of the kind wait until it has left."""
        return self._occupants.get((kind, stage))

    def under_way(self) -> Iterator[Promotion]:
        return (promotion for promotion in self.promotions if promotion.under_way)

    def at_work(self) -> Iterator[Promotion]:
        """The promotions that are under way, or keep something that they will remove."""
        return (promotion for promotion in self.promotions if promotion.at_work)

    def serves(self, promotion: Promotion, stage: StageRun) -> bool:
        """Whether the promotion's candidate is the stage's champion."""
        champion = self.champions.get(stage.name)
        return champion is not None and champion.promotion == promotion.id

    def without_past_closures(self, now: datetime) -> "Lane":
        open_still = {stage: until for stage, until in self.closed_until.items() if now < until}
        return self if len(open_still) == len(self.closed_until) else replace(self, closed_until=open_still)

    def with_promotion(self, promotion: Promotion) -> "Lane":
        """This lane with the promotion replaced or appended; the same object if nothing changes."""
        place = self._places.get(promotion.id)
        if place is None:
            return replace(self, promotions=(*self.promotions, promotion))
        known = self.promotions[place]
        if promotion is known or promotion == known:
            return self
        return replace(self, promotions=(*self.promotions[:place], promotion, *self.promotions[place + 1 :]))
