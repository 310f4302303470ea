"""Plays the faults of Azure ML: throttling, errors, slow and late answers, want of quota, containers that crash."""

import random
from collections.abc import Mapping, Sequence

import aiohttp

from tests.chaos.logbook import Logbook
from tests.e2e.azure import Azure

#: What strikes, how often of a hundred times, and how many calls at most.
KINDS = {
    "throttling": (24, 3),
    "error": (24, 3),
    "slow": (12, 2),
    "late_answer": (16, 2),
    "busy": (14, 2),
    "out_of_quota": (8, 1),
    "crash": (2, 1),
}
#: Seconds that an answer takes; the app must believe that a change is over by then.
LONGEST = 2.0
_ENDPOINTS, _DEPLOYMENTS = "*/onlineendpoints/*", "*/onlineendpoints/*/deployments/*"
#: Method and path of what may be struck; without a method all are.
_CALLS: Sequence[tuple[str | None, str]] = (
    ("GET", _ENDPOINTS),
    ("PUT", _ENDPOINTS),
    (None, _DEPLOYMENTS),
    ("POST", "*/listkeys"),
    (None, "*/registries/*"),
)
#: Of these kinds, what alone they strike.
_ONLY: Mapping[str, Sequence[tuple[str | None, str]]] = {
    "busy": (("PUT", _ENDPOINTS), ("DELETE", _DEPLOYMENTS)),
    "out_of_quota": ((None, _DEPLOYMENTS),),
    "crash": ((None, _DEPLOYMENTS),),
}


class Faults:
    """Switches faults on, as `chance` has it."""

    def __init__(self, azure: Azure, chance: random.Random, log: Logbook) -> None:
        self._azure = azure
        self._chance = chance
        self._log = log

    async def strike(self) -> None:
        """Switch one on for the next calls like one; none while Azure ML is down."""
        (kind,) = self._chance.choices(list(KINDS), [weight for weight, _ in KINDS.values()])
        method, path = self._chance.choice(_ONLY.get(kind, _CALLS))
        count = self._chance.randint(1, KINDS[kind][1])
        seconds = self._chance.uniform(0.2, LONGEST)
        try:
            await self._azure.fault(kind, method, path, seconds, count)
        except aiohttp.ClientError:
            return
        self._log.note("fault", f"{kind} for {count} calls of {method or 'any method'} {path}")
