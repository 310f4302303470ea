"""Watches which deployments of prod get requests: by an online endpoint's traffic, and by a batch endpoint's default.
What is seen here is compared with what the app's journals say.
"""

from datetime import UTC, datetime

import aiohttp

from tests.chaos.logbook import Logbook
from tests.chaos.world import Move
from tests.e2e.azure import Azure, Shares

ENVIRONMENT = "prod"
#: Copies of requests count, too.
Serving = frozenset[str]


class Moves:
    """What was seen of the endpoints of prod."""

    def __init__(self, azure: Azure, log: Logbook) -> None:
        self._azure = azure
        self._log = log
        self._serving: dict[str, Serving] = {}
        self._first: dict[tuple[str, str], Move] = {}
        self._ended: list[Move] = []
        #: What was wrong with a default, in sentences.
        self.wrong: list[str] = []

    @property
    def all(self) -> tuple[Move, ...]:
        """When each deployment first got requests, and when an endpoint had nobody left to serve it."""
        return (*self._first.values(), *self._ended)

    async def look(self) -> None:
        """Look at all endpoints; nothing while Azure ML is down."""
        try:
            shares = await self._azure.shares(ENVIRONMENT)
            defaults = await self._azure.batch_defaults(ENVIRONMENT)
        except (aiohttp.ClientError, TimeoutError, AssertionError):
            return
        now = datetime.now(UTC)
        for endpoint, found in {**{name: _serving(each) for name, each in shares.items()}, **defaults}.items():
            before = self._serving.get(endpoint, frozenset())
            if found != before:
                self._note(endpoint, before, found, now)
        for endpoint, default in defaults.items():
            await self._check_is_there(endpoint, default)

    def _note(self, endpoint: str, before: Serving, found: Serving, now: datetime) -> None:
        self._serving[endpoint] = found
        self._log.note("moved", f"{endpoint}: from {_named(before)} to {_named(found)}")
        for deployment in found:
            self._first.setdefault((endpoint, deployment), Move(endpoint, deployment, now))
        if not found:
            self._ended.append(Move(endpoint, None, now))

    async def _check_is_there(self, endpoint: str, default: Serving) -> None:
        try:
            there = await self._azure.batch_deployments(ENVIRONMENT, endpoint)
            again = (await self._azure.batch_defaults(ENVIRONMENT)).get(endpoint)
        except (aiohttp.ClientError, TimeoutError, AssertionError):
            return
        missing = default - there.keys()
        says = f"the default of {endpoint} is {_named(missing)}, which is not there, of {sorted(there)}"
        if missing and again == default and says not in self.wrong:
            self._log.note("VIOLATED", says)
            self.wrong.append(says)


def _serving(shares: Shares) -> Serving:
    return frozenset((*shares.traffic, *shares.mirror))


def _named(deployments: Serving) -> str:
    return " and ".join(sorted(deployments)) or "nobody"
