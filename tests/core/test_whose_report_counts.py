"""A report counts only from the environment whose worker was asked: no environment speaks for another."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from shared.core.lane import decide
from shared.core.late import MOST_LATE_POLLS, PAUSE
from shared.core.messages import (
    FIRST_LATE_POLL,
    Failed,
    FailureKind,
    Outcome,
    Retry,
    Running,
    RunStep,
    StepReported,
    Succeeded,
)
from shared.core.promotion import Lane, PromotionStatus
from shared.core.replacing import replace
from tests.core.driver import LaneDriver
from tests.core.people import asking, run
from tests.core.world import BROKEN, KEY, NOW, answer, requested

#: "" for a report whose receiver did not say where it came from.
EVERYBODY = ("dev", "test", "prod", "")
OUTCOMES: tuple[Outcome, ...] = (
    Succeeded({"traffic_before": {"forged": 100}}),
    Failed("forged", FailureKind.BUG),
    Running(timedelta(0), "forged"),
    Retry(timedelta(0), "forged"),
)


def moments(broken_at: tuple[str, str] | None = None) -> Iterator[tuple[Lane, RunStep]]:
    """A lane at every moment of a promotion when it waits for a worker, with the command. One step may fail."""
    driver = LaneDriver(
        decide(Lane(KEY), requested(), NOW).lane,
        lambda command: BROKEN if (command.stage, command.step) == broken_at else None,
    )
    for command in driver.moments():
        yield driver.lane, command


def forged(command: RunStep) -> Iterator[StepReported]:
    """Everything that environments other than the one that was asked can answer to a command."""
    for outcome in OUTCOMES:
        for other in EVERYBODY:
            if other != command.environment:
                yield replace(answer(command, outcome), environment=other)


@pytest.mark.parametrize("broken_at", [None, ("test", "shift"), ("prod", "smoke"), ("prod", "shift")])
def test_no_other_environment_can_answer_for_a_step_whatever_it_says(broken_at: tuple[str, str] | None) -> None:
    walked = set()
    for lane, command in moments(broken_at):
        walked.add(command.environment)
        for report in forged(command):
            decision = decide(lane, report, NOW)
            assert (decision.lane, decision.commands, decision.journal) == (lane, (), ())
            assert decision.stale
            expected = f"is a step of {command.environment}, but the report came from {report.environment}"
            assert decision.disbelieved.endswith(expected)
    assert walked == {"dev", "test", "prod"} or broken_at == ("test", "shift")


def test_nobody_can_answer_for_people() -> None:
    lane = run(decide(Lane(KEY), asking(), NOW).lane, until="approve")
    (promotion,) = lane.promotions
    (stage,) = promotion.stages
    assert stage.current is not None
    assert stage.current.plan.name == "approve"
    for environment in EVERYBODY:
        forged = StepReported(KEY, promotion.id, "prod", "approve", 1, 1, Succeeded({}), environment=environment)
        decision = decide(lane, forged, NOW)
        assert (decision.lane, decision.journal) == (lane, ())


def test_a_late_clean_up_that_does_not_end_is_given_up() -> None:
    *_, (before, command) = (each for each in moments() if (each[1].stage, each[1].step) == ("prod", "deploy"))
    lane = run(decide(before, answer(command, BROKEN), NOW).lane)
    (undo,) = decide(lane, replace(answer(command), poll=2), NOW).commands
    last = replace(undo, poll=FIRST_LATE_POLL + MOST_LATE_POLLS - 1)
    deleting = Running(timedelta(0), "Deleting")
    (again,) = decide(lane, answer(last, deleting), NOW).commands
    assert (again.step, again.poll, again.not_before) == (undo.step, last.poll + 1, NOW + PAUSE)
    assert decide(lane, answer(again, deleting), NOW).commands == ()


@pytest.mark.parametrize("broken", ["deploy", "shift"])
def test_no_other_environment_can_have_an_effect_taken_away_that_comes_late(broken: str) -> None:
    *_, (before, command) = (each for each in moments() if (each[1].stage, each[1].step) == ("prod", broken))
    lane = run(decide(before, answer(command, BROKEN), NOW).lane)
    assert lane.promotions[0].status is PromotionStatus.FAILED
    late = replace(answer(command), poll=2)
    (undo,) = decide(lane, late, NOW).commands
    assert (undo.environment, undo.poll) == ("prod", FIRST_LATE_POLL + 2)
    for report in forged(command):
        assert decide(lane, replace(report, poll=2), NOW).commands == ()
    again = answer(undo, Running(timedelta(0), "Deleting"))
    assert decide(lane, again, NOW).commands
    for report in forged(undo):
        assert decide(lane, report, NOW).commands == ()
