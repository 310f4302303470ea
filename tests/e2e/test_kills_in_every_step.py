"""Each step of each plan, and each step that undoes one, is among those in which tests here kill the app."""

from shared.core.plan import STEP_NAMES, UNDO_NAMES
from tests.e2e import (
    test_batch,
    test_kill_as_traffic_moves,
    test_kill_going_back,
    test_kill_in_pipelines,
    test_kill_in_rollouts,
    test_kill_the_app,
)

#: The tests that kill the app in several steps at once name them in tables.
IN_TABLES = (
    *test_kill_the_app.CALLS,
    *test_kill_in_rollouts.CAUGHT,
    *(catch.step for catch in test_kill_as_traffic_moves.CATCHES),
    *test_batch.CAUGHT,
    *(step for step, *_ in test_kill_in_pipelines.CAUGHT.values()),
    *(step for step, *_ in test_kill_going_back.CAUGHT.values()),
)
#: Others do it in one step: `test_kill_the_app.py`, `test_evaluate.py` and `test_waiting.py`.
ALONE = ("register", "evaluate", "soak")
#: No worker runs it: nothing can be cut short.
NOWHERE = ("approve",)


def test_the_app_is_killed_in_each_step() -> None:
    killed = {name.partition("-")[0] for name in (*IN_TABLES, *ALONE)}
    assert killed | {*NOWHERE} == {*STEP_NAMES, *UNDO_NAMES}
    assert not killed & {*NOWHERE}
