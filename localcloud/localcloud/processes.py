"""Child processes that cannot outlive this one: each is held on a leash (`leash.py`) that ends with its owner."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")
#: When a log reaches this size, it becomes `<log>.1` and a new one begins.
LOG_BYTES = 8 * 1024 * 1024
#: The most bytes that are read from the end of a log.
TAIL_BYTES = 512 * 1024
#: Seconds that the leash may take after the grace period before it is killed.
LEASH_SECONDS = 15.0


class Process:
    """A running or ended child process. Its descendants are ended with it."""

    def __init__(self, leash: "_Leash", pid: int) -> None:
        #: The command's own process id, which is also its process group.
        self.pid = pid
        #: None while it runs; negative if a signal ended it.
        self.returncode: int | None = None
        self._leash = leash
        self._end = asyncio.create_task(self._follow())

    async def wait(self) -> int:
        """Returns the exit code when the process and all its descendants have ended."""
        return await asyncio.shield(self._end)

    async def stop(self, grace_seconds: float = 5.0) -> int:
        """Sends SIGTERM to the process and its group, after the grace SIGKILL to all descendants; return the exit code.

        Descendants in other groups are killed as soon as the process has ended.
        """
        self._leash.order(f"stop {grace_seconds}")
        try:
            return await asyncio.wait_for(self.wait(), grace_seconds + LEASH_SECONDS)
        except TimeoutError:
            self._give_up_on_leash()
            return await self.wait()

    def kill(self) -> None:
        """Sends SIGKILL to the process itself, as a crash would; does nothing if it has ended."""
        self._leash.order("kill")

    async def _follow(self) -> int:
        word, _, code = (await self._leash.report()).partition(" ")
        if word != "ended":  # Somebody killed the leash.
            self._give_up_on_leash()
        await self._leash.end()
        self.returncode = int(code) if word == "ended" else -signal.SIGKILL
        return self.returncode

    def _give_up_on_leash(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._leash.kill()


class _Leash:
    """The process in between. It takes orders, sends reports, and ends when its owner closes the orders.

    It is not an asyncio subprocess: asyncio kills those when the event loop ends, and a killed leash cannot stop
    anything.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str] | None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LEASH), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=environment,
            # Ctrl-C in a terminal reaches only the owner, which decides what ends when.
            start_new_session=True,
        )
        self._reports = asyncio.StreamReader()
        self._transport: asyncio.BaseTransport | None = None

    async def listen(self) -> None:
        protocol = asyncio.StreamReaderProtocol(self._reports)
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, self._process.stdout)

    async def report(self) -> str:
        """The next line from the leash; empty if it has ended."""
        return (await self._reports.readline()).decode().strip()

    def order(self, line: str) -> None:
        orders = self._process.stdin
        assert orders is not None
        # If it has ended, the order has been carried out.
        if not orders.closed:
            with contextlib.suppress(BrokenPipeError):
                orders.write(f"{line}\n".encode())

    async def end(self) -> None:
        """Closes the orders, which ends everything still on the leash, and waits for that."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.to_thread(self._process.wait, LEASH_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
        if self._transport is not None:
            self._transport.close()

    def kill(self) -> None:
        self._process.kill()


def inherited() -> dict[str, str]:
    """This process's environment for a process of a local cloud, without the name of the cloud in use: Azure ML's SDK
    sets it, and cannot be imported where it names a cloud that only this process knows.
    """
    return {name: value for name, value in os.environ.items() if name != "AZUREML_CURRENT_CLOUD"}


async def start(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Process:
    """Starts a command in `folder`, with `environment` instead of this process's own, its output appended to `log`.

    Files that it creates are readable by their owner only, unless it sets another mode. Output that cannot be written
    to the log is lost. OSError when the command cannot be run.
    """
    with contextlib.suppress(OSError):
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    leash = _Leash([str(log), str(LOG_BYTES), str(folder or Path.cwd()), *command], environment)
    try:
        await leash.listen()
        word, _, detail = (await leash.report()).partition(" ")
        if word != "started":
            raise OSError(f"cannot start {command[0]}: {detail or 'its leash ended'}")
    except BaseException:
        await leash.end()
        raise
    return Process(leash, int(detail))


def tail(log: Path, lines: int) -> str:
    """The last lines of a log, including the last rotated file; empty if there is no log."""
    end = b""
    for part in (Path(f"{log}.1"), log):
        with contextlib.suppress(FileNotFoundError), part.open("rb") as file:
            file.seek(max(0, part.stat().st_size - TAIL_BYTES))
            end += file.read()
    return "".join(end.decode(errors="replace").splitlines(keepends=True)[-lines:]) if lines > 0 else ""
