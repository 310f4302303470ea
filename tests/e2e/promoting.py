"""Promotions as the app's HTTP API tells of them, waited for; the app may be down meanwhile."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp

from examples.demo.promotions import ENDED, ApiError, Promotion, Promotions
from tests.e2e.azure import until


class Promoting:
    """The promotions of one app."""

    def __init__(self, addresses: Mapping[str, Any], session: aiohttp.ClientSession) -> None:
        functions = addresses["functions"]
        self._url = f"{functions['url']}/api/promotions"
        self._key = functions["keys"]["default"]
        self._session = session
        self._promotions = Promotions(session, functions["url"], self._key)

    async def ended(self, model: str, version: str = "1") -> Promotion:
        """The promotion of a model version, once it has come to its end."""

        async def look() -> Promotion | None:
            found = await self.find(model, version)
            return found if found and found["status"] in ENDED else None

        return await until(look, f"the promotion of {model} {version} has ended", seconds=90)

    async def succeeded(self, model: str, version: str = "1") -> Promotion:
        """The promotion of a model version, once it has succeeded; fails with the reason if it ends otherwise."""
        return await self._ended_as("succeeded", model, version)

    async def failed(self, model: str, version: str = "1") -> Promotion:
        """The promotion of a model version, once it has failed."""
        return await self._ended_as("failed", model, version)

    async def all_succeeded(self, *models: str) -> None:
        """Wait until version 1 of each has succeeded."""
        await asyncio.gather(*(self.succeeded(model) for model in models))

    async def in_step(self, model: str, version: str, step: str) -> Promotion:
        """The promotion of a model version, once this step of it is under way."""

        async def look() -> Promotion | None:
            found = await self.find(model, version)
            return found if found and step in running_steps(found) else None

        return await until(look, f"{model} {version} is in step {step}")

    async def find(self, model: str, version: str) -> Promotion | None:
        """The promotion of a model version; None while there is none or the app does not answer."""
        try:
            return await self._promotions.find(model, version)
        except (ApiError, TimeoutError):
            return None

    async def all_of(self, model: str, kind: str = "model") -> list[Promotion]:
        """The summaries of everything promoted under a model's name."""
        status, _, body = await self.request(f"?model={quote(model)}")
        assert status == 200, body
        return [each for each in json.loads(body)["value"] if each["kind"] == kind]

    async def request(self, path: str = "", key: str | None = None) -> tuple[int, str, str]:
        """Status, content type and text of `GET /api/promotions{path}`; `key` is sent in place of the app's own."""
        headers = {"x-functions-key": self._key if key is None else key}
        async with self._session.get(self._url + path, headers=headers) as answer:
            return answer.status, answer.content_type, await answer.text()

    async def _ended_as(self, status: str, model: str, version: str) -> Promotion:
        found = await self.ended(model, version)
        assert found["status"] == status, f"{model} {version}: {found['status']}: {found['reason']}"
        return found


def running_steps(promotion: Promotion) -> list[str]:
    """The names of the steps that are under way, of those that undo too."""
    return [
        step["name"]
        for stage in promotion["stages"]
        for step in (*stage["steps"], *stage["undoing"])
        if step["status"] == "running"
    ]


def failure(promotion: Promotion) -> Mapping[str, Any]:
    """Kind, reason and diagnosis of the step that failed."""
    steps = [step for stage in promotion["stages"] for step in (*stage["steps"], *stage["undoing"])]
    (found,) = [step["failure"] for step in steps if step["failure"]]
    return dict(found)


def journal(promotion: Promotion) -> list[str]:
    """What happened, in order: `what`, with the step where there is one."""
    return [" ".join(filter(None, (entry["what"], entry["step"]))) for entry in promotion["journal"]]
