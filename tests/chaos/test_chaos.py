"""A short run of the harness; `make chaos` does a long one."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.chaos.__main__ import INTERRUPTED, models_for
from tests.chaos.hurried_app import REPOSITORY
from tests.chaos.run import Plan, run
from tests.e2e.conftest import processes_of

SEED, KILLS = 20261121, 10
STARTS_WITHIN = 120.0
pytestmark = [
    pytest.mark.timeout(900),
    # The SDK's own use of marshmallow 3, as in the end-to-end tests.
    pytest.mark.filterwarnings("ignore::marshmallow.warnings.RemovedInMarshmallow4Warning"),
]


async def test_everything_holds_after_ten_kills(tmp_path: Path) -> None:
    result = await run(Plan(SEED, KILLS, models_for(5), KILLS), tmp_path / "chaos", print)
    assert result.violations == [], f"seed {SEED}: {result.summary}"
    assert result.kills.total() == KILLS
    assert result.ended["succeeded"], f"nothing was promoted: {result.summary}"


def test_interrupted_even_twice_it_ends_everything_that_it_has_started(tmp_path: Path) -> None:
    folder = tmp_path / "chaos"
    command = [sys.executable, "-m", "tests.chaos", "--seed=1", "--kills=9", "--lanes=1", f"--folder={folder}"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as harness:
        deadline = time.monotonic() + STARTS_WITHIN
        while not processes_of(folder / "cloud") and time.monotonic() < deadline:
            time.sleep(0.2)
        for _ in range(2):
            harness.send_signal(signal.SIGINT)
            time.sleep(0.5)
        said, _ = harness.communicate(timeout=STARTS_WITHIN)
    assert harness.returncode == INTERRUPTED, said
    assert "Interrupted. Everything that was started has ended." in said
    assert str(folder) in said
    assert processes_of(folder) == []
