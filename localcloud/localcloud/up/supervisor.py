"""Keeps parts running: starts each, waits until it is ready, restarts it when it dies, and stops it."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localcloud import processes

#: The default number of seconds in which a part must become ready.
READY_WITHIN = 300.0
#: A part that dies more often than this within the window is not restarted.
MOST_RESTARTS = 5
RESTART_WINDOW = 300.0
#: Seconds before a part that does not end is killed.
GRACE = 5.0
#: Seconds until `changed` is called again after an OSError.
TRY_AGAIN = 1.0

#: Seconds before the first restart; doubled for each one after it.
_FIRST_PAUSE = 0.1
_LOOK_AGAIN = 0.05
_LOG_LINES = 15


class PartFailedError(Exception):
    """A part did not become ready or died too often; the text has the end of its log and what to do."""


@dataclass(frozen=True)
class Part:
    """A process to keep running. `ready` checks once whether it serves requests."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    ready: Callable[[], Awaitable[bool]]


@dataclass
class _Running:
    part: Part
    process: processes.Process | None = None
    keeper: asyncio.Task[None] | None = None
    starts: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_RESTARTS + 1))


class Supervisor:
    """The running parts. `tell` gets a line about everything unexpected; `changed` is called after each start.

    An OSError of either does not end the supervision.
    """

    def __init__(
        self, tell: Callable[[str], None], changed: Callable[[], None], ready_within: float = READY_WITHIN
    ) -> None:
        self._tell = tell
        self._changed = changed
        self._ready_within = ready_within
        self._running: dict[str, _Running] = {}
        self._again: asyncio.TimerHandle | None = None
        self._told_of_trouble = False
        #: Set when a part is no longer restarted.
        self.failure: asyncio.Future[PartFailedError] = asyncio.get_running_loop().create_future()

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of the parts that run now."""
        processes_by_name = {name: one.process for name, one in self._running.items()}
        return {name: one.pid for name, one in processes_by_name.items() if one and one.returncode is None}

    async def start(self, part: Part) -> None:
        """Returns when the part is ready; from then on it is kept running. Raises `PartFailedError`."""
        running = self._running.setdefault(part.name, _Running(part))
        running.part = part
        await self._launch(running)
        running.keeper = asyncio.create_task(self._keep(running))

    async def kill(self, name: str) -> None:
        """Ends a part as a crash would; it stays down until `restart`."""
        running = self._running[name]
        await _cancel(running.keeper)
        if running.process is not None:
            running.process.kill()
            await running.process.wait()

    async def stop(self, name: str) -> None:
        """Stops a part properly; it stays down until `restart`."""
        running = self._running[name]
        await _cancel(running.keeper)
        if running.process is not None and running.process.returncode is None:
            await running.process.stop(GRACE)

    async def restart(self, name: str) -> None:
        """Restarts a part, whether it runs or not, and returns when it is ready."""
        await self.stop(name)
        self._running[name].starts.clear()
        await self.start(self._running[name].part)

    async def stop_all(self, first: str) -> None:
        """Stops `first`, then all other parts at the same time."""
        if self._again is not None:
            self._again.cancel()
        if first in self._running:
            await self.stop(first)
        await asyncio.gather(*(self.stop(name) for name in self._running))

    async def _launch(self, running: _Running) -> None:
        part = running.part
        running.starts.append(time.monotonic())
        try:
            running.process = await processes.start(
                part.command, log=part.log, environment=part.environment, folder=part.folder
            )
        except OSError as error:
            raise PartFailedError(f"{part.name} cannot be started: {error}") from error
        try:
            fault = await self._fault_of_start(part, running.process)
        except BaseException:
            running.process.kill()
            await running.process.wait()
            raise
        if fault is not None:
            await running.process.stop(0)
            raise PartFailedError(_report(part, fault))
        self._tell_of_change()

    async def _fault_of_start(self, part: Part, process: processes.Process) -> str | None:
        """None as soon as the part is ready."""
        deadline = time.monotonic() + self._ready_within
        while process.returncode is None:
            if await part.ready():
                return None
            if time.monotonic() > deadline:
                return f"was not ready within {self._ready_within:.0f} s"
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _LOOK_AGAIN)
        return f"ended with exit code {process.returncode} before it was ready"

    async def _keep(self, running: _Running) -> None:
        name = running.part.name
        while True:
            assert running.process is not None
            code = await running.process.wait()
            if _too_often(running.starts):
                fault = f"died again after {MOST_RESTARTS} restarts within {RESTART_WINDOW:.0f} s and stays down"
                if not self.failure.done():
                    self.failure.set_result(PartFailedError(_report(running.part, fault)))
                return
            self._say(f"{name} ended unexpectedly with exit code {code}; restarting it")
            await asyncio.sleep(_FIRST_PAUSE * 2 ** (len(running.starts) - 1))
            try:
                await self._launch(running)
            except PartFailedError as error:
                self._say(str(error))
            else:
                self._say(f"{name} is ready again")

    def _tell_of_change(self) -> None:
        """Calls `changed`. If a file cannot be written, for example on a full disk, no part stops and writing is
        retried."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        try:
            self._changed()
        except OSError as error:
            if not self._told_of_trouble:
                self._say(f"The addresses cannot be saved ({error}); retrying every {TRY_AGAIN:g} s")
            self._told_of_trouble = True
            self._again = asyncio.get_running_loop().call_later(TRY_AGAIN, self._tell_of_change)
        else:
            self._told_of_trouble = False

    def _say(self, line: str) -> None:
        """The line may go to a file on a full disk, or to a closed terminal."""
        with contextlib.suppress(OSError):
            self._tell(line)


def _too_often(starts: deque[float]) -> bool:
    return len(starts) > MOST_RESTARTS and time.monotonic() - starts[0] < RESTART_WINDOW


def _report(part: Part, fault: str) -> str:
    lines = (
        part.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:] if part.log.exists() else []
    )
    end = "\n".join(f"    {line}" for line in lines) or "    (the log is empty)"
    return (
        f"{part.name} {fault}. The end of its log {part.log}:\n{end}\n"
        "  Fix what the log names and start again. To rule out leftovers, use another port or an empty data folder."
    )


async def _cancel(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
