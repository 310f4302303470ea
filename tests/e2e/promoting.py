"""Waits for promotions through the app's HTTP API. The app may be down meanwhile."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from examples.demo.promotions import Promotion
from mlpromote.client import Answer, Client, NoAnswerError
from mlpromote.statuses import ENDED
from tests.e2e.azure import until
from tests.signing_in import bearer

#: Seconds for a promotion. An app that was killed waits for minutes before it asks again.
LONGEST = 900.0
LOOK_AGAIN = 0.5


class Promoting:
    """The promotions of one app."""

    def __init__(self, addresses: Mapping[str, Any]) -> None:
        self._addresses = addresses
        functions = addresses["functions"]
        self._client = Client(functions["url"])
        self._key = functions["keys"]["default"]

    async def ended(self, model: str, version: str = "1", kind: str = "model") -> Promotion:
        """The promotion of a model version (or of a job by its name), once it has ended."""

        async def look() -> Promotion | None:
            try:
                found = await self._summary(model, version, kind)
                return await self._read(f"/{found['id']}") if found and found["status"] in ENDED else None
            except NoAnswerError:
                return None

        return await until(look, f"the promotion of {model} {version} has ended", LONGEST, LOOK_AGAIN)

    async def succeeded(self, model: str, version: str = "1") -> Promotion:
        """The promotion of a model version, once it has succeeded; fails with the reason if it ends otherwise."""
        return await self._ended_as("succeeded", model, version)

    async def failed(self, model: str, version: str = "1") -> Promotion:
        """The promotion of a model version, once it has failed."""
        return await self._ended_as("failed", model, version)

    async def find(self, model: str, version: str, kind: str = "model") -> Promotion | None:
        """The promotion of a model version; None while there is none or the app does not answer."""
        try:
            found = await self._summary(model, version, kind)
            return await self._read(f"/{found['id']}") if found else None
        except NoAnswerError:
            return None

    async def comes_to(self, model: str, version: str, *steps: str) -> Promotion:
        """The promotion of a model version, once these of its steps are under way, and no others."""

        async def look() -> Promotion | None:
            found = await self.find(model, version)
            return found if found is not None and running_steps(found) == list(steps) else None

        return await until(look, f"{model} {version} comes to {', '.join(steps)}", LONGEST, LOOK_AGAIN)

    async def all_of(self, model: str, kind: str = "model") -> list[Promotion]:
        """The summaries of everything promoted under a model's name, newest first."""
        page = await self._read(f"?model={quote(model)}&top=200")
        return [each for each in page["value"] if each["kind"] == kind]

    async def request(self, path: str = "", key: str | None = None) -> Answer:
        """The answer to `GET /api/promotions{path}`; `key` is sent in place of the app's own."""
        headers = {"x-functions-key": self._key if key is None else key}
        return await asyncio.to_thread(self._client.ask, "GET", f"/api/promotions{path}", headers)

    async def ask(self, promotion: str, action: str, **body: str) -> Answer:
        """The answer to Alice, who asks for something to be done to a promotion, such as `cancel`."""
        signed_in = await asyncio.to_thread(bearer, self._addresses, "alice")
        headers = {"x-functions-key": self._key, "Content-Type": "application/json", **signed_in}
        address, content = f"/api/promotions/{promotion}/{action}", json.dumps(body).encode()
        return await asyncio.to_thread(self._client.ask, "POST", address, headers, content)

    async def accepted(self, promotion: str, action: str, **body: str) -> None:
        """Ask for it as Alice; fails unless the app accepts it."""
        answer = await self.ask(promotion, action, **body)
        assert answer.status == 202, f"{action}: {answer.status} {answer.text}"

    async def _summary(self, model: str, version: str, kind: str) -> Promotion | None:
        return next((each for each in await self.all_of(model, kind) if each["version"] == version), None)

    async def _read(self, path: str) -> Any:
        answer = await self.request(path)
        if answer.status != 200:
            raise NoAnswerError(f"{path}: {answer.status} {answer.text}")
        return answer.json()

    async def _ended_as(self, status: str, model: str, version: str) -> Promotion:
        found = await self.ended(model, version)
        assert found["status"] == status, f"{model} {version}: {found['status']}: {found['reason']}"
        return found


def running_steps(promotion: Promotion) -> list[str]:
    """The names of the steps that are under way, of those that undo too."""
    return [step["name"] for step in _steps(promotion) if step["status"] == "running"]


def failure(promotion: Promotion) -> Mapping[str, Any]:
    """Kind, reason and diagnosis of the step that failed."""
    (found,) = [step["failure"] for step in _steps(promotion) if step["failure"]]
    return dict(found)


def journal(promotion: Promotion) -> list[str]:
    """What happened, in order: `what`, with the step if there is one."""
    return [" ".join(filter(None, (entry["what"], entry["step"]))) for entry in promotion["journal"]]


def _steps(promotion: Promotion) -> list[Mapping[str, Any]]:
    return [step for stage in promotion["stages"] for step in (*stage["steps"], *stage["undoing"])]
