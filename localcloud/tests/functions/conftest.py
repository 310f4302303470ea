"""Runs a real host process on a sample app, and a real broker process where an app needs one."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from localcloud import processes

APPS = Path(__file__).with_name("apps")
DISTRIBUTION = Path(__file__).parents[2]
DEADLINE = 300.0

QUEUES = {
    "single": {"LockDuration": "PT5S", "MaxDeliveryCount": 3},
    "raw": {"LockDuration": "PT30S", "MaxDeliveryCount": 3},
    "many": {"LockDuration": "PT30S", "MaxDeliveryCount": 3},
    "results": {"LockDuration": "PT30S", "MaxDeliveryCount": 3},
}


async def until(condition: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """Waits until the condition gives something true, and returns it."""
    async with asyncio.timeout(seconds):
        while not (value := condition()):  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.01)
    return value


async def start_part(arguments: list[str], log: Path, ready: str, environment: dict[str, str]) -> tuple[Any, int]:
    """Starts a part of the local cloud and returns its process and its port once its log says it is ready."""
    command = [sys.executable, "-m", "localcloud", *arguments]
    process = await processes.start(command, log=log, environment={**os.environ, **environment}, folder=DISTRIBUTION)

    def found() -> Any:
        text = log.read_text() if log.exists() else ""
        assert process.returncode is None, text
        return re.search(ready + r"(\d+)", text)

    return process, int((await until(found))[1])


@dataclass
class RunningHost:
    """A host process, its keys, and what its functions saw."""

    process: Any
    port: int
    log: Path
    seen_file: Path
    keys: dict[str, Any]
    session: aiohttp.ClientSession

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def seen(self, function: str) -> list[dict[str, Any]]:
        """What the function appended so far."""
        lines = self.seen_file.read_text().splitlines() if self.seen_file.exists() else []
        return [one for one in map(json.loads, lines) if one["function"] == function]

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, str, Any]:
        """The status, text and headers of the answer."""
        async with self.session.request(method, self.address + path, **options) as response:
            return response.status, await response.text(), response.headers


StartHost = Callable[..., Awaitable[RunningHost]]


@pytest.fixture
async def start_host(tmp_path: Path) -> AsyncIterator[StartHost]:
    """Starts hosts on the app `everything`, or another; all are stopped after the test."""
    started: list[processes.Process] = []
    async with aiohttp.ClientSession() as session:

        async def start(*options: str, app: Path = APPS / "everything", **settings: str) -> RunningHost:
            data, seen = tmp_path / "data", tmp_path / "seen.jsonl"
            log = tmp_path / f"host-{len(started)}.log"
            environment = {
                "BUS": "Endpoint=sb://localhost:1;SharedAccessKeyName=k;SharedAccessKey=v;UseDevelopmentEmulator=true;",
                "OUTPUT_QUEUE": "results",
                "TICK_SCHEDULE": "0 0 3 * * *",
                "SEEN": str(seen),
                **settings,
            }
            arguments = ["functions", "--app", str(app), "--port", "0", "--data", str(data), *options]
            process, port = await start_part(arguments, log, r"functions ready on http://127\.0\.0\.1:", environment)
            started.append(process)
            keys_file = data / "keys.json"
            keys = json.loads(keys_file.read_text()) if keys_file.exists() else {}
            return RunningHost(process, port, log, seen, keys, session)

        yield start
        for process in started:
            process.kill()
            await process.wait()


@dataclass
class RunningBroker:
    """A Service Bus broker process that can be killed and started again on the same port and data."""

    folder: Path
    process: Any = None
    port: int = 0

    @property
    def connection_string(self) -> str:
        credentials = "SharedAccessKeyName=k;SharedAccessKey=v;UseDevelopmentEmulator=true;"
        return f"Endpoint=sb://localhost:{self.port};{credentials}"

    async def start(self) -> None:
        """Starts it, the second time at the port that it had."""
        configuration = self.folder / "Config.json"
        queues = [{"Name": name, "Properties": properties} for name, properties in QUEUES.items()]
        namespaces = [{"Name": "sbemulatorns", "Queues": queues}]
        configuration.write_text(json.dumps({"UserConfig": {"Namespaces": namespaces, "Logging": {"Type": "File"}}}))
        data, log = str(self.folder / "broker"), self.folder / "broker.log"
        log.unlink(missing_ok=True)
        arguments = ["servicebus", "--port", str(self.port), "--data", data, "--config", str(configuration)]
        self.process, self.port = await start_part(arguments, log, r"servicebus ready on 127\.0\.0\.1:", {})

    async def kill(self) -> None:
        """Ends it as `kill -9` does."""
        self.process.kill()
        await self.process.wait()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[RunningBroker]:
    """A broker with the queues `single`, `raw`, `many` and `results`."""
    running = RunningBroker(tmp_path)
    await running.start()
    yield running
    await running.kill()
