"""Kills the parts of a local cloud, one at a time and at random, and makes sure that each comes back."""

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from localcloud.up import LocalCloud, PartFailedError
from tests.chaos.logbook import Logbook

#: How often each is killed, in per cent. The last two are processes that a part has started.
WEIGHTS = {
    "functions": 10,
    "servicebus": 18,
    "azureml": 8,
    "eventgrid": 14,
    "identity": 12,
    "worker": 20,
    "scoring": 18,
}
#: Azure ML gives up on a container that keeps crashing, so it must not be killed too often.
MOST_OF_ONE_CONTAINER = 2
#: The longest time that a part stays down, in seconds.
LONGEST_DOWN = 1.5
#: How often a part may fail to start while others are down, before that counts as a defect.
MOST_STARTS = 5
#: In the environment of containers that callers use, whose failures would be taken for the app's: they are not killed.
SPARED = "CHAOS_SPARES"


@dataclass
class Outage:
    """When Azure ML was down, by `time.monotonic`."""

    since: float
    until: float = math.inf


class Reaper:
    """`chance` decides what dies, and for how long."""

    def __init__(self, parts: LocalCloud, chance: random.Random, log: Logbook) -> None:
        self._parts = parts
        self._chance = chance
        self._log = log
        self._coming_back: dict[str, asyncio.Task[None]] = {}
        self._containers: Counter[str] = Counter()
        self.killed: Counter[str] = Counter()
        self.outages: list[Outage] = []

    async def kill_one(self) -> bool:
        """Kill something that is running. Return False if it has just ended by itself."""
        up = [name for name in WEIGHTS if self._part_of(name) not in self._coming_back]
        if not up:
            return False
        (name,) = self._chance.choices(up, [WEIGHTS[each] for each in up])
        if name in ("worker", "scoring"):
            return self._kill_process(name, self._workers() if name == "worker" else self._servers())
        self._log.note("kill", name)
        if name == "azureml":
            self.outages.append(Outage(time.monotonic()))
        await self._parts.kill(name)
        self.killed[name] += 1
        self._coming_back[name] = asyncio.create_task(self._bring_back(name))
        return True

    async def all_are_back(self) -> None:
        """Return when everything that was killed is up again; raises `PartFailedError`."""
        while self._coming_back:
            await asyncio.gather(*self._coming_back.values())

    async def close(self) -> None:
        """Stop bringing parts back."""
        for task in self._coming_back.values():
            task.cancel()
        await asyncio.gather(*self._coming_back.values(), return_exceptions=True)

    async def _bring_back(self, name: str) -> None:
        await asyncio.sleep(self._chance.uniform(0, LONGEST_DOWN))
        for left in reversed(range(MOST_STARTS)):
            try:
                await self._parts.restart(name)
            except PartFailedError as fault:
                self._log.note("trouble", str(fault))
                if not left:
                    raise
            else:
                break
        if name == "azureml":
            self.outages[-1].until = time.monotonic()
        self._log.note("back", name)
        del self._coming_back[name]

    def _kill_process(self, name: str, found: Sequence[psutil.Process]) -> bool:
        if not found:
            return False
        process = self._chance.choice(found)
        try:
            process.kill()
        except psutil.NoSuchProcess:
            return False
        self._log.note("kill", f"{name}, process {process.pid}")
        self.killed[name] += 1
        return True

    def _workers(self) -> list[psutil.Process]:
        """The processes that run functions beside the host's own."""
        return self._children("functions", recursive=False)

    def _servers(self) -> list[psutil.Process]:
        """One process of each container that may be killed once more."""
        servers: dict[str, psutil.Process] = {}
        for process in self._children("azureml", recursive=True):
            try:
                words = " ".join(process.cmdline())
                if "azmlinfsrv" in words and "leash.py" not in words and SPARED not in process.environ():
                    servers.setdefault(process.cwd(), process)
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        left = [each for each in servers if self._containers[each] < MOST_OF_ONE_CONTAINER]
        if not left:
            return []
        container = self._chance.choice(sorted(left))
        self._containers[container] += 1
        return [servers[container]]

    def _children(self, part: str, recursive: bool) -> list[psutil.Process]:
        pid = self._parts.addresses["pids"].get(part)
        try:
            return psutil.Process(pid).children(recursive=recursive) if pid else []
        except psutil.NoSuchProcess:
            return []

    @staticmethod
    def _part_of(name: str) -> str:
        return {"worker": "functions", "scoring": "azureml"}.get(name, name)
