"""The copy of the app with shorter times."""

import filecmp
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.chaos import hurried_app
from tests.chaos.wait_invariants import is_open


def test_the_copy_differs_from_the_app_in_the_times_alone(tmp_path: Path) -> None:
    copy = hurried_app.make(tmp_path / "app")
    files = [file.relative_to(copy) for file in copy.rglob("*") if file.is_file()]
    differing = {str(each) for each in files if not filecmp.cmp(copy / each, hurried_app.REPOSITORY / each, False)}
    assert differing == set(hurried_app.SHORTER)


def test_a_command_in_the_copy_is_given_up_within_half_a_minute(tmp_path: Path) -> None:
    copy = hurried_app.make(tmp_path / "app")
    asked = "from shared.core.messages import GRACE; print(GRACE.total_seconds())"
    run = subprocess.run([sys.executable, "-c", asked], cwd=copy, capture_output=True, text=True, check=True)
    assert float(run.stdout) == 25


def test_a_window_of_the_copy_opens_and_closes_in_each_minute(tmp_path: Path) -> None:
    copy = hurried_app.make(tmp_path / "app")
    asked = (
        "from datetime import datetime, timedelta; from shared.core.window import Window, opens\n"
        "window = Window(tuple(range(7)), 0, 720, 'UTC')\n"
        "for second in range(0, 120, 7):\n"
        "    now = datetime.fromisoformat('2026-11-22T12:00:00.5+00:00') + timedelta(seconds=second)\n"
        "    print(now.isoformat(), opens([window], now).isoformat())"
    )
    run = subprocess.run([sys.executable, "-c", asked], cwd=copy, capture_output=True, text=True, check=True)
    pairs = [tuple(map(datetime.fromisoformat, line.split())) for line in run.stdout.splitlines()]
    assert {is_open(now) for now, _ in pairs} == {True, False}
    for now, opens in pairs:
        following = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        assert opens == (now if is_open(now) else following)


def test_a_constant_that_the_app_no_longer_has_is_named(tmp_path: Path) -> None:
    with pytest.raises(hurried_app.ChangedAppError, match=r"shared/core/lane\.py has 'NEVER = 1' 0 times, not once"):
        hurried_app.make(tmp_path / "app", shorter={"shared/core/lane.py": {"NEVER = 1": "NEVER = 2"}})
