"""The whole story of `make demo`, on a local cloud of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.scripts import REPOSITORY
from tests.examples.test_command import processes_of
from tests.examples.test_pipeline_story import SECONDS


@pytest.mark.timeout(SECONDS + 60)
def test_a_rollout_is_shown_with_its_figures_and_one_that_comes_back_by_itself(tmp_path: Path) -> None:
    data = tmp_path / "data"
    demo = subprocess.run(
        [sys.executable, "-m", "examples.demo", "--data", str(data)],
        cwd=REPOSITORY,
        env={**os.environ, "COLUMNS": "130"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert demo.returncode == 0, f"{demo.stdout}\n{demo.stderr}"
    told = " ".join(demo.stdout.split())
    assert [f"✓ {number}" in told for number in range(1, 9)] == [True] * 8
    better, slower = told.partition("7 A better version")[2].split("8 A slower version", 1)
    for step in ("rollout-1", "rollout-2", "shift", "watch"):
        assert step in better
    assert re.search(r"\b0 of \d+ requests failed", better)
    assert "latency_p95" in slower
    assert "all traffic is back at version 4" in slower
    for figure in ("live figures of prod", "error rate candidate", "P95 latency candidate", "champion"):
        assert figure in slower, "`mlpromote show` draws it"
    assert processes_of(data) == []
