"""The walk over all interleavings, through a stage with a batch endpoint: its test, and the way back from it."""

from dataclasses import replace

import pytest

from shared.core.messages import Failed
from shared.core.promotion import Lane, PromotionStatus
from tests.core.driver import LaneDriver, by_step, drive
from tests.core.walk import explore, is_over, start, walk
from tests.core.world import BROKEN, KEY, ONE_STAGE, REFUSED, Azure, requested
from tests.core.world import promotion as a_promotion

STEPS = ("deploy", "invoke", "shift", "retire")
BATCH = ("batch_endpoint", "test")


def test_its_plan_has_the_test_in_place_of_smoke_requests() -> None:
    planned = [step.plan.name for step in a_promotion("1", ONE_STAGE, asked=BATCH).stages[0].steps]
    assert planned == ["share", "validate", "check_capacity", "deploy", "invoke", "shift", "retire"]


def test_each_interleaving_ends_with_the_newer_version() -> None:
    lane, azure = drive(Lane(KEY), requested("1", ONE_STAGE, STEPS, asked=BATCH), Azure())
    world = start(requested("2", ONE_STAGE, STEPS, asked=BATCH), lane=lane, azure=azure)
    ends, count = explore(world)
    assert {last for *_, last in ends} == {PromotionStatus.SUCCEEDED}
    assert count > 50


@pytest.mark.parametrize("failure", [REFUSED, BROKEN], ids=["differs", "broken"])
def test_what_does_not_pass_its_test_is_removed_and_the_champion_serves_on(failure: Failed) -> None:
    lane, azure = drive(Lane(KEY), requested("1", ONE_STAGE, STEPS, asked=BATCH), Azure())
    azure = replace(azure, failing={("2", "test", "invoke"): failure})
    world = start(requested("2", ONE_STAGE, STEPS, asked=BATCH), lane=lane, azure=azure)
    for end in (each for each in walk(world) if is_over(each)):
        first, second = end.lane.promotions
        assert second.status is (PromotionStatus.REFUSED if failure is REFUSED else PromotionStatus.FAILED)
        assert end.azure.endpoint("test").deployments == {first.id}
        assert end.lane.champions["test"].candidate.version == "1"


def test_its_jobs_are_cancelled_and_then_its_deployment_is_removed() -> None:
    driver = LaneDriver(Lane(KEY), by_step({"invoke": BROKEN}))
    driver.apply(requested("1", ONE_STAGE, STEPS, asked=BATCH))
    ran = [command.step for command in driver.moments()]
    assert ran == ["deploy", "invoke", "cancel_job", "remove"]
