"""A run: kills in rounds, with people and faults beside them; after each round everything settles and is checked."""

import asyncio
import contextlib
import os
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlpromote.client import NoAnswerError
from tests.chaos import training
from tests.chaos.api import Api
from tests.chaos.callers import Callers, watch
from tests.chaos.cloud import Subscribed, hurried_cloud
from tests.chaos.faults import Faults
from tests.chaos.invariants import left, violations
from tests.chaos.killing import Reaper
from tests.chaos.logbook import Logbook
from tests.chaos.monitoring import Monitor
from tests.chaos.moves import Moves
from tests.chaos.observation import Observer
from tests.chaos.people import DOWN, ROLES, People
from tests.chaos.result import Result
from tests.chaos.world import World

#: Mean pauses, in seconds: between kills, between what people do, and between faults.
BETWEEN_KILLS, BETWEEN_ACTS, BETWEEN_FAULTS = 1.8, 1.2, 4.0
#: On a busy machine these pauses grow up to this factor, or nothing would get on its way between them.
MOST_SLOWER = 2.5
#: How many people are at work at a time.
PEOPLE = 3
#: Seconds in which everything must settle once nothing is killed any more.
SETTLED_WITHIN = 300.0
#: Seconds after which every process of the app knows what was published: see `hurried_app.py`.
TAKEN_UP_WITHIN = 5.0
#: What is seen twice, this many seconds apart, is not temporary.
_LOOKED_AGAIN_AFTER = 6.0
_TOLD_EVERY = 15.0


@dataclass(frozen=True)
class Plan:
    """The settings of a run."""

    seed: int
    kills: int
    models: Sequence[str]
    kills_per_round: int = 50


