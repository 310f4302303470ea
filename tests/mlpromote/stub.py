"""An app that answers what a test tells it to, over HTTP, in a thread of its own: the command line blocks."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Request:
    """One that came."""

    method: str
    path: str  #: as it was sent, quoted
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Answer:
    """JSON, a problem document, or text as it is."""

    body: Any = None
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def problem(status: int, detail: str, **more: Any) -> Answer:
    """An error as the app gives it."""
    document = {"type": "about:blank", "title": "No", "status": status, "detail": detail, **more}
    return Answer(document, status, "application/problem+json")


class StubApp:
    """`answers` are given one after another, the last one for ever. A callable is called for each."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Request] = []
        self.answers: list[Answer | Callable[[Request], Answer]] = [Answer({})]

    def will_answer(self, *answers: Answer | Callable[[Request], Answer]) -> None:
        self.answers = list(answers)

    async def _handle(self, request: web.Request) -> web.Response:
        written = await request.read()
        is_json = request.content_type == "application/json"
        body = (json.loads(written) if is_json else written) if written else None
        asked = Request(request.method, request.rel_url.raw_path, dict(request.query), request.headers, body)
        self.asked.append(asked)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer(asked)
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        return web.Response(text=text, status=answer.status, content_type=answer.kind, headers=dict(answer.headers))

    @contextmanager
    def serving(self) -> Iterator["StubApp"]:
        """Served on a free port inside the block."""
        ready, loop = threading.Event(), asyncio.new_event_loop()
        thread = threading.Thread(target=self._serve, args=(loop, ready))
        thread.start()
        try:
            assert ready.wait(300)
            yield self
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(300)

    def _serve(self, loop: asyncio.AbstractEventLoop, ready: threading.Event) -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application)
        loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        loop.run_until_complete(site.start())
        self.url = site.name if not site.name.endswith(":0") else f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()
