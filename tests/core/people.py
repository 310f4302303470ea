"""People and their requests to a lane, for tests."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from shared.core.commands import due
from shared.core.events import Approved, Person, PersonEvent, PromotionRequested
from shared.core.lane import decide
from shared.core.messages import Outcome
from shared.core.promotion import SOMEBODY, ApprovalRule, Lane, Promotion
from shared.core.replacing import replace
from tests.core.driver import SECOND, LaneDriver, by_step, drive
from tests.core.world import KEY, NOW, Azure, promotion

OPERATOR = Person("id-o", "olga", ("Promotion.Operator",))
ANNA, BERT, CARLA = (Person(f"id-{name}", name, ("Promotion.Approver",)) for name in ("anna", "bert", "carla"))
NOBODY = Person("id-n", "nobody", ())
ONE_STAGE: Mapping[str, tuple[str, ...]] = {"prod": ()}
ANYBODY = ApprovalRule()
TWO_OF_THEM = ApprovalRule(least=2)


def asking(
    version: str = "1", approval: ApprovalRule = ANYBODY, requester: str = "", **stages: tuple[str, ...]
) -> PromotionRequested:
    """A request for a promotion whose stages (prod alone, if none is named) all ask for approval."""
    made = promotion(version, stages or ONE_STAGE, asked=("approval",))
    runs = tuple(replace(stage, approval=approval) for stage in made.stages)
    return PromotionRequested(replace(made, stages=runs, requester=requester), automatic=False)


def started(
    version: str, stages: Mapping[str, tuple[str, ...]] = ONE_STAGE, steps: tuple[str, ...] = ()
) -> PromotionRequested:
    """A version that a person starts by hand: nobody knows yet whether it exists."""
    made = promotion(version, stages, steps=steps)
    return PromotionRequested(replace(made, requested_by=OPERATOR.name, requester=OPERATOR.id), automatic=False)


def with_a_key(request: PromotionRequested) -> PromotionRequested:
    """The same request, made with a function key alone."""
    return replace(request, promotion=replace(request.promotion, requested_by=SOMEBODY))


def ask(lane: Lane, event: PersonEvent, after: timedelta = timedelta()) -> Lane:
    """The lane after the request, which must have been written into the journal with who and why."""
    decision = decide(lane, event, NOW + after)
    if not decision.stale:
        assert any(event.by.name in entry.text and event.reason in entry.text for entry in decision.journal)
    return decision.lane


def waiting(event: PromotionRequested, lane: Lane | None = None) -> Lane:
    """The lane where the promotion waits for approval."""
    return drive(lane or Lane(KEY), event, Azure())[0]


def the(lane: Lane, version: str = "1") -> Promotion:
    return next(known for known in lane.promotions if known.candidate.version == version)


def run(lane: Lane, outcomes: Mapping[str, Outcome] | None = None, until: str = "") -> Lane:
    """Answer all commands, by step, until none is left or the step `until` is in flight."""
    return LaneDriver(lane, by_step(outcomes or {}), pause=SECOND).run(lambda command: command.step == until)


def in_flight(lane: Lane) -> list[str]:
    return [f"{command.stage}.{command.step}" for command in due(lane)]


def approve(lane: Lane, by: Person, **more: Any) -> Lane:
    return ask(lane, Approved(KEY, the(lane).id, by, "seen", **more))
