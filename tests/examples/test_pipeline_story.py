"""The whole story of `make demo-pipeline`, on a local cloud of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.scripts import REPOSITORY
from tests.examples.test_command import processes_of

#: It takes less than three minutes on an idle machine, which this one is not.
SECONDS = 1800


@pytest.mark.timeout(SECONDS + 60)
def test_all_is_as_promised_and_no_process_is_left_behind(tmp_path: Path) -> None:
    data = tmp_path / "data"
    command = [sys.executable, "-m", "examples.demo", "pipeline", "--data", str(data)]
    demo = subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, "COLUMNS": "130"}, capture_output=True, text=True, timeout=SECONDS
    )
    assert demo.returncode == 0, f"{demo.stdout}\n{demo.stderr}"
    told = " ".join(demo.stdout.split())
    assert [f"✓ {number}" in told for number in range(1, 7)] == [True] * 6
    assert "no worse than" in told
    assert processes_of(data) == []
