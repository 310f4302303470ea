import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from localcloud import processes
from tests.compute.children import children_with

#: A shell that writes its own process id and that of a child it started, then waits for it.
SHELL_WITH_CHILD = "sleep 300 & echo $$ $!; wait"
#: A grandchild that left the process group and whose parent has ended.
DAEMON = "import os, time; os.fork() and os._exit(0); os.setsid(); print(os.getpid(), flush=True); time.sleep(300)"
#: Two processes, the second in a group of its own, that say when they are asked to end and do not.
TWO_GROUPS = """
import os, signal, time
name = "first" if os.fork() else "second"
if name == "second":
    os.setsid()
signal.signal(signal.SIGTERM, lambda *_: print(f"asked-{name}", flush=True))
print("ready", flush=True)
while True:
    time.sleep(1)
"""

Until = Callable[..., Awaitable[None]]

OWNER = """
import asyncio, sys
from pathlib import Path
from localcloud import processes
from tests.compute.children import children_with

async def own():
    log = Path(sys.argv[2])
    process = await processes.start(["bash", "-c", sys.argv[3]], log=log)
    while len(log.read_text().split()) < 2:
        await asyncio.sleep(0.01)
    if sys.argv[1] == "forgets":
        return
    await process.wait()

asyncio.run(own())
"""


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def pids_in(log: Path) -> list[int]:
    return [int(word) for word in log.read_text().split()] if log.exists() else []


async def test_output_of_both_streams_goes_to_the_log_and_the_exit_code_comes_back(tmp_path: Path) -> None:
    process = await processes.start(["bash", "-c", "echo out; echo err >&2; exit 7"], log=tmp_path / "new" / "log.txt")
    assert await process.wait() == 7
    assert process.returncode == 7
    assert sorted((tmp_path / "new" / "log.txt").read_text().split()) == ["err", "out"]


async def test_environment_and_folder_are_the_ones_given(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import os; print(os.getcwd(), os.environ.get('COLOUR'), 'HOME' in os.environ)"]
    log = tmp_path / "log.txt"
    process = await processes.start(command, log=log, environment={"COLOUR": "blue"}, folder=tmp_path)
    assert await process.wait() == 0
    assert log.read_text() == f"{tmp_path} blue False\n"


async def test_a_command_that_does_not_exist_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"cannot start no-such-program: .*No such file"):
        await processes.start(["no-such-program"], log=tmp_path / "log.txt")


async def test_stop_ends_children_too(tmp_path: Path, until: Until) -> None:
    log = tmp_path / "log.txt"
    process = await processes.start(["bash", "-c", SHELL_WITH_CHILD], log=log)
    await until(lambda: len(pids_in(log)) == 2)
    assert await process.stop() == -signal.SIGTERM
    assert not any(map(alive, pids_in(log)))


async def test_stop_kills_what_ignores_the_signal_when_the_grace_is_over(tmp_path: Path, until: Until) -> None:
    log = tmp_path / "log.txt"
    process = await processes.start(["bash", "-c", "trap '' TERM; echo 1; while true; do sleep 1; done"], log=log)
    await until(lambda: bool(pids_in(log)))
    assert await process.stop(grace_seconds=0.1) == -signal.SIGKILL


async def test_stop_asks_once_and_leaves_other_groups_to_the_process_itself(tmp_path: Path, until: Until) -> None:
    log = tmp_path / "log.txt"
    process = await processes.start([sys.executable, "-c", TWO_GROUPS], log=log)
    await until(lambda: log.exists() and log.read_text().count("ready") == 2)
    await process.stop(grace_seconds=0.3)
    assert "".join(log.read_text().split()) == "readyreadyasked-first"  # two processes write the first words


