"""Parts are waited for, started again when they die, given up when that does not help, and ended without a rest."""

import asyncio
import contextlib
import errno
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from localcloud.up.supervisor import MOST_RESTARTS, Part, PartFailedError, Supervisor

DEADLINE = 300.0

#: Counts its starts in a file, then runs until it is ended.
LASTING = "import pathlib, time; pathlib.Path('starts').open('a').write('x'); time.sleep(600)"


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.01)


def runs(pid: int) -> bool:
    """Whether there is such a process."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def started_again(supervisor: Supervisor, before: int) -> bool:
    return supervisor.pids.get("fake", before) != before


class World:
    """A supervisor with what it told, and a folder in which its parts run."""

    def __init__(self, folder: Path, ready_within: float = DEADLINE) -> None:
        self.folder = folder
        self.told: list[str] = []
        self.changes = 0
        self.supervisor = Supervisor(self.told.append, self._changed, ready_within)

    def part(self, script: str, name: str = "fake") -> Part:
        async def ready() -> bool:
            return (self.folder / "starts").exists()

        command = [sys.executable, "-c", script]
        return Part(name, command, dict(os.environ), self.folder, self.folder / f"{name}.log", ready)

    @property
    def starts(self) -> int:
        return len((self.folder / "starts").read_text())

    def _changed(self) -> None:
        self.changes += 1


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    one = World(tmp_path)
    yield one
    await one.supervisor.stop_all(first="fake")


async def test_a_part_that_dies_is_started_again_and_that_is_reported(world: World) -> None:
    await world.supervisor.start(world.part(LASTING))
    first = world.supervisor.pids["fake"]
    os.kill(first, signal.SIGKILL)
    await until(lambda: world.changes == 2)
    await until(lambda: world.starts == 2)
    assert world.supervisor.pids["fake"] != first
    assert world.told == [
        "fake ended unexpectedly with exit code -9; restarting it",
        "fake is ready again",
    ]


async def test_a_part_that_keeps_dying_is_given_up_with_the_end_of_its_log(world: World) -> None:
    dying = "import pathlib; pathlib.Path('starts').open('a').write('x'); print('no disk left'); raise SystemExit(3)"
    (world.folder / "starts").write_text("")  # ready at once, so that it is the dying that counts
    await world.supervisor.start(world.part(dying))
    async with asyncio.timeout(DEADLINE):
        failure = await world.supervisor.failure
    assert "no disk left" in str(failure)
    assert f"{MOST_RESTARTS} restarts" in str(failure)
    assert world.starts == MOST_RESTARTS + 1


async def test_a_part_that_ends_before_it_is_ready_fails_the_start(world: World) -> None:
    with pytest.raises(PartFailedError, match=r"exit code 2 before it was ready(.|\n)*port is taken"):
        await world.supervisor.start(world.part("print('port is taken'); raise SystemExit(2)"))
    assert world.supervisor.pids == {}


async def test_a_part_that_is_not_ready_in_time_fails_the_start_and_is_ended(tmp_path: Path) -> None:
    slow = World(tmp_path, ready_within=0.5)
    part = slow.part("import time; print('still loading', flush=True); time.sleep(600)")

    async def loads() -> bool:
        while not part.log.exists() or "still loading" not in part.log.read_text():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return False

    with pytest.raises(PartFailedError, match=r"not ready within(.|\n)*still loading"):
        await slow.supervisor.start(replace(part, ready=loads))
    assert slow.supervisor.pids == {}


async def test_a_command_that_cannot_be_run_fails_the_start(world: World) -> None:
    missing = replace(world.part(LASTING), command=["no-such-program"])
    with pytest.raises(PartFailedError, match=r"fake cannot be started: .*no-such-program"):
        await world.supervisor.start(missing)


async def test_parts_are_kept_running_while_nothing_can_be_written_and_it_is_written_later(tmp_path: Path) -> None:
    full = True
    written: list[int] = []
    told: list[str] = []

    def write() -> None:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(1)

    def tell(line: str) -> None:
        told.append(line)
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "starts").write_text("")
    world = World(tmp_path)
    supervisor = Supervisor(tell, write, DEADLINE)
    try:
        await supervisor.start(world.part("import time; time.sleep(60)"))
        for _ in range(2):
            before = supervisor.pids["fake"]
            os.kill(before, signal.SIGKILL)
            await until(partial(started_again, supervisor, before))
        full = False
        await until(lambda: written)
    finally:
        await supervisor.stop_all(first="fake")
    assert sum("cannot be saved" in line for line in told) == 1


async def test_a_part_whose_log_cannot_be_written_is_started_again_and_logs_once_it_can(tmp_path: Path) -> None:
    """A folder in the log's place stands for a disk that is full or read-only, which root would not notice."""
    (tmp_path / "fake.log").mkdir()
    (tmp_path / "starts").write_text("")
    world = World(tmp_path)
    speaking = "import time\nwhile True: print('I am here', flush=True); time.sleep(0.05)"
    try:
        await world.supervisor.start(world.part(speaking))
        before = world.supervisor.pids["fake"]
        os.kill(before, signal.SIGKILL)
        await until(lambda: world.supervisor.pids.get("fake", before) != before)
        (tmp_path / "fake.log").rmdir()
        await until(lambda: (tmp_path / "fake.log").exists() and "I am here" in (tmp_path / "fake.log").read_text())
    finally:
        await world.supervisor.stop_all(first="fake")


async def test_a_killed_part_stays_down_until_it_is_restarted(world: World) -> None:
    await world.supervisor.start(world.part(LASTING))
    await until(lambda: world.starts == 1)
    first = world.supervisor.pids["fake"]
    await world.supervisor.kill("fake")
    assert not runs(first)
    assert world.supervisor.pids == {}
    await world.supervisor.restart("fake")
    await until(lambda: world.starts == 2)
    assert world.told == []


async def test_all_parts_end_together(world: World) -> None:
    (world.folder / "starts").write_text("")
    names = ["one", "two", "three"]
    for name in names:
        await world.supervisor.start(world.part("import time; time.sleep(60)", name))
    pids = list(world.supervisor.pids.values())
    assert len(pids) == len(names)
    await world.supervisor.stop_all(first="two")
    assert not any(runs(pid) for pid in pids)
    assert world.told == []