def slowness() -> float:
    """How much longer everything takes on this machine than on an idle one, at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def pause_of(seconds: float) -> float:
    """A mean pause on a machine as busy as this one is now."""
    return seconds * min(slowness(), MOST_SLOWER)


async def run(plan: Plan, folder: Path, tell: Callable[[str], None]) -> Result:
    """Do the run, with all state and the log in `folder`. It ends after the first round that leaves a violation. Its
    summary is told however it ends."""
    log, result = Logbook(folder / "chaos.log"), Result()
    log.note("seed", str(plan.seed))
    async with hurried_cloud(folder / "cloud", log) as subscribed:
        chaos = await _Chaos.begun(plan, subscribed, log, result, tell)
        watching = asyncio.create_task(watch(chaos.callers.look, chaos.moves.look))
        try:
            while not result.violations and result.kills.total() < plan.kills:
                await chaos.round(min(plan.kills_per_round, plan.kills - result.kills.total()))
                await chaos.settle()
                await chaos.check()
                result.rounds += 1
                tell(f"{result.progress}, at rest")
                if watching.done():
                    watching.result()
        finally:
            tell(result.summary)
            watching.cancel()
            await asyncio.gather(watching, chaos.reaper.close(), return_exceptions=True)
            await asyncio.to_thread(chaos.callers.close)
    return result


class _Chaos:
    """All participants."""

    def __init__(
        self, plan: Plan, subscribed: Subscribed, log: Logbook, result: Result, tell: Callable[[str], None], api: Api
    ) -> None:
        cloud, chance = subscribed.cloud, random.Random(plan.seed)
        self._azure, self._log, self._result, self._tell = cloud.azure, log, result, tell
        # Each has its own random numbers, so that the speed of one does not change what another does.
        self._people_chance, self._faults_chance, self._kills_chance = (
            random.Random(chance.getrandbits(64)) for _ in range(3)
        )
        self.reaper = Reaper(cloud.parts, self._kills_chance, log)
        self._monitor = Monitor(cloud.azure, cloud.parts.addresses, log.file.parent, log, self.reaper.outages)
        self.people = People(api, cloud.azure, plan.models, self._people_chance, log, self._monitor)
        self.callers = Callers(cloud.azure, plan.models, plan.seed, log)
        self.moves = Moves(cloud.azure, log)
        self._faults = Faults(cloud.azure, self._faults_chance, log)
        connection = cloud.parts.layout.connection_string
        self._observer = Observer(api, cloud.azure, subscribed.subscriber, connection, plan.models)
        self._models = plan.models

    @classmethod
    async def begun(
        cls, plan: Plan, subscribed: Subscribed, log: Logbook, result: Result, tell: Callable[[str], None]
    ) -> "_Chaos":
        """Sign everybody in, publish the routes, and have a first version of each model serve: what is killed then is
        worth something."""
        api = Api(subscribed.cloud.parts.addresses)
        await api.sign_in(*ROLES)
        chaos = cls(plan, subscribed, log, result, tell, api)
        await chaos._monitor.begin()
        await chaos.people.team.publish_working(is_quiet=True)
        await asyncio.sleep(TAKEN_UP_WITHIN)  # what is registered before that, no route would take
        for model in plan.models:
            await chaos.people.register_version(model)
        for experiment in training.EXPERIMENTS.values():
            await chaos.people.train_on(experiment)
        await chaos.settle()
        return chaos

    async def round(self, kills: int) -> None:
        """Kill this many parts while people work and faults occur."""
        await self.people.team.publish_working()
        others = [
            *(
                asyncio.create_task(_again_and_again(self.people.act, self._people_chance, BETWEEN_ACTS))
                for _ in range(PEOPLE)
            ),
            asyncio.create_task(_again_and_again(self._faults.strike, self._faults_chance, BETWEEN_FAULTS)),
            asyncio.create_task(self._tell_again_and_again()),
        ]
        try:
            left = kills
            while left:
                await asyncio.sleep(self._kills_chance.expovariate(1 / pause_of(BETWEEN_KILLS)))
                left -= await self.reaper.kill_one()
                self._count()
                for task in others:
                    if task.done():
                        task.result()
        finally:
            for task in others:
                task.cancel()
            ends = await asyncio.gather(*others, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def settle(self) -> None:
        """Let everything settle, with somebody who approves, releases holds and repairs, or give up in time."""
        await self.reaper.all_are_back()
        await self._azure.clear_faults()
        deadline = self._log.seconds + SETTLED_WITHIN * slowness()
        self._log.note("settle", "nothing is killed any more")
        if self._result.kills:
            await self.people.team.publish_working(is_quiet=True)
        while self._log.seconds < deadline:
            try:
                if not await self._mend() and await self._observer.at_rest():
                    self._log.note("settle", "everything is at rest")
                    return
            except NoAnswerError as fault:
                self._log.note("trouble", str(fault))
            await asyncio.sleep(1)
        self._log.note("settle", "not everything has come to rest")

    async def check(self) -> None:
        """Note every violation that was seen twice."""
        self._count()
        world = await self._seen()
        found = violations(world)
        if found:
            await asyncio.sleep(_LOOKED_AGAIN_AFTER)
            world = await self._seen()
            found = [each for each in violations(world) if each in found]
        self._result.look_at(world)
        self._result.violations += found
        seen = f"{len(world.promotions)} promotions, {len(world.told)} lines published, {len(left(world))} left"
        self._log.note("check", f"{seen}: {len(found)} violations")
        for each in found:
            self._log.note("VIOLATED", str(each))
        self._write_down(world)

    async def _seen(self) -> World:
        meant: dict[str, frozenset[str]] = {}
        for model, version in self.people.bad:
            meant[model] = meant.get(model, frozenset()) | {version}
        failures = self.callers.failures(self.reaper.outages, meant)
        world = await self._observer.world(self.people)
        misdirected = (*self.callers.misdirected, *self.moves.wrong)
        return replace(
            world,
            failures=failures,
            misdirected=misdirected,
            moves=self.moves.all,
            breaches=tuple(self._monitor.breaches),
        )

    async def _mend(self) -> int:
        """Approve what waits, release what is held, and roll back again what was abandoned. Return the number."""
        holds = await self._people_do(self.people.release_hold, await self.people.holds())
        listed = [(scope,) for scope in await self.people.operators.listed()]
        holds += await self._people_do(self.people.unfreeze, listed)
        approvals = await self._people_do(self.people.approve_one, await self._observer.waiting_for_approval())
        half = [(each.id, stage) for each, stage in await self._observer.half_undone()]
        undone = await self._people_do(self.people.roll_back_again, half)
        return holds + approvals + undone

    async def _people_do(self, act: Callable[..., Awaitable[bool]], about: Sequence[tuple[str, ...]]) -> int:
        return sum([await act(*each) for each in about])

    async def _tell_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(_TOLD_EVERY)
            with contextlib.suppress(NoAnswerError):
                self._result.ended = await self._observer.statuses()
            self._count()
            self._tell(self._result.progress)

    def _count(self) -> None:
        self._result.kills = self.reaper.killed
        self._result.requests = len(self.people.requests)
        self._result.holds = len(self.people.operators.requests)
        self._result.publications = len(self.people.team.published)
        self._result.calls = self.callers.sent
        self._result.faults = self._log.counts["fault"]
        self._result.seconds = self._log.seconds

    def _write_down(self, world: World) -> None:
        """The world that was checked, for whoever looks for a cause."""
        lines = [repr(each) for each in (*world.promotions, *world.serving, *world.endpoints, *world.queues)]
        self._log.file.with_name("world.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


async def _again_and_again(act: Callable[[], Awaitable[None]], chance: random.Random, mean_pause: float) -> None:
    while True:
        with contextlib.suppress(*DOWN):
            await act()
        await asyncio.sleep(chance.expovariate(1 / pause_of(mean_pause)))
