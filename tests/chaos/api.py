"""The app's HTTP API, for people who use it while the app dies again and again."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from mlpromote.client import Answer, Client, NoAnswerError
from tests.signing_in import bearer

#: Seconds after which a caller gives up.
PATIENCE = 20.0
#: Calls at once: each takes a thread while it waits.
AT_ONCE = 32


class Api:
    """Every person signs in once, while everything works: tokens outlive the run. Calls raise `NoAnswerError` if the
    app does not answer, or says that it cannot right now (500 and above)."""

    def __init__(self, addresses: Mapping[str, Any]) -> None:
        self._client = Client(addresses["functions"]["url"], PATIENCE)
        self._threads = ThreadPoolExecutor(AT_ONCE)
        self._key = {"x-functions-key": addresses["functions"]["keys"]["default"]}
        self._addresses = addresses
        self._signed_in: dict[str, dict[str, str]] = {}

    async def sign_in(self, *people: str) -> None:
        """Get a token for each of these people."""
        for person in people:
            self._signed_in[person] = await asyncio.to_thread(bearer, self._addresses, person)

    async def get(self, path: str) -> Any:
        """The JSON of an answer with status 200. Raises `NoAnswerError` for any other answer."""
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
            link = _below_api(page["next_link"]) if page["next_link"] else None

    async def post(self, path: str, by: str, body: Any, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Status and JSON of the answer to a person's request."""
        sent = {**(headers or {}), "Content-Type": "application/json"}
        return await self._changed("POST", path, by, json.dumps(body).encode(), sent)

    async def put(self, path: str, by: str, content: bytes) -> tuple[int, Any]:
        """The same for a file."""
        return await self._changed("PUT", path, by, content, {"Content-Type": "application/octet-stream"})

    async def _changed(
        self, method: str, path: str, by: str, content: bytes, headers: Mapping[str, str]
    ) -> tuple[int, Any]:
        sent = {**self._key, **self._signed_in[by], **headers}
        status, answer = await self._ask(method, path, sent, content)
        if status >= 500:
            raise NoAnswerError(f"{method} {path}: {status} {answer}")
        return status, answer

    async def _ask(
        self, method: str, path: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> tuple[int, Any]:
        def ask() -> Answer:
            return self._client.ask(method, f"/api/{path}", headers, content)

        answer = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        try:
            return answer.status, answer.json()
        except ValueError as fault:
            raise NoAnswerError(f"{method} {path}: {answer.status} {answer.text[:300]}") from fault


def _below_api(link: str) -> str:
    parts = urlsplit(link)
    return f"{parts.path.partition('/api/')[2]}?{parts.query}"
