"""Live figures travel with reports, and are kept apart from the lane."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.core.live_minute import LiveMinute
from shared.core.message_bodies import decode, encode
from shared.core.messages import Running as StillRunning
from shared.core.messages import RunStep, StepReported, Succeeded
from shared.core.replacing import replace
from shared.worker.measured import Measured
from shared.worker.order import Step
from shared.worker.run import Workplace, run_step
from shared.worker.target import Target
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import NOW, Stage
from tests.telemetry.conftest import Running, started

MINUTES = tuple(
    LiveMinute("v3-abc", datetime(2026, 11, 20, 12, minute, tzinfo=UTC), 50.0, 1.0, 8.5, 20.0) for minute in range(3)
)


@pytest.fixture
def running(tmp_path: Path) -> Running:
    running = started(tmp_path)
    running.register()
    _, news = running.bus.messages.pop()
    running.app.coordinator.advance(news)
    return running


def report(running: Running) -> StepReported:
    """The answer to the command that is in the queue, with live figures."""
    command = decode(running.bus.messages[-1][1])
    assert isinstance(command, RunStep)
    which = command.lane, command.promotion, command.stage, command.step, command.attempt, command.poll
    return StepReported(*which, StillRunning(timedelta(seconds=5), "moving"), minutes=MINUTES)


def test_a_report_carries_them_and_its_lane_does_not_keep_them(running: Running) -> None:
    told = report(running)
    assert decode(encode(told)) == told
    running.app.coordinator.take_report("dev", encode(told))
    assert running.app.series.read(told.promotion) == {told.stage: list(MINUTES)}
    kept = running.app.store.promotion(told.promotion)
    assert "v3-abc" not in repr(kept)
    assert "v3-abc" not in repr(running.app.store.load(told.lane, told.promotion))


def test_a_report_that_comes_again_changes_nothing(running: Running) -> None:
    told = report(running)
    for _ in range(2):
        running.app.coordinator.take_report("dev", encode(told))
    assert running.app.series.read(told.promotion) == {told.stage: list(MINUTES)}


def test_figures_that_another_environment_reports_do_not_count(running: Running) -> None:
    told = report(running)
    running.app.coordinator.take_report("prod", encode(told))
    assert running.app.series.read(told.promotion) == {}


def test_figures_of_a_stage_that_does_not_exist_are_not_kept(running: Running) -> None:
    told = replace(report(running), stage="nowhere")
    running.app.coordinator.take_report("dev", encode(told))
    assert running.app.series.read(told.promotion) == {}


def test_a_step_hands_on_the_figures_that_it_saw(tmp_path: Path) -> None:
    seen: list[LiveMinute] = []
    watching = Step("watching", lambda _: Measured(Succeeded({"requests": 150}), MINUTES), Measured, Target)
    workplace = Workplace(
        lambda _: FakeWorkspace(), lambda _: Stage(tmp_path).rules, tmp_path, lambda: NOW, saw=seen.extend
    )
    outcome = run_step(Stage(tmp_path).command("watching"), workplace, {"watching": watching})
    assert outcome == Succeeded({"requests": 150})
    assert tuple(seen) == MINUTES
