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
    # The metrics on the sample and on prod's data stand side by side, of the pipeline that passed and of the other.
    rows = [line.split() for line in demo.stdout.splitlines()]
    for row in ("metric source prod", "images 300 1200", "metric source here champion", "images 300 1200 1200"):
        assert row.split() in rows, demo.stdout
    assert "required no worse than the source's" in told
    # The way back: the people, the evaluation beside the champion, both runs of the pipeline, and all data.
    lineage = told.partition("$ mlpromote lineage prod/digits")[2].partition("✓ from the endpoint back")[0]
    for each in (
        "endpoint prod/digits",
        "approval bob reason better than the champion",
        "evaluation digits-2-",
        "data digits-holdout/1",
        "model digits/2",
        "approval bob reason the code was reviewed",
        "pipeline ",
        "data digits-sample/1 input images, workspace ws-dev",
        "data digits-production/1 input images, workspace ws-prod",
    ):
        assert each in lineage, (each, lineage)
    assert processes_of(data) == []
