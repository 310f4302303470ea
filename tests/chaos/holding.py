"""Simulates operators who hold routes, models, stages or everything, and release them again."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mlpromote.client import NoAnswerError
from tests.chaos.api import Api
from tests.chaos.publishing import SOURCE
from tests.chaos.requests import Requests
from tests.chaos.world import Answer, Hold, Request

OPERATOR = "alice"
#: By route, its stages.
STAGES = {
    "straight": ("prod",),
    "careful": ("test", "prod"),
    "gradual": ("prod",),
    "windowed": ("prod",),
    "batch": ("prod",),
    "training": ("prod",),
    "again": ("prod",),
}
#: The longest time, in seconds, that a hold is set for; half of them have no end.
LONGEST = 12.0
#: A request without an answer may take effect as long as this later.
MAY_ACT_FOR = timedelta(minutes=1)
Scope = tuple[str, str, str]


class Operators:
    """Set and release one hold at a time, so that they know which are in force."""

    def __init__(self, api: Api, models: Sequence[str], chance: random.Random, requests: Requests) -> None:
        self._api = api
        self._models = models
        self._chance = chance
        self._requests = requests
        self._one_at_a_time = asyncio.Lock()
        self._unsure: dict[Scope, datetime] = {}
        self._in_force: dict[Scope, Hold] = {}
        self._ended: list[Hold] = []
        #: Whatever may have been in force: from when it was asked for, until a release was answered.
        self._possible: dict[Scope, Hold] = {}
        self._past: list[Hold] = []
        self.requests: list[Request] = []

    @property
    def holds(self) -> tuple[Hold, ...]:
        """Every hold that was in force for certain."""
        return (*self._ended, *self._in_force.values())

    @property
    def may_hold(self) -> tuple[Hold, ...]:
        """Every hold that may have been in force."""
        return (*self._past, *self._possible.values())

    async def hold(self) -> None:
        """Hold something."""
        scope = self._any_scope()
        seconds = self._chance.uniform(2, LONGEST) if self._chance.random() < 0.5 else None
        async with self._one_at_a_time:
            until = datetime.now(UTC) + timedelta(seconds=seconds) if seconds else None
            more = {"until": until.isoformat()} if until else {}
            if await self._ask("set", "holds", scope, **more) and not self._may_change(scope):
                self._in_force[scope] = Hold(scope, datetime.now(UTC), until)

    async def release(self) -> None:
        """Release one of the holds that are listed, if there is any."""
        listed = await self.listed()
        if listed:
            await self.release_one(self._chance.choice(listed))

    async def listed(self) -> list[str]:
        """The scopes that operators hold, as the app writes them."""
        return [each["scope"] for each in (await self._api.get("holds"))["value"]]

    async def release_one(self, written: str) -> bool:
        """Whether it was done."""
        async with self._one_at_a_time:
            return await self._ask("released", "holds/release", read(written))

    async def noted(self) -> list[str]:
        """The reasons in the history of holds."""
        return [line["reason"] for line in (await self._api.get("holds"))["history"]]

    async def _ask(self, what: str, path: str, scope: Scope, **more: str) -> bool:
        """Whatever comes of it: what is known of the scope ends here."""
        known = self._in_force.pop(scope, None)
        now = datetime.now(UTC)
        if known is not None:
            self._ended.append(replace(known, until=min(now, known.until) if known.until else now))
        reason = self._requests.reason
        if what == "set":
            self._possible.setdefault(scope, Hold(scope, now, None))
        try:
            status, _ = await self._api.post(path, OPERATOR, {"scope": written(scope), "reason": reason, **more})
            answer = Answer.DONE if status == 202 else Answer.NOTHING
        except NoAnswerError:
            answer = Answer.NONE
            self._unsure[scope] = datetime.now(UTC)
        if what == "released" and answer is Answer.DONE and not self._may_change(scope):
            self._past += [replace(each, until=datetime.now(UTC)) for each in self._possible_of(scope)]
        asked = Request(what, OPERATOR, reason, answer)
        self.requests.append(asked)
        self._requests.log(asked, f"hold on {written(scope)} {more or ''}")
        return answer is Answer.DONE

    def _possible_of(self, scope: Scope) -> list[Hold]:
        found = self._possible.pop(scope, None)
        return [found] if found is not None else []

    def _may_change(self, scope: Scope) -> bool:
        """Whether an earlier request, which was not answered, may still change this hold."""
        since = self._unsure.get(scope)
        return since is not None and datetime.now(UTC) < since + MAY_ACT_FOR

    def _any_scope(self) -> Scope:
        route = self._chance.choice(list(STAGES))
        models = [model for model in self._models if model.startswith(f"{route}-")]
        name, stage = f"{SOURCE}/{route}", self._chance.choice(STAGES[route])
        scopes: list[Scope] = [("", "", ""), (name, "", ""), (name, "", stage)]
        if models:
            model = self._chance.choice(models)
            scopes += [(name, model, ""), (name, model, stage)]
        return self._chance.choice(scopes)


def written(scope: Scope) -> str:
    """As the API takes it."""
    route, model, stage = scope
    if not route:
        return "everything"
    return "/".join(filter(None, (route, model or ("*" if stage else ""), stage)))


def read(text: str) -> Scope:
    """The inverse of `written`."""
    if text == "everything":
        return ("", "", "")
    source, route, *rest = text.split("/")
    model, stage = (*rest, "", "")[:2]
    return (f"{source}/{route}", "" if model == "*" else model, stage)
