"""Compares the function time of a promotion whose deployment takes a minute with a script that waits for it.

The same run shows the calls to Azure ML by step, and the memory that the app uses.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from benchmarks import azureml_calls, function_log
from benchmarks.children import REPOSITORY, answer_of
from benchmarks.cloud import running_cloud
from benchmarks.figures import BenchmarkError, Comparison, Finding, Table, Target
from benchmarks.function_log import Use
from benchmarks.progress import Progress
from examples.demo.addresses import addresses_of
from examples.demo.data_scientist import ENDED as JOB_ENDED
from examples.demo.data_scientist import DataScientist
from examples.demo.promotions import Promotion, Promotions
from localcloud import processes
from localcloud.up import LocalCloud
from localcloud.up.token import token_of
from mlpromote.statuses import ENDED

DEPLOYMENT_SECONDS = 60
TARGET = Target(0.005, at_least=False, per_cent=True)

SETTINGS = {
    "MLPROMOTE_CONFIGURATION": "benchmarks/waiting.yml",
    "AzureFunctionsJobHost__logging__logLevel__default": "Debug",
}
PERSON = "alice"
#: Each with a lane of its own, of which nothing is known yet.
MODELS = ("digits-1", "digits-2", "digits-3")
#: An experiment that the route takes no jobs from: the model is registered by hand.
EXPERIMENT = "digits-trials"
TRAINING_ROWS = 1000
#: Seconds within which something must happen.
LONGEST = 120.0
#: Seconds between polls of the app's memory, and of the promotion: rare enough not to disturb the measurement.
LOOK_AT_MEMORY, LOOK_AT_PROMOTION = 0.2, 1.0
EVERYTHING_LOGGED = 1_000_000  # lines


@asynccontextmanager
async def trained(folder: Path, settings: Mapping[str, str], progress: Progress, steps: int) -> AsyncIterator["Run"]:
    """A run on a local cloud of its own, after a training job, which is the first of so many steps."""
    cloud_at = running_cloud(folder / "cloud", REPOSITORY, settings, deployment_seconds=DEPLOYMENT_SECONDS)
    async with cloud_at as cloud, aiohttp.ClientSession() as session:
        run = Run(cloud, session, folder)
        progress(0, steps, "a training job")
        await run.train()
        yield run


async def measure(folder: Path, progress: Progress) -> list[Finding]:
    cloud_at = running_cloud(folder / "cloud", REPOSITORY, SETTINGS, deployment_seconds=DEPLOYMENT_SECONDS)
    async with cloud_at as cloud, aiohttp.ClientSession() as session:
        memory = Memory(cloud.addresses["pids"]["functions"])
        watching = asyncio.create_task(memory.watch())
        try:
            run = Run(cloud, session, folder)
            progress(0, 100, "a training job, and a promotion that fails, to warm up")
            await run.train()
            await run.promotion("warm-up")
            memory.warm = memory.now()
            cold, began = run.used(), time.time()
            rounds = []
            for number, model in enumerate(MODELS):
                words = f"promotion {number + 1} of {len(MODELS)} beside a script, with deployments of"
                progress(10 + 30 * number, 100, f"{words} {DEPLOYMENT_SECONDS} s")
                rounds.append(await run.side_by_side(model))
                if number == 0:
                    calls = await run.calls(began)
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
    return [*_function_time(cold, rounds), _calls_table(calls, cloud, rounds[0].promotion), memory.table()]


@dataclass(frozen=True)
class Round:
    """One promotion beside one script."""

    promotion: Promotion
    used: dict[str, Use]  #: by the promotion
    script: float  #: seconds

    @property
    def seconds(self) -> float:
        """Function time of the promotion."""
        return _seconds(self.used)


class Run:
    """Drives the local cloud."""

    def __init__(self, cloud: LocalCloud, session: aiohttp.ClientSession, folder: Path) -> None:
        self._addresses = cloud.addresses
        functions = self._addresses["functions"]
        self._key = functions["keys"]["default"]
        self._app = Promotions(functions["url"], self._key)
        self._session = session
        self._folder = folder

    async def train(self) -> None:
        """Train a model, which can then be registered under any name."""
        self._scientist = await asyncio.to_thread(DataScientist, addresses_of(self._addresses))
        self._job = await asyncio.to_thread(self._scientist.submit, TRAINING_ROWS, experiment=EXPERIMENT)
        deadline = time.monotonic() + LONGEST
        while (status := await asyncio.to_thread(self._scientist.status, self._job)) not in JOB_ENDED:
            if time.monotonic() > deadline:
                raise BenchmarkError(f"the training job is still {status} after {LONGEST:g} s")
            await asyncio.sleep(LOOK_AT_PROMOTION)

    async def promotion(self, model: str, version: str = "1") -> Promotion:
        """Register the model under this name, and wait for the end of its promotion."""
        await asyncio.to_thread(self._scientist.register, model, version, self._job)
        promotion = await self._app.started(model, version, LONGEST)
        return await self._until(promotion, lambda known: known["status"] in ENDED)

    async def side_by_side(self, model: str) -> Round:
        """Promote the model under this name. The script starts when the promotion reaches its deployment."""
        before = self.used()
        promoting = asyncio.create_task(self.promotion(model))
        try:
            promotion = await self._app.started(model, "1", LONGEST)
            promotion = await self._until(promotion, lambda known: bool(step(known, "deploy")["started"]))
            shared = step(promotion, "share")["evidence"]["registry_model"]
            script: float = await answer_of(
                "benchmarks.waiting_script",
                [shared, self._addresses["workspaces"]["test"], f"{model}-by-script"],
                self._folder / "script.log",
                self._addresses["by_hand"][PERSON],
            )
            promotion = await promoting
        finally:
            promoting.cancel()
        if promotion["status"] != "succeeded":
            raise BenchmarkError(f"the promotion {promotion['status']}: {promotion['reason']}")
        return Round(promotion, function_log.difference(self.used(), before), script)

    async def roll_back(self, promotion: str, person: str) -> None:
        """Roll a promotion that has succeeded back, and wait until that has ended."""
        url = f"{self._addresses['functions']['url']}/api/promotions/{promotion}/roll-back"
        token = await asyncio.to_thread(token_of, self._addresses, person)
        headers = {"Authorization": f"Bearer {token}", "x-functions-key": self._key}
        async with self._session.post(url, json={"reason": "to measure it"}, headers=headers) as answer:
            if answer.status != 202:
                raise BenchmarkError(f"POST {url} answered {answer.status}: {await answer.text()}")
        known = await self._until(await self._app.get(promotion), lambda known: known["status"] in ENDED)
        if known["status"] != "rolled-back":
            raise BenchmarkError(f"the promotion {known['status']}: {known['reason']}")

    def used(self) -> dict[str, Use]:
        """What the functions of promotions used since the start."""
        log = Path(self._addresses["logs"]) / "functions.log"
        found = function_log.uses(processes.tail(log, EVERYTHING_LOGGED).splitlines())
        return {name: use for name, use in found.items() if name in function_log.OF_PROMOTIONS}

    async def calls(self, since: float) -> list[azureml_calls.Call]:
        return await self._listed("requests", since)

    async def operations(self, since: float) -> list[azureml_calls.Operation]:
        return await self._listed("operations", since)

    async def _listed(self, what: str, since: float) -> list[Any]:
        azureml = self._addresses["azureml"]
        certificates = ssl.create_default_context(cafile=azureml["ca_file"])
        url = f"{azureml['url']}/local/{what}?since={since}"
        async with self._session.get(url, ssl=certificates) as answer:
            found: list[Any] = (await answer.json())["value"]
        return found

    async def _until(self, promotion: Promotion, holds: Callable[[Promotion], bool]) -> Promotion:
        deadline = time.monotonic() + LONGEST + 2 * DEPLOYMENT_SECONDS
        while not holds(promotion):
            if time.monotonic() > deadline:
                raise BenchmarkError(f"promotion {promotion['id']} took too long; it is {promotion['status']}")
            await asyncio.sleep(LOOK_AT_PROMOTION)
            promotion = await self._app.get(promotion["id"])
        return promotion


class Memory:
    """The resident memory of a process, in bytes."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.idle = self.peak = self.now()
        self.warm = 0

    def now(self) -> int:
        return int(self._process.memory_info().rss)

    async def watch(self) -> None:
        """Record the peak until cancelled."""
        while True:
            self.peak = max(self.peak, self.now())
            await asyncio.sleep(LOOK_AT_MEMORY)

    def table(self) -> Table:
        rows = [
            ("started, idle", _megabytes(self.idle)),
            ("after its first steps, with the Azure ML SDK imported", _megabytes(self.warm)),
            ("peak, with a promotion", _megabytes(self.peak)),
        ]
        note = "The process of the local host with the app in it; on Azure the host is a separate process."
        return Table("Resident memory of the app", ("when", "MB"), rows, note)


