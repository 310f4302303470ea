"""Simulates the callers of the endpoints whose traffic moves gradually, and watches how it is divided.

Nobody may notice that versions are replaced. Requests that fail do not count while Azure ML itself was down, and
neither do those that a candidate fails because it is meant to.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack

import aiohttp

from localcloud.testing.load import Load, Outcome
from tests.chaos.killing import Outage
from tests.chaos.logbook import Logbook
from tests.chaos.world import Failure
from tests.e2e.azure import Azure, Shares

ENVIRONMENT, ROUTE = "prod", "gradual"
PER_SECOND = 6.0
_QUESTION = b'{"x": 1}'
#: A connection may end a moment before or after the process.
_MARGIN_SECONDS = 1.0
#: How the models that are meant to fail do so: an error of the model, or no answer in time.
MEANT = (424, 408)


class Callers:
    """Those of the endpoints of some models, from when each is first served until `close`."""

    def __init__(self, azure: Azure, models: Sequence[str], seed: int, log: Logbook) -> None:
        self._azure = azure
        self._models = [model for model in models if model.startswith(f"{ROUTE}-")]
        self._seed = seed
        self._log = log
        self._loads: dict[str, Load] = {}
        self._shares: dict[str, Shares] = {}
        self._stack = ExitStack()
        #: What was wrong with a division of the traffic, in sentences.
        self.misdirected: list[str] = []

    def close(self) -> None:
        self._stack.close()

    @property
    def sent(self) -> int:
        return sum(len(load.outcomes.all) for load in self._loads.values())

    async def look(self) -> None:
        """Look how the traffic is divided, and start to call what is served; nothing while Azure ML is down."""
        try:
            shares = await self._azure.shares(ENVIRONMENT)
        except (aiohttp.ClientError, TimeoutError):
            return
        for model in self._models:
            if model in shares and shares[model] != self._shares.get(model):
                await self._moved(model, shares[model])
            if model in shares and shares[model].traffic and model not in self._loads:
                await self._begin(model)

    def failures(self, outages: Sequence[Outage], meant: Mapping[str, frozenset[str]]) -> tuple[Failure, ...]:
        """The requests that failed, each for a reason that may be the app's. `meant`: by model, the versions that fail
        on purpose."""
        return tuple(
            failure
            for model, load in self._loads.items()
            for failure in failures_of(model, load.outcomes.failed(), outages, meant.get(model, frozenset()))
        )

    async def _moved(self, model: str, now: Shares) -> None:
        """The deployments are read only after a change, to leave Azure ML's faults to the app."""
        total = sum(now.traffic.values())
        if total not in (0, 100):
            self._wrong(f"{model} divides its traffic as {now.traffic}, which is not 100 per cent")
        try:
            there = await self._azure.deployments(ENVIRONMENT, model)
            again = (await self._azure.shares(ENVIRONMENT)).get(model)
        except (aiohttp.ClientError, TimeoutError, AssertionError):
            return  # a fault struck: the next look sees it again
        if again != now:
            return
        self._shares[model] = now
        for name in sorted({*now.traffic, *now.mirror} - there.keys()):
            self._wrong(f"{model} sends requests to {name}, which is not there: {now}, of {sorted(there)}")

    async def _begin(self, model: str) -> None:
        try:
            uri, key = await self._azure.scoring(ENVIRONMENT, model)
        except (aiohttp.ClientError, TimeoutError, AssertionError):
            return
        number = self._models.index(model)
        load = Load(uri, key, [_QUESTION], seed=self._seed + number, per_second=PER_SECOND)
        # To leave it takes as long as the slowest answer.
        self._loads[model] = self._stack.enter_context(load)
        self._log.note("calls", f"{model} is called from now on")

    def _wrong(self, says: str) -> None:
        if says not in self.misdirected:
            self._log.note("VIOLATED", says)
            self.misdirected.append(says)


async def watch(*looks: Callable[[], Awaitable[None]], pause_seconds: float = 0.5) -> None:
    """Look again and again, until cancelled."""
    while True:
        for look in looks:
            await look()
        await asyncio.sleep(pause_seconds)


def failures_of(
    model: str, failed: Iterable[Outcome], outages: Sequence[Outage], meant: Collection[str]
) -> Iterator[Failure]:
    """Those of the failed requests to a model's endpoint that count. `meant`: versions that fail on purpose."""
    for each in failed:
        is_meant = each.status in MEANT and version_in(each.deployment) in meant
        if not is_meant and not any(_is_during(each, outage) for outage in outages):
            yield Failure(model, each.deployment, each.status, each.error)


def version_in(deployment: str) -> str:
    """The version in the name of a deployment, `v12-1a2b3c`."""
    return deployment.partition("-")[0].removeprefix("v")


def _is_during(outcome: Outcome, outage: Outage) -> bool:
    ended = outcome.began + outcome.seconds
    return outcome.began <= outage.until + _MARGIN_SECONDS and ended >= outage.since - _MARGIN_SECONDS
