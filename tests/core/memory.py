"""Remembers what a walk over all interleavings has computed, so that it computes nothing twice."""

from dataclasses import replace
from datetime import datetime

from shared.core.events import Cancelled, KeepingEnded, NotNowError, PromotionRequested, RolledBack
from shared.core.holds import NO_HOLDS, Holds
from shared.core.lane import Decision, decide
from shared.core.messages import RunStep, StepReported
from shared.core.promotion import Lane, StepRun

Message = RunStep | StepReported | PromotionRequested | RolledBack | Cancelled | KeepingEnded


def name_of(message: Message) -> str:
    if isinstance(message, PromotionRequested):
        return message.promotion.id
    return message.message_id if isinstance(message, RunStep | StepReported) else type(message).__name__


class Memory:
    """What a walk has computed. The same lanes occur in many worlds, with different queues and a different Azure. Equal
    lanes become one object, so each decision is made once and kept by the object's identity."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[object, ...], list[Lane]] = {}
        self._known: set[int] = set()  #: ids of the lanes in `_lanes`, which keeps them alive
        self._messages: dict[str, list[Message]] = {}
        self._places: dict[tuple[int, datetime], int] = {}
        self._numbers: dict[tuple[object, ...], int] = {}
        self._decisions: dict[tuple[int, int, datetime, Holds], Decision | NotNowError] = {}

    def lane(self, lane: Lane) -> Lane:
        """The one lane that equals this one."""
        if id(lane) in self._known:
            return lane
        alike = self._lanes.setdefault(_statuses(lane), [])
        known = next((each for each in alike if each == lane), None)
        if known is None:
            alike.append(lane)
            self._known.add(id(lane))
        return known or lane

    def message(self, message: Message) -> Message:
        """The one message that equals this one."""
        alike = self._messages.setdefault(name_of(message), [])
        known = next((each for each in alike if each is message or each == message), None)
        if known is None:
            alike.append(message)
        return known or message

    def place(self, lane: Lane, now: datetime) -> int:
        """A number that is equal for lanes that are equal for the walk."""
        key = (id(self.lane(lane)), now)
        if key not in self._places:
            stages = [stage for promotion in lane.promotions for stage in promotion.stages]
            held = tuple(
                (each.is_held(now), each.moving_until is not None and now < each.moving_until) for each in stages
            )
            self._places[key] = self._numbers.setdefault((_statuses(lane), held), len(self._numbers))
        return self._places[key]

    def decide(self, lane: Lane, event: Message, now: datetime, holds: Holds = NO_HOLDS) -> Decision:
        lane, event = self.lane(lane), self.message(event)
        key = (id(lane), id(event), now, holds)
        if key not in self._decisions:
            self._decisions[key] = self._decided(lane, event, now, holds)
        decision = self._decisions[key]
        if isinstance(decision, NotNowError):
            raise decision
        return decision

    def _decided(self, lane: Lane, event: Message, now: datetime, holds: Holds) -> Decision | NotNowError:
        assert not isinstance(event, RunStep), "a command is for a worker"
        try:
            decision = decide(lane, event, now, holds)
        except NotNowError as error:
            return error
        return replace(decision, lane=self.lane(decision.lane))


def _statuses(lane: Lane) -> tuple[object, ...]:
    promotions = tuple(
        (
            p.id,
            p.status,
            tuple((s.status, s.kept_until, s.held, _position(s.steps), _position(s.undoing)) for s in p.stages),
        )
        for p in lane.promotions
    )
    return promotions, tuple(sorted((stage, champion.promotion) for stage, champion in lane.champions.items()))


def _position(steps: tuple[StepRun, ...]) -> tuple[object, ...]:
    return tuple((step.status, step.poll) for step in steps)
