"""Which promotion an event concerns, so that it is loaded before the rules see it."""

import pytest

from shared.core.events import AwaitedJobEnded, TimePassed
from shared.core.messages import AwaitedJob
from tests.core.world import KEY

JOB = AwaitedJob("/subscriptions/d/workspaces/ws-dev", "train-3")


@pytest.mark.parametrize(("tagged", "about"), [("churn-1-abc", "churn-1-abc"), ("", None)])
def test_a_jobs_end_concerns_the_promotion_that_its_tag_names(tagged: str, about: str | None) -> None:
    assert AwaitedJobEnded(KEY, JOB, tagged).about(None) == about


def test_the_timer_concerns_no_promotion_of_its_own() -> None:
    assert TimePassed(KEY).about(None) is None
