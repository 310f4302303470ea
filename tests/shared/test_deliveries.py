"""A command acts in its first delivery only: what an earlier one did, or is still doing, nobody knows."""

from pathlib import Path

import pytest

from shared.core.message_bodies import decode
from shared.core.messages import Failed, NotRun, StepReported, Succeeded
from tests.telemetry.conftest import Running, started


@pytest.mark.parametrize(("delivery", "acts"), [((), True), ((1,), True), ((2,), False), ((3,), False)])
def test_only_the_first_delivery_of_a_command_acts(tmp_path: Path, delivery: tuple[int, ...], acts: bool) -> None:
    running: Running = started(tmp_path)
    running.register()
    _, news = running.bus.messages.pop()
    running.app.coordinator.advance(news)
    _, command = running.bus.messages.pop()
    running.app.worker.receive("dev", command, *delivery)
    report = decode(running.bus.messages[-1][1])
    assert isinstance(report, StepReported)
    assert isinstance(report.outcome, NotRun) is not acts
    assert running.app.workspaces["dev"].calls["start_share"] == acts
    assert not isinstance(report.outcome, Succeeded | Failed)
