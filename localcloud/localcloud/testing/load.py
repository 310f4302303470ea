"""Load on an online endpoint: requests in the background, the same ones in the same order for the same seed.

with Load(scoring_uri, key, payloads, seed=7, per_second=40) as load:
    ...
assert load.outcomes.failed() == []
"""

import asyncio
import os
import random
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import aiohttp

#: Requests that may be under way at the same time; further ones wait, and are sent late.
_AT_ONCE = 100
_SECONDS = 60.0  # that an answer may take
_DEPLOYMENT = "azureml-model-deployment"


@dataclass(frozen=True)
class Outcome:
    """What became of one request."""

    number: int  #: in the order in which they were planned
    status: int  #: 0 if there was no answer
    deployment: str  #: the one that answered; empty if none did
    seconds: float
    error: str = ""  #: why there was no answer
    began: float = 0.0  #: when it was sent, by `time.monotonic`


@dataclass
class Outcomes:
    """Those of all requests so far."""

    all: list[Outcome] = field(default_factory=list)

    def failed(self) -> list[Outcome]:
        """Those whose callers got no answer, or one that is no success."""
        return [each for each in self.all if not 200 <= each.status < 300]

    def by_deployment(self) -> Counter[tuple[str, int]]:
        """How many there were of each deployment and status."""
        return Counter((each.deployment, each.status) for each in self.all)

    def latency(self, deployment: str, quantile: float) -> float:
        """Seconds that this share of a deployment's answers did not exceed. ValueError without an answer of it."""
        seconds = sorted(each.seconds for each in self.all if each.deployment == deployment)
        if not seconds:
            raise ValueError(f"the deployment {deployment} has answered nothing")
        return seconds[min(int(quantile * len(seconds)), len(seconds) - 1)]


@dataclass(frozen=True)
class Planned:
    """A request that is to be sent, this many seconds after the one before it."""

    pause: float
    payload: bytes


def plan(payloads: Sequence[bytes], seed: int, per_second: float) -> Iterator[Planned]:
    """Requests without end, at random times as those of independent callers."""
    drawn = random.Random(seed)
    while True:
        yield Planned(drawn.expovariate(per_second), drawn.choice(payloads))


class Load:
    """Sends requests from its own thread, from entering the block to leaving it; then waits for the last answers."""

    def __init__(
        self,
        uri: str,
        key: str,
        payloads: Sequence[bytes],
        *,
        seed: int = 0,
        per_second: float = 20.0,
        deployment: str = "",
    ) -> None:
        """`deployment` sends all requests to this one by header. Certificates are checked against the authority in
        REQUESTS_CA_BUNDLE."""
        self._uri = uri
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        if deployment:
            self._headers[_DEPLOYMENT] = deployment
        self._plan = plan(payloads, seed, per_second)
        self._lock = threading.Lock()
        self._outcomes: list[Outcome] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._send_all()), name="load", daemon=True)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    @property
    def outcomes(self) -> Outcomes:
        with self._lock:
            return Outcomes(list(self._outcomes))

    async def _send_all(self) -> None:
        trusted = ssl.create_default_context(cafile=os.environ.get("REQUESTS_CA_BUNDLE"))
        connector = aiohttp.TCPConnector(ssl=trusted, limit=_AT_ONCE)
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            under_way: set[asyncio.Task[None]] = set()
            due = time.monotonic()
            for number, planned in enumerate(self._plan):
                due += planned.pause
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if self._ending.is_set():
                    break
                task = asyncio.create_task(self._send(session, number, planned.payload))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            await asyncio.gather(*under_way)

    async def _send(self, session: aiohttp.ClientSession, number: int, payload: bytes) -> None:
        began = time.monotonic()
        status, deployment, error = 0, "", ""
        try:
            async with session.post(self._uri, data=payload, headers=self._headers) as answer:
                await answer.read()
                status, deployment = answer.status, answer.headers.get(_DEPLOYMENT, "")
        except (aiohttp.ClientError, TimeoutError) as fault:
            error = repr(fault)
        with self._lock:
            self._outcomes.append(Outcome(number, status, deployment, time.monotonic() - began, error, began))
