"""The app's HTTP API as people use it while the app dies again and again."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urljoin

import aiohttp

from tests.signing_in import bearer

#: Seconds after which a caller gives up.
PATIENCE = aiohttp.ClientTimeout(total=20)


class NoAnswerError(Exception):
    """The app did not answer, or said that it cannot just now (500 and above)."""


class Api:
    """Every person signs in once, while all is well: tokens outlive the run."""

    def __init__(self, addresses: Mapping[str, Any], session: aiohttp.ClientSession) -> None:
        self._url = addresses["functions"]["url"] + "/api/"
        self._key = {"x-functions-key": addresses["functions"]["keys"]["default"]}
        self._addresses = addresses
        self._session = session
        self._signed_in: dict[str, dict[str, str]] = {}

    async def sign_in(self, *people: str) -> None:
        """Get a token for each of these people."""
        for person in people:
            self._signed_in[person] = await asyncio.to_thread(bearer, self._addresses, person)

    async def get(self, path: str) -> Any:
        """The JSON of an answer with 200; raises `NoAnswerError` otherwise."""
        status, body = await self._ask("GET", path, self._key)
        if status != 200:
            raise NoAnswerError(f"GET {path}: {status} {body}")
        return body

    async def all(self, path: str) -> AsyncIterator[Any]:
        """Each entry of a list, page by page."""
        link: str | None = path
        while link is not None:
            page = await self.get(link)
            for each in page["value"]:
                yield each
            link = page["next_link"]

    async def post(self, path: str, by: str, body: Any, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Status and JSON of the answer to a person's request; raises `NoAnswerError`."""
        sent = {**self._key, **self._signed_in[by], **(headers or {})}
        status, answer = await self._ask("POST", path, sent, json=body)
        if status >= 500:
            raise NoAnswerError(f"POST {path}: {status} {answer}")
        return status, answer

    async def _ask(self, method: str, path: str, headers: Mapping[str, str], **more: Any) -> tuple[int, Any]:
        url = urljoin(self._url, path)
        try:
            async with self._session.request(method, url, headers=headers, timeout=PATIENCE, **more) as answer:
                return answer.status, await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as fault:
            raise NoAnswerError(f"{method} {path}: {fault!r}") from fault
