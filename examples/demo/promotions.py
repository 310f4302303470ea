"""A client of the app's HTTP API: finds promotions and reads their state."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import aiohttp

#: A promotion as `GET /api/promotions/{id}` answers it.
Promotion = Mapping[str, Any]

POLL_SECONDS = 0.25


class ApiError(Exception):
    """The app's answer violates its API; the text has the request and the answer."""


class Promotions:
    """The promotions of the app at `url`. The caller closes `session`."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str) -> None:
        self._session = session
        self._url = f"{url.rstrip('/')}/api/promotions"
        self._headers = {"x-functions-key": key}

    async def get(self, promotion: str) -> Promotion:
        """The promotion with this id. Raises ApiError if there is none."""
        found: Promotion = await self._read(f"{self._url}/{promotion}", {})
        return found

    async def find(self, model: str, version: str) -> Promotion | None:
        """The newest promotion of a model version, or None while there is none."""
        answer = await self._read(self._url, {"model": model})
        found = [it for it in answer["value"] if it["kind"] == "model" and it["version"] == version]
        return await self.get(max(found, key=_created)["id"]) if found else None

    async def started(self, model: str, version: str, within_seconds: float) -> Promotion:
        """Wait for the promotion of a model version to appear. Raises TimeoutError if it does not."""
        deadline = time.monotonic() + within_seconds
        while time.monotonic() < deadline:
            found = await self.find(model, version)
            if found is not None:
                return found
            await asyncio.sleep(POLL_SECONDS)
        raise TimeoutError(f"no promotion of {model} version {version} appeared within {within_seconds:g} seconds")

    async def _read(self, url: str, query: Mapping[str, str]) -> Any:
        try:
            async with self._session.get(url, params=query, headers=self._headers) as answer:
                text = await answer.text()
                if answer.status != 200:
                    raise ApiError(f"GET {answer.url} answered {answer.status}: {text[:500]}")
                return await answer.json()
        except aiohttp.ClientError as fault:
            raise ApiError(f"GET {url} got no answer: {fault}") from fault


def _created(summary: Promotion) -> str:
    return str(summary["created"])
