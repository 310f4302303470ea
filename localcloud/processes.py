"""Child processes that cannot outlive this one: each is held on a leash (`leash.py`) that ends with its owner."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")
#: A log grows to this size, then becomes `<log>.1`, and a new one begins.
LOG_BYTES = 8 * 1024 * 1024
#: As much of the end of a log is read at most.
TAIL_BYTES = 512 * 1024
#: How long the leash may take beyond the grace it was told, before it is given up on.
LEASH_SECONDS = 15.0


class Process:
    """A running or ended child process. Its descendants are ended with it."""

    def __init__(self, leash: asyncio.subprocess.Process, pid: int) -> None:
        #: The command's own process id, which is also its process group.
        self.pid = pid
        #: None while it runs; negative when a signal ended it.
        self.returncode: int | None = None
        self._leash = leash
        self._end = asyncio.create_task(self._follow())

    async def wait(self) -> int:
        """Return the exit code when the process and all its descendants have ended."""
        return await asyncio.shield(self._end)

    async def stop(self, grace_seconds: float = 5.0) -> int:
        """Send SIGTERM to the process and its descendants, SIGKILL after the grace, and return the exit code."""
        self._order(f"stop {grace_seconds}")
        try:
            return await asyncio.wait_for(self.wait(), grace_seconds + LEASH_SECONDS)
        except TimeoutError:
            self._give_up_on_leash()
            return await self.wait()

    def kill(self) -> None:
        """Send SIGKILL to the process itself, as a crash would end it; nothing happens when it has ended."""
        self._order("kill")

    def _order(self, line: str) -> None:
        leash_input = self._leash.stdin
        assert leash_input is not None
        if self.returncode is None:
            # A leash that is ending has closed its side; then the order is fulfilled.
            with contextlib.suppress(ConnectionError):
                leash_input.write(f"{line}\n".encode())

    async def _follow(self) -> int:
        assert self._leash.stdout is not None
        report = (await self._leash.stdout.read()).decode()
        await self._leash.wait()
        word, _, code = report.strip().partition(" ")
        if word != "ended":  # Somebody killed the leash.
            self._give_up_on_leash()
        self.returncode = int(code) if word == "ended" else -signal.SIGKILL
        assert self._leash.stdin is not None
        self._leash.stdin.close()
        return self.returncode

    def _give_up_on_leash(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            self._leash.kill()


async def start(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Process:
    """Start a command in `folder`, with `environment` instead of this process's own, its output appended to `log`.

    OSError when the command cannot be run or the log not be written.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    leash = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(LEASH), str(log), str(LOG_BYTES), str(folder or Path.cwd()), *command),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
        # Ctrl-C in a terminal reaches the owner alone, and it decides what ends when.
        start_new_session=True,
    )
    assert leash.stdin is not None
    assert leash.stdout is not None
    try:
        report = (await leash.stdout.readline()).decode().strip()
        word, _, detail = report.partition(" ")
        if word != "started":
            await leash.wait()
            raise OSError(f"cannot start {command[0]}: {detail or 'its leash ended'}")
    except BaseException:
        leash.stdin.close()
        raise
    return Process(leash, int(detail))


def tail(log: Path, lines: int) -> str:
    """The last lines of a log, the part before its last rotation included; empty when there is none."""
    end = b""
    for part in (Path(f"{log}.1"), log):
        with contextlib.suppress(FileNotFoundError), part.open("rb") as file:
            file.seek(max(0, part.stat().st_size - TAIL_BYTES))
            end += file.read()
    return "".join(end.decode(errors="replace").splitlines(keepends=True)[-lines:]) if lines > 0 else ""
