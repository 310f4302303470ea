"""A real Event Grid process, real SDK publishers and a webhook in the test process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from localcloud.testing.eventgrid import DEADLINE, EventGrid, Webhook


@pytest.fixture
async def eventgrid(tmp_path: Path) -> AsyncIterator[EventGrid]:
    one = EventGrid(tmp_path)
    yield one
    await one.kill()


@pytest.fixture
async def webhook() -> AsyncIterator[Webhook]:
    one = Webhook()
    async with one.listening():
        yield one


Until = Callable[[Callable[[], Any]], Awaitable[None]]


@pytest.fixture
def until() -> Until:
    """Waits until a condition holds; fails the test if it does not within the deadline."""

    async def wait(condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():  # noqa: ASYNC110 - the condition is another process's or the webhook's record
                await asyncio.sleep(0.01)

    return wait
