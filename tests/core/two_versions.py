"""A lane with two versions of a model: the one that serves, and a newer one on its way in or back."""

from shared.core.events import (
    Cancelled,
    RolledBack,
)
from shared.core.lane import decide
from shared.core.promotion import Lane
from tests.core.driver import AzureAnswers, LaneDriver, drive
from tests.core.people import ONE_STAGE, OPERATOR, ask, run, the
from tests.core.world import KEY, NOW, Azure, requested


def with_champion(*stages: str) -> tuple[Lane, Azure]:
    """A lane where version 1 serves."""
    return drive(Lane(KEY), requested("1", dict.fromkeys(stages or ("prod",), ())), Azure())


def newer(lane: Lane, until: str) -> Lane:
    """Version 2 on its way into prod, with the step in flight."""
    return run(decide(lane, requested("2", ONE_STAGE), NOW).lane, until=until)


def turned_back(step: str) -> Lane:
    """Version 2 rolled back or cancelled while the step was under way; version 1 served before."""
    lane = newer(with_champion()[0], until=step)
    return ask(lane, Cancelled(KEY, the(lane, "2").id, OPERATOR, "wrong"))


def rolled_back() -> Lane:
    """Version 2 served after version 1, and was rolled back."""
    lane, azure = with_champion()
    lane, azure = drive(lane, requested("2", ONE_STAGE), azure)
    lane = ask(lane, RolledBack(KEY, the(lane, "2").id, OPERATOR, "wrong answers"))
    return LaneDriver(lane, AzureAnswers(azure)).run()
