"""The clock that `make test-later` runs the tests with."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "with_clock_ahead.sh"
DAY = 86400
needs_a_compiler = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not shutil.which("cc"), reason="needs Linux and a C compiler"
)
#: Each clock that a program reads, here and in a process that it starts; and that sleeping still takes its time.
TOLD = """
import datetime, sqlite3, subprocess, time
print(time.time())
print(datetime.datetime.now(datetime.UTC).timestamp())
print(sqlite3.connect(":memory:").execute("SELECT unixepoch()").fetchone()[0])
print(subprocess.run(["date", "+%s"], capture_output=True, text=True).stdout.strip())
begun = time.monotonic()
time.sleep(0.1)
print(begun, time.monotonic() - begun)
"""


@needs_a_compiler
def test_every_wall_clock_is_ahead_and_waiting_takes_as_long_as_ever() -> None:
    begun, begun_monotonic = time.time(), time.monotonic()
    command = [str(SCRIPT), "731", sys.executable, "-c", TOLD]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    took = time.time() - begun
    *clocks, last = answer.stdout.splitlines()
    assert len(clocks) == 4
    for clock in clocks:
        assert -1 <= float(clock) - begun - 731 * DAY <= took + 1
    monotonic, slept = map(float, last.split())
    assert begun_monotonic <= monotonic <= begun_monotonic + took
    assert 0.1 <= slept <= took


@needs_a_compiler
def test_the_command_ends_as_it_would_without_it() -> None:
    command = [str(SCRIPT), "1", sys.executable, "-c", "raise SystemExit(7)"]
    assert subprocess.run(command, check=False).returncode == 7
