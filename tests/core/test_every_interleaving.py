"""Every order in which messages of promotions through two environments can be delivered, repeated, or cut by a crash.

A breadth-first walk over all states of the world: the saved lane, the messages in the queues, the workers between
reading and changing, and Azure (`tests/core/walk.py`).
"""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from shared.core.commands import due
from shared.core.events import Cancelled, PromotionRequested, RolledBack
from shared.core.holds import NO_HOLDS, Scope, hold
from shared.core.lane import decide
from shared.core.messages import GRACE, Failed, StepReported
from shared.core.promotion import Lane, PromotionStatus
from shared.core.replacing import replace
from tests.core.driver import drive
from tests.core.people import OPERATOR
from tests.core.walk import check, explore, is_over, start, walk
from tests.core.world import BROKEN, KEY, NOW, ONE_STAGE, REFUSED, TEST_THEN_PROD, Azure, requested
from tests.core.world import promotion as a_promotion

TWO_REGIONS = {"west": (), "north": ()}


def test_a_promotion_succeeds_whatever_is_delivered_twice_or_dies() -> None:
    ends, count = explore(start(requested(), faults=1))
    assert ends == {(PromotionStatus.SUCCEEDED,)}
    assert count > 100


def test_two_regions_side_by_side_succeed_whatever_is_delivered_twice_or_dies() -> None:
    ends, _ = explore(start(requested("1", TWO_REGIONS, ("deploy", "shift")), faults=1))
    assert ends == {(PromotionStatus.SUCCEEDED,)}


@pytest.mark.parametrize("failure", [REFUSED, BROKEN], ids=["refused", "broken"])
@pytest.mark.parametrize("stage", ["test", "prod"])
@pytest.mark.parametrize("step", ["validate", "deploy", "smoke", "shift", "retire"])
def test_a_challenger_that_fails_anywhere_ends_as_it_should_and_leaves_one_champion(
    stage: str, step: str, failure: Failed
) -> None:
    lane, azure = drive(Lane(KEY), requested("1"), Azure())
    world = start(requested("2"), lane=lane, azure=replace(azure, failing={("2", stage, step): failure}))
    if step == "retire":  # it only cleans up: both deployments stay, and the new one is the champion
        ends = {tuple(p.status for p in w.lane.promotions) for w in walk(world) if is_over(w)}
        assert ends == {(PromotionStatus.SUCCEEDED, PromotionStatus.SUCCEEDED)}
        return
    expected = PromotionStatus.REFUSED if failure is REFUSED else PromotionStatus.FAILED
    ends, _ = explore(world)
    assert ends == {(PromotionStatus.SUCCEEDED, expected)}


@pytest.mark.parametrize(
    ("versions", "stages"), [(("1", "2", "3"), ONE_STAGE), (("1", "2"), TEST_THEN_PROD)], ids=["three", "two-stages"]
)
def test_candidates_that_come_at_once_leave_the_newest_as_champion(
    versions: tuple[str, ...], stages: Mapping[str, tuple[str, ...]]
) -> None:
    requests = [requested(version, stages, ("deploy", "shift", "retire")) for version in versions]
    ends, _ = explore(start(*requests, faults=1))
    assert all(end[-1] is PromotionStatus.SUCCEEDED for end in ends)
    assert all(set(end) <= {PromotionStatus.SUCCEEDED, PromotionStatus.SUPERSEDED} for end in ends)


@pytest.mark.parametrize("kind", [RolledBack, Cancelled])
@pytest.mark.parametrize("served", [True, False], ids=["champion", "first"])
def test_turned_back_at_any_moment_the_endpoint_always_answers_and_one_champion_is_left(
    kind: type[RolledBack | Cancelled], served: bool
) -> None:
    """The request may arrive at any moment, so it is in the queue from the beginning."""
    lane, azure = drive(Lane(KEY), requested("1", ONE_STAGE), Azure()) if served else (Lane(KEY), Azure())
    back = kind(KEY, a_promotion("2", ONE_STAGE).id, OPERATOR, "now")
    ends, count = explore(start(requested("2", ONE_STAGE), back, lane=lane, azure=azure, faults=1))
    first = (PromotionStatus.SUCCEEDED,) if served else ()
    turned_back = PromotionStatus.CANCELLED if kind is Cancelled else PromotionStatus.ROLLED_BACK
    assert (*first, turned_back) in ends
    assert ends <= {
        (*first, status) for status in (turned_back, PromotionStatus.ROLLED_BACK, PromotionStatus.SUCCEEDED)
    }
    assert count > 1000


