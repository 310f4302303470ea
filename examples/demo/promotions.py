"""Finds promotions through the app's HTTP API, and reads how they are getting on."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from mlpromote.client import Client, NoAnswerError

#: A promotion as `GET /api/promotions/{id}` answers it.
Promotion = Mapping[str, Any]

#: The live figures of a promotion as `GET /api/promotions/{id}/series` answers them.
Series = Mapping[str, Any]

POLL_SECONDS = 0.25


class ApiError(Exception):
    """The app's answer violates its API; the text has the request and the answer."""


class Promotions:
    """The promotions that the app at `url` knows of."""

    def __init__(self, url: str, key: str) -> None:
        self._client = Client(url)
        self._headers = {"x-functions-key": key}

    async def get(self, promotion: str) -> Promotion:
        """The promotion with this id. Raises ApiError if there is none."""
        found: Promotion = await self._read(f"/{promotion}")
        return found

    async def series(self, promotion: str) -> Series:
        """The live figures of the promotion with this id."""
        found: Series = await self._read(f"/{promotion}/series")
        return found

    async def find(self, model: str, version: str, kind: str = "model") -> Promotion | None:
        """The newest promotion of a model version, or None while there is none; of a pipeline, by route and job."""
        answer = await self._read(f"?{urlencode({'model': model})}")
        found = [it for it in answer["value"] if it["kind"] == kind and it["version"] == version]
        return await self.get(max(found, key=_created)["id"]) if found else None

    async def started(self, model: str, version: str, within_seconds: float, kind: str = "model") -> Promotion:
        """Wait for the promotion of a model version to appear. Raises TimeoutError if it does not."""
        deadline = time.monotonic() + within_seconds
        while time.monotonic() < deadline:
            found = await self.find(model, version, kind)
            if found is not None:
                return found
            await asyncio.sleep(POLL_SECONDS)
        raise TimeoutError(f"no promotion of {model} version {version} appeared within {within_seconds:g} seconds")

    async def _read(self, address: str) -> Any:
        address = f"/api/promotions{address}"
        asked = f"GET {self._client.url}{address}"
        try:
            answer = await asyncio.to_thread(self._client.ask, "GET", address, self._headers)
            if answer.status != 200:
                raise ApiError(f"{asked} answered {answer.status}: {answer.text[:500]}")
            return answer.json()
        except NoAnswerError as fault:
            raise ApiError(f"{asked} got no answer: {fault}") from fault
        except ValueError as fault:
            raise ApiError(f"{asked} did not answer with JSON: {answer.text[:500]}") from fault


def _created(summary: Promotion) -> str:
    return str(summary["created"])
