"""A bounded background loop of scoring requests, which counts answers and failures."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Self

PAUSE_SECONDS = 0.1
#: Upper limit, whatever happens. At ten a second, it lasts more than six minutes.
MOST_REQUESTS = 4000
KEPT_FAILURES = 5


class RequestLoop:
    """Sends one request after another while its `async with` block runs.

    `ask` sends a request and returns the version that answered it; exceptions of type `failing` count as failures.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[str]], failing: type[Exception], pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        self._ask = ask
        self._failing = failing
        self._pause_seconds = pause_seconds
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        #: Number of requests that each version answered, in the order of their first answers.
        self.answered: Counter[str] = Counter()
        #: Number of requests that failed, by what their failure begins with: the status.
        self.failed_as: Counter[str] = Counter()
        #: The first few failures, in words.
        self.failures: list[str] = []

    @property
    def failed(self) -> int:
        """How many requests have failed."""
        return self.failed_as.total()

    @property
    def sent(self) -> int:
        """How many requests have ended."""
        return self.answered.total() + self.failed

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let the current request end, so that it is counted too. Raises other exceptions than failed requests."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def until_answered(self, version: str, times: int, within_seconds: float) -> None:
        """Wait until a version has answered `times` requests. Raises TimeoutError if it does not."""
        deadline = time.monotonic() + within_seconds
        while self.answered.get(version, 0) < times:
            if time.monotonic() > deadline:
                raise TimeoutError(f"version {version} did not answer {times} requests: {self.says()}")
            await asyncio.sleep(PAUSE_SECONDS)

    async def _run(self) -> None:
        while self.sent < MOST_REQUESTS and not self._stopping.is_set():
            try:
                self.answered[await self._ask()] += 1
            except self._failing as failure:
                self.failed_as[str(failure).partition(":")[0]] += 1
                if len(self.failures) < KEPT_FAILURES:
                    self.failures.append(str(failure))
            await asyncio.sleep(self._pause_seconds)

    def says(self) -> str:
        """The counts on one line."""
        by_version = "".join(f", version {version} answered {count}" for version, count in self.answered.items())
        return f"requests {self.sent}, failures {self.failed}{by_version}"