FROZEN = hold(NO_HOLDS, Scope(), OPERATOR, "audit", None, NOW)
SHORT = ("soak", "deploy", "shift")


def soaking(version: str) -> PromotionRequested:
    """A request whose stage prod soaks for as long as `GRACE`."""
    event = requested(version, TEST_THEN_PROD, SHORT, asked=("soak",))
    test, prod = event.promotion.stages
    test = replace(test, steps=tuple(step for step in test.steps if step.plan.name != "soak"))
    return replace(event, promotion=replace(event.promotion, stages=(test, replace(prod, soak=GRACE))))


def test_frozen_and_released_at_any_moment_a_promotion_succeeds() -> None:
    ends, count = explore(start(requested("1", ONE_STAGE, SHORT), changes=(FROZEN, NO_HOLDS)))
    assert ends == {(PromotionStatus.SUCCEEDED,)}
    assert count > 100


def test_rolled_back_at_any_moment_of_a_freeze_the_endpoint_always_answers() -> None:
    lane, azure = drive(Lane(KEY), requested("1", ONE_STAGE), Azure())
    back = RolledBack(KEY, a_promotion("2", ONE_STAGE).id, OPERATOR, "now")
    world = start(
        requested("2", ONE_STAGE, ("deploy", "shift", "retire")),
        back,
        lane=lane,
        azure=azure,
        changes=(FROZEN, NO_HOLDS),
        faults=0,
    )
    ends, _ = explore(world)
    first = PromotionStatus.SUCCEEDED
    assert (first, PromotionStatus.ROLLED_BACK) in ends
    assert ends <= {(first, PromotionStatus.ROLLED_BACK), (first, PromotionStatus.SUCCEEDED)}


@pytest.mark.parametrize("stage", ["test", "prod"])
def test_whatever_is_rolled_back_during_a_soak_the_endpoint_always_answers_and_all_ends(stage: str) -> None:
    """Of test, it is what soaks, and prod is skipped. Of prod, it is what serves there, and what soaks waits again."""
    lane, azure = drive(Lane(KEY), requested("1"), Azure())
    lane, azure = drive(lane, requested("2"), azure)
    version = {"test": "3", "prod": "2"}[stage]
    back = RolledBack(KEY, a_promotion(version).id, OPERATOR, "now", stage)
    world = start(soaking("3"), back, lane=lane, azure=azure, faults=0)
    served: set[str] = set()
    for each in walk(world):
        check(each)
        if is_over(each):
            held = each.lane.holds.keys() & {"prod"} and any(promotion.under_way for promotion in each.lane.promotions)
            assert held or due(each.lane) == ()
            served.add(each.lane.champions["prod"].candidate.version)
    assert served == {"test": {"2", "3"}, "prod": {"1", "3"}}[stage]


def test_every_event_on_every_reachable_lane_gives_a_sound_decision_or_none() -> None:
    """Each report ever made, and each request, applied to each state of the lane."""
    worlds = list(walk(start(requested("1"), requested("2"), faults=0)))
    lanes = {world.seen(): world.lane for world in worlds}
    queued = [message for world in worlds for message in world.queue.values()]
    reports = list({message.message_id: message for message in queued if isinstance(message, StepReported)}.values())
    failures = [replace(report, outcome=BROKEN) for report in reports]
    events: list[StepReported | PromotionRequested] = [*reports, *failures, requested("1"), requested("2")]
    decided = stale = 0
    for lane in lanes.values():
        for event in events:
            decision = decide(lane, event, NOW + timedelta(seconds=1))
            decided += 1
            stale += decision.stale
            assert {p.id for p in decision.lane.promotions} >= {p.id for p in lane.promotions}
            if decision.stale:
                assert decision.lane is lane
                assert decision.commands[: len(due(lane))] == due(lane)
            else:
                assert all(command in due(decision.lane) for command in decision.commands)
                assert decide(decision.lane, event, NOW).stale, "the same event works twice"
    assert decided > stale > 0