async def test_kill_ends_the_process_as_a_crash_would_and_its_children_follow(tmp_path: Path, until: Until) -> None:
    log = tmp_path / "log.txt"
    process = await processes.start(["bash", "-c", SHELL_WITH_CHILD], log=log)
    await until(lambda: len(pids_in(log)) == 2)
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    assert not any(map(alive, pids_in(log)))
    process.kill()  # It has ended: nothing happens.


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans to the leash")
async def test_a_daemon_that_left_the_process_group_ends_with_its_command(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    process = await processes.start(
        ["bash", "-c", f'{shlex.quote(sys.executable)} -S -c "{DAEMON}"; sleep 0.2'], log=log
    )
    assert await process.wait() == 0
    assert len(pids_in(log)) == 1
    assert not alive(pids_in(log)[0])


async def test_nothing_is_left_when_the_owner_is_killed(tmp_path: Path, until: Until) -> None:
    log = tmp_path / "log.txt"
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", OWNER, "waits", str(log), SHELL_WITH_CHILD)
    await until(lambda: len(pids_in(log)) == 2)
    (leash,) = psutil.Process(owner.pid).children()
    owner.kill()
    await owner.wait()
    await until(lambda: not any(map(alive, [*pids_in(log), leash.pid])))


async def test_nothing_is_left_when_the_owner_ends_without_stopping_it(tmp_path: Path, until: Until) -> None:
    log = tmp_path / "log.txt"
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-c", OWNER, "forgets", str(log), SHELL_WITH_CHILD),
        stderr=asyncio.subprocess.DEVNULL,  # asyncio complains of the pipe that is still open.
    )
    assert await owner.wait() == 0
    assert len(pids_in(log)) == 2
    await until(lambda: not any(map(alive, pids_in(log))))


async def test_nothing_is_left_when_starting_is_cancelled(tmp_path: Path) -> None:
    marker = "305"
    for moment in range(8):
        starting = asyncio.create_task(processes.start(["sleep", marker], log=tmp_path / "log.txt"))
        await asyncio.sleep(moment * 0.004)  # Somewhere within the start, which takes about 20 ms.
        if starting.cancel():
            await asyncio.wait([starting])
        else:
            await starting.result().stop()
        assert children_with(marker) == []


async def test_nothing_is_left_when_the_leash_is_killed(tmp_path: Path, until: Until) -> None:
    log = tmp_path / "log.txt"
    process = await processes.start(["bash", "-c", SHELL_WITH_CHILD], log=log)
    await until(lambda: len(pids_in(log)) == 2)
    os.kill(psutil.Process(process.pid).ppid(), signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    await until(lambda: not any(map(alive, pids_in(log))))


async def test_a_log_is_rotated_before_it_outgrows_its_limit(tmp_path: Path, until: Until) -> None:
    log = tmp_path / "log.txt"
    lines = processes.LOG_BYTES // 1000 * 3
    command = [sys.executable, "-c", f"for n in range({lines}): print(f'{{n:999}}')"]
    assert await (await processes.start(command, log=log)).wait() == 0
    assert log.read_text().split()[-1] == str(lines - 1)
    sizes = {name: os.stat(tmp_path / name).st_size for name in os.listdir(tmp_path)}
    assert sorted(sizes) == ["log.txt", "log.txt.1"]
    assert max(sizes.values()) <= processes.LOG_BYTES


def test_the_tail_of_a_log_begins_before_its_last_rotation(tmp_path: Path) -> None:
    (tmp_path / "log.txt.1").write_text("1\n2\n3\n")
    (tmp_path / "log.txt").write_text("4\n5\n")
    assert processes.tail(tmp_path / "log.txt", 3) == "3\n4\n5\n"
    assert processes.tail(tmp_path / "none.txt", 3) == ""


async def test_starting_costs_little_more_than_the_program_itself(tmp_path: Path) -> None:
    start = asyncio.get_running_loop().time()
    for _ in range(5):
        await (await processes.start(["true"], log=tmp_path / "log.txt")).wait()
    assert (asyncio.get_running_loop().time() - start) / 5 < 0.5
