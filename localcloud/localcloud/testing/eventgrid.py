"""Event Grid in a separate process, and a webhook in this one."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from azure.core.credentials import AzureKeyCredential
from azure.eventgrid.aio import EventGridPublisherClient

from localcloud.http_server import bind, listening, port_of

TOPIC_KEY = "YS1rZXktZm9yLXRlc3Rz"
DEADLINE = 300.0


class Webhook:
    """An endpoint that plays the handshake, records every request and answers with a status of the test's choice."""

    def __init__(self) -> None:
        self.port = 0
        self.status: Callable[[int], int] = lambda _: 200
        self.validations: list[web.Request] = []
        #: Headers and decoded body of every delivery.
        self.deliveries: list[tuple[dict[str, str], Any]] = []
        self.manual: list[str] = []
        self.answer_handshake = True

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?functionName=intake&code=secret"

    @property
    def events(self) -> list[Any]:
        """Every event delivered, of all requests, in their order."""
        return [event for _, body in self.deliveries for event in (body if isinstance(body, list) else [body])]

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "OPTIONS":
            self.validations.append(request)
            headers = {"WebHook-Allowed-Origin": request.headers["WebHook-Request-Origin"]}
            return web.Response(headers=headers if self.answer_handshake else {})
        body = await request.json()
        if request.headers["aeg-event-type"] == "SubscriptionValidation":
            self.validations.append(request)
            self.manual.append(body[0]["data"]["validationUrl"])
            code = {"validationResponse": body[0]["data"]["validationCode"]}
            return web.json_response(code if self.answer_handshake else {})
        self.deliveries.append((dict(request.headers), body))
        return web.Response(status=self.status(len(self.deliveries)))

    @contextlib.asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[None]:
        application = web.Application()
        application.router.add_route("*", "/hook", self.answer)
        bound = bind(port)
        self.port = port_of(bound)
        async with listening(application, bound):
            yield


class EventGrid:
    """One Event Grid process with one topic and one subscription; keeps its folder and port over restarts."""

    def __init__(self, folder: Path, source: str = "/workspaces/ws-dev") -> None:
        """`source`: the resource whose system topic it is; empty for a custom topic."""
        self.folder = folder
        self._source = source
        self.port = 0
        self._process: asyncio.subprocess.Process | None = None

    def configure(self, endpoint: str, retry_pauses: tuple[float, ...] = (0.05, 0.1), **subscription: Any) -> None:
        configuration = {
            "topics": [{"name": "ws-dev", "key": TOPIC_KEY, "source": self._source}],
            "subscriptions": [{"name": "intake", "topic": "ws-dev", "endpoint": endpoint, **subscription}],
            "retry_pauses": retry_pauses,
        }
        (self.folder / "eventgrid.json").write_text(json.dumps(configuration))

    async def start(self) -> None:
        command = ["-m", "localcloud", "eventgrid", "--port", str(self.port), "--data", str(self.folder / "data")]
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, *command, "--config", str(self.folder / "eventgrid.json")),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            line = (await self._process.stdout.readline()).decode()
        assert "ready on http://127.0.0.1:" in line
        self.port = int(line.rstrip().rpartition(":")[2])

    async def kill(self) -> None:
        """Kills it, like a crash."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        async with asyncio.timeout(DEADLINE):
            return await self._process.wait()

    @property
    def dead_letters(self) -> list[dict[str, Any]]:
        file = self.folder / "data" / "dead-letters" / "intake.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def topic(self) -> str:
        """The publish address of the one topic."""
        return f"http://127.0.0.1:{self.port}/topics/ws-dev/api/events"

    def publisher(self, key: str = TOPIC_KEY, topic: str = "ws-dev") -> EventGridPublisherClient:
        return EventGridPublisherClient(self.topic.replace("ws-dev", topic), AzureKeyCredential(key))
