"""Every order in which messages can be delivered while a person starts a version that may not exist, as in
`test_every_interleaving.py`."""

from collections.abc import Iterator, Mapping

import pytest

from shared.core.events import Cancelled, RolledBack
from shared.core.holds import NO_HOLDS
from shared.core.messages import Failed, FailureKind
from shared.core.promotion import PromotionStatus
from tests.core.people import OPERATOR, started
from tests.core.test_every_interleaving import FROZEN
from tests.core.walk import World, check, check_end, is_over, start, walk
from tests.core.world import KEY, ONE_STAGE, TEST_THEN_PROD, Azure, requested
from tests.core.world import promotion as a_promotion

STEPS = ("share", "deploy", "shift", "retire")
MISSING = Failed("there is no such version", FailureKind.NOT_FOUND)
TWO_REGIONS = {"west": (), "north": ()}


def without(version: str, stages: Mapping[str, object]) -> Azure:
    """An Azure where the version does not exist."""
    return Azure(failing={(version, stage, "share"): MISSING for stage in stages})


def ends_of(world: World) -> Iterator[tuple[dict[str, PromotionStatus], set[str]]]:
    """The statuses by version at every reachable end, and the versions that serve then."""
    for each in walk(world):
        check(each)
        if is_over(each):
            check_end(each)
            statuses = {promotion.candidate.version: promotion.status for promotion in each.lane.promotions}
            yield statuses, {champion.candidate.version for champion in each.lane.champions.values()}


WAYS = pytest.mark.parametrize(
    ("stages", "faults"), [(ONE_STAGE, 1), (TEST_THEN_PROD, 0), (TWO_REGIONS, 0)], ids=["one", "two", "regions"]
)


@WAYS
def test_what_does_not_exist_supersedes_nothing(stages: dict[str, tuple[str, ...]], faults: int) -> None:
    """Version 2 comes by an event, at any moment before or after version 9, and has to wait for version 1 or not."""
    requests = (requested("1", stages, STEPS), requested("2", stages, STEPS), started("9", stages, STEPS))
    ends = list(ends_of(start(*requests, azure=without("9", stages), faults=faults)))
    assert {end["9"] for end, _ in ends} == {PromotionStatus.FAILED}
    assert {end["2"] for end, _ in ends} == {PromotionStatus.SUCCEEDED}
    assert all(serving == {"2"} for _, serving in ends)


@WAYS
def test_what_exists_ends_up_serving_whatever_came_before_or_after(
    stages: dict[str, tuple[str, ...]], faults: int
) -> None:
    requests = (requested("1", stages, STEPS), requested("2", stages, STEPS), started("9", stages, STEPS))
    ends = list(ends_of(start(*requests, faults=faults)))
    assert {end["9"] for end, _ in ends} == {PromotionStatus.SUCCEEDED}
    assert {end["2"] for end, _ in ends} == {PromotionStatus.SUCCEEDED, PromotionStatus.SUPERSEDED}
    assert all(serving == {"9"} for _, serving in ends)


def test_of_two_that_people_start_only_the_one_that_exists_is_promoted() -> None:
    requests = (requested("1", ONE_STAGE, STEPS), started("8", ONE_STAGE, STEPS), started("9", ONE_STAGE, STEPS))
    ends = list(ends_of(start(*requests, azure=without("9", ONE_STAGE), faults=0)))
    assert {(end["8"], end["9"]) for end, _ in ends} == {(PromotionStatus.SUCCEEDED, PromotionStatus.FAILED)}
    assert all(serving == {"8"} for _, serving in ends)


@pytest.mark.parametrize("kind", [RolledBack, Cancelled])
def test_turned_back_at_any_moment_it_leaves_the_older_one_its_place_or_has_taken_it(
    kind: type[RolledBack | Cancelled],
) -> None:
    back = kind(KEY, a_promotion("9", ONE_STAGE).id, OPERATOR, "now")
    for missing in (Azure(), without("9", ONE_STAGE)):
        requests = (requested("2", ONE_STAGE, STEPS), started("9", ONE_STAGE, STEPS))
        for each in walk(start(*requests, back, azure=missing, faults=0)):
            check(each)
            older = next((known for known in each.lane.promotions if known.candidate.version == "2"), None)
            seen = any(
                step.evidence for known in each.lane.promotions if known != older for step in known.stages[0].steps
            )
            assert older is None or older.status is not PromotionStatus.SUPERSEDED or seen


def test_frozen_and_released_at_any_moment_what_does_not_exist_supersedes_nothing() -> None:
    requests = (requested("1", ONE_STAGE, STEPS), requested("2", ONE_STAGE, STEPS), started("9", ONE_STAGE, STEPS))
    world = start(*requests, azure=without("9", ONE_STAGE), changes=(FROZEN, NO_HOLDS), faults=0)
    assert {(end["2"], end["9"]) for end, _ in ends_of(world)} == {(PromotionStatus.SUCCEEDED, PromotionStatus.FAILED)}
