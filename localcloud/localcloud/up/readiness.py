"""Checks once whether a part serves requests. No check raises: a part that does not answer is not ready yet."""

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp

_ANSWER_WITHIN = 2.0


async def port_is_open(port: int) -> bool:
    """Whether something accepts connections at this port of 127.0.0.1."""
    try:
        async with asyncio.timeout(_ANSWER_WITHIN):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def json_answer(url: str, headers: Mapping[str, str] | None = None) -> Any:
    """The JSON that the address answers with, or None for any failure."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_ANSWER_WITHIN)) as session,
            session.get(url, headers=headers) as answer,
        ):
            return await answer.json() if answer.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None
