"""Simulates people: those who register models, and those who start, approve, reject, cancel, roll back, repair, hold
and publish."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import aiohttp

from mlpromote.client import NoAnswerError
from shared.core.queues import all_queues
from tests.chaos import training
from tests.chaos.api import Api
from tests.chaos.holding import OPERATOR, Operators
from tests.chaos.logbook import Logbook
from tests.chaos.monitoring import Monitor
from tests.chaos.publishing import PUBLISHER, SOURCE, Team
from tests.chaos.requests import Requests
from tests.chaos.world import Answer, Request
from tests.e2e.azure import SDK_FAULTS, Azure

APPROVERS = ("bob", "carol")
#: Everybody, with their roles.
ROLES = {
    OPERATOR: {"roles": ["Promotion.Operator"]},
    **{name: {"roles": ["Promotion.Approver"]} for name in APPROVERS},
    PUBLISHER: {"roles": ["Promotion.Publisher", "Promotion.Reader"]},
}
ENVIRONMENTS = ("dev", "test", "prod")
#: A request to start is made again, with its key, until it was answered, but not more often than this.
MOST_STARTS = 5
#: How often a stage is rolled back whose way back does not reach its end.
MOST_ROLL_BACKS = 3
#: How many of a hundred models are bad, and how: as `team/scoring/score.py` reads it. Those of `gradual` are called.
BAD = {"crash": 14}
BAD_IN_USE = {"crash": 5, "faulty": 12, "slow": 6, "tires": 10}
#: Of `batch`, as `team/batch_scoring/score.py` reads it.
BAD_IN_BATCH = {"crash": 8, "differs": 16}
CAREFUL = f"{SOURCE}/careful"
KEEPING = (f"{SOURCE}/gradual", f"{SOURCE}/batch")
#: The journal's term, by the last part of the address.
_WORDS = {
    "approve": "approved",
    "reject": "rejected",
    "cancel": "cancelled",
    "roll-back": "rolled-back",
    "abandon": "abandoned",
    "retry": "retried",
    "retire": "kept-no-longer",
}


class People:
    """Do one thing after another at random, and remember the requests and their answers."""

    def __init__(
        self, api: Api, azure: Azure, models: Sequence[str], chance: random.Random, log: Logbook, monitor: Monitor
    ) -> None:
        self._api = api
        self._azure = azure
        self._models = models
        self._chance = chance
        self._log = log
        self._versions: Counter[str] = Counter()
        self._requests = Requests(log)
        self.monitor = monitor
        self.team = Team(api, chance, self._requests)
        self.operators = Operators(api, models, chance, self._requests)
        #: How a model with its version is bad.
        self.bad: dict[tuple[str, str], str] = {}
        self._rolled_back_again: Counter[tuple[str, str]] = Counter()
        self._turned_back: str | None = None
        self._does: Mapping[Callable[[], Awaitable[None]], int] = {
            self.register: 26,
            self.train: 8,
            self.run_again: 3,
            self.monitor.breach: 6,
            self.start: 8,
            self.approve: 22,
            self.reject: 2,
            self.cancel: 7,
            self.roll_back: 14,
            self.abandon: 5,
            self.retry: 8,
            self.replay: 8,
            self.release: 10,
            self.end_keeping: 3,
            self.operators.hold: 6,
            self.operators.release: 12,
            self.publish: 4,
            self.team.go_back: 3,
        }

    @property
    def requests(self) -> list[Request]:
        """Those about promotions."""
        return self._requests.all

    async def act(self) -> None:
        """Do something."""
        (does,) = self._chance.choices(list(self._does), list(self._does.values()))
        try:
            await does()
        except NoAnswerError:
            self._log.note("blind", f"{does.__name__}: the app shows nothing just now")

    # --- models ---

    async def register(self) -> None:
        """Register the next version of a model."""
        await self.register_version(self._chance.choice(self._models))

    async def register_version(self, model: str) -> None:
        """At the end, Azure ML is asked whether that worked while it was dying. The first version is good."""
        self._versions[model] += 1
        version = str(self._versions[model])
        kinds = {"gradual": BAD_IN_USE, "batch": BAD_IN_BATCH}.get(model.partition("-")[0], BAD)
        (bad,) = self._chance.choices([*kinds, ""], [*kinds.values(), 100 - sum(kinds.values())])
        if bad and version != "1":
            self.bad[model, version] = bad
        content = f"{model} {version} {self.bad.get((model, version), '')}".strip()
        try:
            await self._azure.register(model, version, content)
        except SDK_FAULTS as fault:
            self._log.note("register", f"{content}: {type(fault).__name__}")
        else:
            self._log.note("register", content)

    async def train(self) -> None:
        """Submit one of the training pipelines."""
        await self.train_on(self._chance.choice(list(training.EXPERIMENTS.values())))

    async def train_on(self, experiment: str) -> None:
        """At the end, Azure ML is asked whether it completed."""
        name = f"trains-{self._requests.number:06}"
        try:
            await asyncio.to_thread(training.submit, self._azure.dev, name, experiment)
        except SDK_FAULTS as fault:
            self._log.note("train", f"{name}: {type(fault).__name__}")
        else:
            self._log.note("train", name)

    # --- promotions ---

    async def start(self) -> None:
        """Ask for the promotion of an existing version until the app has answered."""
        model = self._chance.choice(self._models)
        if not self._versions[model]:
            return
        version = str(self._chance.randint(max(1, self._versions[model] - 1), self._versions[model]))
        reason = self._requests.reason
        body, key = (
            {"model": model, "version": version, "reason": reason},
            {"Idempotency-Key": reason.replace(" ", "-")},
        )
        for _ in range(MOST_STARTS):
            try:
                status, answer = await self._api.post("promotions", OPERATOR, body, key)
            except NoAnswerError:
                await asyncio.sleep(1)
                continue
            done = Answer.DONE if status == 202 else Answer.NOTHING
            about = frozenset({str(answer["id"])}) if status == 202 else None
            self._requests.note(Request("requested", OPERATOR, reason, done, about), f"{model} {version}")
            return
        self._requests.note(Request("requested", OPERATOR, reason, Answer.NONE), f"{model} {version}")

    async def run_again(self) -> None:
        """Have the champion of the pipeline run again."""
        reason, path = self._requests.reason, f"routes/{quote(training.AGAIN_ROUTE, safe='')}/stages/prod/run"
        try:
            status, answer = await self._api.post(path, OPERATOR, {"reason": reason})
        except NoAnswerError:
            self._requests.note(Request("requested", OPERATOR, reason, Answer.NONE), path)
            return
        done = Answer.DONE if status == 202 else Answer.NOTHING
        about = frozenset({str(answer["promotion"]["id"])}) if status == 202 else None
        self._requests.note(Request("requested", OPERATOR, reason, done, about), f"{path}: {status}")

    async def approve(self) -> None:
        await self._steer("approve", self._chance.choice(APPROVERS), await self._one_of(("running",), CAREFUL))

    async def reject(self) -> None:
        await self._steer("reject", self._chance.choice(APPROVERS), await self._one_of(("running",), CAREFUL))

    async def cancel(self) -> None:
        await self._steer("cancel", OPERATOR, await self._one_of(("running", "queued")))

    async def abandon(self) -> None:
        """Abandon the latest rollback."""
        await self._steer("abandon", OPERATOR, self._turned_back)

    async def retry(self) -> None:
        await self._steer("retry", OPERATOR, await self._one_of(("failed", "running")))

    async def roll_back(self) -> None:
        """Roll back what serves a stage that nothing else is in."""
        serving = [
            (stage["champion"]["promotion"], stage["name"])
            async for lane in self._api.all("routes")
            for stage in lane["stages"]
            if stage["champion"] and not stage["challengers"]
        ]
        if serving:
            promotion, stage = self._chance.choice(serving)
            await self._steer("roll-back", OPERATOR, promotion, stage=stage)

    async def end_keeping(self) -> None:
        """Let what a promotion keeps be removed."""
        await self._steer("retire", OPERATOR, await self._one_of(("succeeded",), self._chance.choice(KEEPING)))

    async def publish(self) -> None:
        """Publish a new edition."""
        await self.team.publish()

    async def release(self) -> None:
        """Release the hold of a rollback."""
        held = await self.holds()
        if held:
            await self.release_hold(*self._chance.choice(held))

    async def replay(self) -> None:
        """Replay everything that failed in one place: some promotions, or a queue's dead letters."""
        queue = self._chance.choice((None, *all_queues(ENVIRONMENTS)))
        await self.replay_all(queue)

    # --- what tidying up needs, too: each tells whether it was done ---

    async def holds(self) -> list[tuple[str, str, str]]:
        """Route, model and stage of each hold that a rollback has set."""
        return [
            (lane["route"], lane["model"], stage["name"])
            async for lane in self._api.all("routes")
            for stage in lane["stages"]
            if stage["hold"] and stage["hold"]["promotion"]
        ]

    async def release_hold(self, route: str, model: str, stage: str) -> bool:
        path = f"routes/{quote(route, safe='')}/{quote(model, safe='')}/stages/{stage}/release"
        return await self._ask("released", OPERATOR, path, None)

    async def unfreeze(self, scope: str) -> bool:
        return await self.operators.release_one(scope)

    async def approve_one(self, promotion: str, stage: str) -> bool:
        return await self._steer("approve", APPROVERS[0], promotion, stage=stage)

    async def roll_back_again(self, promotion: str, stage: str) -> bool:
        """Stop at some point: what prevents the rollback may not go away."""
        self._rolled_back_again[promotion, stage] += 1
        if self._rolled_back_again[promotion, stage] > MOST_ROLL_BACKS:
            return False
        return await self._steer("roll-back", OPERATOR, promotion, stage=stage)

    async def replay_all(self, queue: str | None) -> None:
        """Replay a queue's dead letters, or up to three promotions that failed."""
        path = f"failures?queue={queue}&top=50" if queue else "failures?top=50"
        about = {
            each["id"]: each["promotion"]
            async for each in self._api.all(path)
            if (each["what"] == "dead-letter") is (queue is not None)
        }
        ids = sorted(about)[:50] if queue else self._chance.sample(sorted(about), min(3, len(about)))
        if not ids:
            return
        reason, word = self._requests.reason, "replayed" if queue else "retried"
        try:
            status, answer = await self._api.post("failures/replay", OPERATOR, {"ids": ids, "reason": reason})
        except NoAnswerError:
            unsure = Request(word, OPERATOR, reason, Answer.NONE, is_about_several=True)
            self._requests.note(unsure, ", ".join(ids))
            return
        assert status == 200, answer
        moved = {each["id"] for each in answer["value"] if each["outcome"] == "replayed"}
        promotions = frozenset(about[each] for each in moved if about[each])
        # A dead letter that somebody else holds stays, but its promotion's journal mentions it anyway.
        exact = not queue or len(moved) == len(ids)
        done = Answer.DONE if exact and promotions else Answer.NONE if queue else Answer.NOTHING
        self._requests.note(Request(word, OPERATOR, reason, done, promotions, is_about_several=True), ", ".join(ids))

    # --- requests ---

    async def _one_of(self, statuses: Sequence[str], route: str | None = None) -> str | None:
        """A promotion in one of these statuses; None if there is none."""
        status = self._chance.choice(statuses)
        of_route = f"&route={quote(route, safe='')}" if route else ""
        page = await self._api.get(f"promotions?status={status}&top=20{of_route}")
        found = [each["id"] for each in page["value"]]
        return str(self._chance.choice(found)) if found else None

    async def _steer(self, action: str, by: str, promotion: str | None, **more: str) -> bool:
        """Whether it was done."""
        if promotion is None:
            return False
        return await self._ask(_WORDS[action], by, f"promotions/{promotion}/{action}", promotion, **more)

    async def _ask(self, word: str, by: str, path: str, promotion: str | None, **more: str) -> bool:
        reason = self._requests.reason
        about = frozenset({promotion}) if promotion else None
        try:
            status, answer = await self._api.post(path, by, {"reason": reason, **more})
        except NoAnswerError:
            self._requests.note(Request(word, by, reason, Answer.NONE, about), path)
            return False
        was_done = status == 202 and not str(answer["done"]).startswith("nothing")
        if was_done and word in ("cancelled", "rolled-back"):
            self._turned_back = promotion
        self._requests.note(
            Request(word, by, reason, Answer.DONE if was_done else Answer.NOTHING, about), f"{path}: {status}"
        )
        return was_done


def content_version(answer: Any) -> str:
    """The version that a model of `Azure.register` names in its answer."""
    return str(answer["model"]).split(" ")[1]


#: Answers that are no violation when people ask while parts are dying.
DOWN = (aiohttp.ClientError, TimeoutError, NoAnswerError)
