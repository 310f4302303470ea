"""A running app whose broker is away: reading still works, and whatever would send is refused quickly."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import psutil
import pytest
import pytest_asyncio

from localcloud.up import LocalCloud
from tests.functions.running import REPOSITORY, describe

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: More than the functions' threads.
AT_ONCE = 40


@dataclass(frozen=True)
class Running:
    parts: LocalCloud
    http: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, float, Any]:
        """Status, seconds and headers of an answer."""
        functions = self.parts.addresses["functions"]
        begun = time.monotonic()
        headers = {"x-functions-key": functions["keys"]["default"]}
        async with self.http.request(method, f"{functions['url']}/api/{path}", headers=headers, **more) as answer:
            await answer.read()
            return answer.status, time.monotonic() - begun, answer.headers

    async def start(self, version: int) -> tuple[int, float, Any]:
        """Of a model of its own: another version of the same would have nothing to send."""
        body = {"model": f"digits-{version}", "version": "1", "reason": "x"}
        return await self.ask("POST", "promotions", json=body)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder, connector = tmp_path_factory.mktemp("away"), aiohttp.TCPConnector(limit=0)
    digits = (REPOSITORY / "examples/digits/promotion.yml").read_text(encoding="utf-8")
    (folder / "promotion.yml").write_text(digits.replace('models: ["digits"]', 'models: ["digits*"]'), encoding="utf-8")
    description = describe(MLPROMOTE_CONFIGURATION=str(folder / "promotion.yml"))
    async with (
        LocalCloud(description, folder / "data") as parts,
        aiohttp.ClientSession(connector=connector) as http,
    ):
        yield Running(parts, http)


async def test_reading_never_waits_and_starting_is_refused_quickly(running: Running) -> None:
    assert (await running.start(1))[0] == 202
    assert (await running.ask("GET", "promotions"))[0] == 200
    await running.parts.kill("servicebus")
    try:
        threads = most_threads(running)
        starts = [asyncio.create_task(running.start(number)) for number in range(2, 2 + AT_ONCE)]
        await asyncio.sleep(0.05)
        reads = await asyncio.gather(*(running.ask("GET", "promotions") for _ in range(AT_ONCE)))
        refused = await asyncio.gather(*starts)
        assert {status for status, _, _ in reads} == {200}
        assert {status for status, _, _ in refused} == {503}
        assert all(int(headers["Retry-After"]) >= 1 for _, _, headers in refused)
        # The first request takes as long as the SDK tries. The others wait for it, and later ones do not.
        assert max(seconds for _, seconds, _ in (*reads, *refused)) < 50, "the SDK by itself tries for a minute"
        started = [await running.start(99) for _ in range(5)]
        read = [await running.ask("GET", "promotions") for _ in range(5)]
        assert {status for status, *_ in started} == {503}
        assert {status for status, *_ in read} == {200}
        # The best of some says whether they wait for anything: a busy machine may hold up any of them.
        assert min(seconds for _, seconds, _ in started) < 2
        assert min(seconds for _, seconds, _ in read) < 1
        status, seconds, _ = await running.ask("GET", "failures")
        assert (status, seconds < 40) == (503, True)
        assert most_threads(running) <= threads + 10
    finally:
        await running.parts.restart("servicebus")

    until = time.monotonic() + 300
    while (await running.start(100))[0] != 202:
        assert time.monotonic() < until
        await asyncio.sleep(0.3)


def most_threads(running: Running) -> int:
    """Of any process of the app."""
    pids = running.parts.addresses["pids"]
    host = psutil.Process(pids["functions"])
    return max(each.num_threads() for each in (host, *host.children(recursive=True)))
