"""The walk over all interleavings, through stages with a rollout: breaches, people who turn back or move the traffic by
hand, and deployments that are kept after the end."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from shared.core.events import Cancelled, KeepingEnded, RolledBack
from shared.core.going_back import ITSELF
from shared.core.messages import Failed
from shared.core.promotion import Lane, PromotionStatus, StageStatus
from tests.core.driver import drive
from tests.core.people import OPERATOR
from tests.core.walk import World, check, explore, is_over, kept, start, walk
from tests.core.world import BROKEN, BY_HAND, KEY, ONE_STAGE, REFUSED, ROLLING, Azure, requested
from tests.core.world import promotion as a_promotion

STEPS = ("make_room", "deploy", "rollout-1", "rollout-2", "shift", "watch", "retire")
SECOND = a_promotion("2", ONE_STAGE).id


def served() -> tuple[Lane, Azure]:
    """Version 1 serves."""
    return drive(Lane(KEY), requested("1", ONE_STAGE, STEPS, asked=ROLLING), Azure())


def over(world: World) -> Iterator[World]:
    return (each for each in walk(world) if is_over(each))


def test_a_rollout_ends_with_the_newer_version_and_keeps_the_older_until_a_person_ends_that() -> None:
    lane, azure = served()
    end = KeepingEnded(KEY, SECOND, OPERATOR, "it costs money")
    world = start(requested("2", ONE_STAGE, STEPS, asked=ROLLING), end, lane=lane, azure=azure)
    ends, count = explore(world)
    assert {last for *_, last in ends} == {PromotionStatus.SUCCEEDED}
    assert count > 500
    left = {len(each.azure.endpoint("test").deployments) for each in over(world)}
    assert left == {1, 2}, "2 where the person asked too early"


@pytest.mark.parametrize("step", ["rollout-1", "rollout-2", "watch"])
@pytest.mark.parametrize("failure", [REFUSED, BROKEN], ids=["breach", "broken"])
def test_what_fails_at_any_share_goes_back_to_the_champion(step: str, failure: Failed) -> None:
    lane, azure = served()
    azure = replace(azure, breaching={("2", "test", step): failure})
    ends, _ = explore(start(requested("2", ONE_STAGE, STEPS, asked=ROLLING), lane=lane, azure=azure))
    as_gate = PromotionStatus.REFUSED if failure is REFUSED else PromotionStatus.FAILED
    assert ends == {(PromotionStatus.SUCCEEDED, PromotionStatus.ROLLED_BACK if step == "watch" else as_gate)}


def test_what_fails_while_it_is_watched_holds_the_stage() -> None:
    lane, azure = served()
    azure = replace(azure, breaching={("2", "test", "watch"): REFUSED})
    for world in over(start(requested("2", ONE_STAGE, STEPS, asked=ROLLING), lane=lane, azure=azure)):
        assert (world.lane.holds["test"].by, world.lane.holds["test"].reason) == (ITSELF, REFUSED.reason)
        assert world.lane.champions["test"].candidate.version == "1"


def test_the_first_version_that_fails_while_it_is_watched_goes_on_serving_and_the_stage_is_held() -> None:
    azure = Azure(breaching={("1", "test", "watch"): REFUSED})
    for world in over(start(requested("1", ONE_STAGE, STEPS, asked=ROLLING), azure=azure)):
        (only,) = world.lane.promotions
        assert only.status is PromotionStatus.SUCCEEDED
        assert REFUSED.reason in only.stages[0].reason
        assert world.azure.endpoint("test").serving == {only.id}
        assert world.lane.holds["test"].by == ITSELF


@pytest.mark.parametrize("kind", [RolledBack, Cancelled])
def test_turned_back_at_any_moment_of_a_rollout_one_champion_is_left(kind: type[RolledBack | Cancelled]) -> None:
    """Also within the time that the older version is kept: then nothing has to be deployed again."""
    lane, azure = served()
    back = kind(KEY, SECOND, OPERATOR, "now")
    ends, count = explore(start(requested("2", ONE_STAGE, STEPS, asked=ROLLING), back, lane=lane, azure=azure))
    assert (PromotionStatus.SUCCEEDED, PromotionStatus.ROLLED_BACK) in ends
    allowed = {PromotionStatus.ROLLED_BACK} | ({PromotionStatus.CANCELLED} if kind is Cancelled else set())
    assert {last for _, last in ends} <= allowed | {PromotionStatus.SUCCEEDED}
    assert count > 1000


def test_a_third_version_removes_what_the_second_keeps_and_the_second_can_be_returned_to() -> None:
    lane, azure = served()
    lane, azure = drive(lane, requested("2", ONE_STAGE, STEPS, asked=ROLLING), azure)
    assert azure.endpoint("test").deployments == {a_promotion("1", ONE_STAGE).id, SECOND}
    third = a_promotion("3", ONE_STAGE).id
    back = RolledBack(KEY, third, OPERATOR, "now")
    for world in over(start(requested("3", ONE_STAGE, STEPS, asked=ROLLING), back, lane=lane, azure=azure)):
        serving = world.lane.champions["test"].promotion
        assert world.azure.endpoint("test").deployments - {serving} <= set(kept(world, "test"))
        assert [each.id for each in world.lane.promotions if each.keeps] in ([], [serving])


@pytest.mark.parametrize("to", ["split", "back"])
def test_traffic_that_a_person_moves_at_any_moment_stays_and_something_always_answers(to: str) -> None:
    """The person moves it once, at any moment of the rollout, and nothing of this app moves it again."""
    lane, azure = served()
    first = a_promotion("1", ONE_STAGE).id
    before = start(requested("2", ONE_STAGE, STEPS, asked=ROLLING), lane=lane, azure=azure, faults=0)
    rolling = [world for world in walk(before) if world.azure.endpoint("test").part is not None]
    assert rolling
    by_hand = (SECOND, BY_HAND) if to == "split" else None
    for world in rolling:
        endpoint = replace(world.azure.endpoint("test"), traffic=first, part=by_hand)
        moved = replace(world, azure=world.azure.with_endpoint("test", endpoint))
        for end in walk(moved):
            check(end)
            if is_over(end) and to == "split":
                assert end.azure.endpoint("test") == endpoint
                assert end.lane.promotions[-1].status is PromotionStatus.FAILED
                assert end.lane.promotions[-1].stages[0].status is StageStatus.FAILED
