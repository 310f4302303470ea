"""Additional worker processes for the queues, according to FUNCTIONS_WORKER_PROCESS_COUNT.

In Azure a host feeds the processes that run an app's functions. Here the host is itself the first of them and alone has
HTTP, Event Grid and timers; the others listen to the queues beside it. A worker ends when its standard input does, so
that none outlives the host, however the host ends.
"""

import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from localcloud.functions.definition import HostError
from localcloud.functions.host_json import ServiceBusLimits

SETTING = "FUNCTIONS_WORKER_PROCESS_COUNT"
#: The most that Azure allows.
MOST = 10

#: Seconds before an ended worker is restarted, and seconds after the grace period before it is killed.
_PAUSE, _ENDING = 1.0, 5.0

_logger = logging.getLogger("host.workers")


def worker_count(settings: Mapping[str, str]) -> int:
    """How many processes run the functions, the host's own among them; raises HostError."""
    text = settings.get(SETTING, "1")
    if not (text.isdecimal() and 1 <= int(text) <= MOST):
        raise HostError(f"{SETTING} must be a whole number from 1 to {MOST}, not {text!r}.")
    return int(text)


def share_of(limits: ServiceBusLimits, workers: int, number: int) -> ServiceBusLimits:
    """One worker's share of the concurrent calls that host.json allows, at least one, and of what is prefetched."""
    calls = max(1, _share(limits.concurrent_calls, workers, number))
    return replace(limits, concurrent_calls=calls, prefetch_count=_share(limits.prefetch_count, workers, number))


def _share(of: int, workers: int, number: int) -> int:
    return (of + workers - 1 - number) // workers


async def keep_running(command: Sequence[str], folder: Path, environment: Mapping[str, str], grace: float) -> None:
    """Runs a worker in the folder until cancelled, and restarts it when it ends.

    `environment` is that from before the app was imported. What the app has set since then is not the worker's: the
    SDK of Azure ML, for one, cannot be imported where AZUREML_CURRENT_CLOUD names a cloud that it has not been told of.
    """
    while True:
        worker = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=environment, stdin=asyncio.subprocess.PIPE
        )
        try:
            code = await worker.wait()
        finally:
            await _end(worker, grace + _ENDING)
        _logger.warning("A worker process ended with exit code %d; restarting it.", code)
        await asyncio.sleep(_PAUSE)


async def _end(worker: asyncio.subprocess.Process, seconds: float) -> None:
    assert worker.stdin is not None
    worker.stdin.close()
    try:
        async with asyncio.timeout(seconds):
            await worker.wait()
    except TimeoutError:
        worker.kill()
        await worker.wait()


async def input_ended() -> None:
    """Waits for the end of this process's standard input, which means that the host has ended or wants the worker to
    stop.
    """
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1024):
        pass