def step(promotion: Promotion, name: str) -> dict[str, Any]:
    """A step of a promotion of one stage."""
    found: dict[str, Any] = next(one for one in promotion["stages"][0]["steps"] if one["name"] == name)
    return found


def _function_time(cold: dict[str, Use], rounds: Sequence[Round]) -> list[Finding]:
    usual = sorted(rounds, key=lambda each: each.seconds)[len(rounds) // 2]
    rows = [(name, str(use.invocations), f"{use.seconds:.3f}") for name, use in usual.used.items()]
    return [
        Comparison(
            "function time",
            [each.seconds for each in rounds],
            [each.script for each in rounds],
            f"a promotion with a deployment of {DEPLOYMENT_SECONDS} s: all invocations of events, advance, workers",
            "a script that creates endpoint and deployment with the SDK and waits for each with .result()",
            "s",
            TARGET,
        ),
        Table(
            "Function time of the median promotion",
            ("function", "invocations", "seconds"),
            rows,
            "In a warm process. The first promotion in a cold one fails and took "
            f"{_seconds(cold):.1f} s: it imports the SDK.",
        ),
    ]


def _seconds(used: Mapping[str, Use]) -> float:
    return sum(use.seconds for use in used.values())


def _calls_table(calls: list[azureml_calls.Call], cloud: LocalCloud, promotion: Promotion) -> Table:
    client_ids = cloud.layout.client_ids
    ours = azureml_calls.made_by(calls, (client_ids["dev"], client_ids["test"]))
    script = azureml_calls.made_by(calls, (client_ids[PERSON],))
    polls = {one["name"]: one["polls"] for one in promotion["stages"][0]["steps"]}
    found = azureml_calls.by_step(ours, [promotion])
    rows, shown = [], set[str]()
    for name, call, count in found:
        rows.append(("" if name in shown else f"{name} ({polls[name]} polls)", call, str(count)))
        shown.add(name)
    total = sum(count for _, _, count in found)
    waiting = sum(not call["operation"].startswith("/scoring/") for call in script)
    note = f"{total} calls in total. The waiting script made {waiting}, only for its endpoint, deployment and traffic."
    return Table("Calls to Azure ML by the first promotion", ("step", "call", "count"), rows, note)


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.0f}"
