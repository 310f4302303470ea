"""Simulates the faults of Azure ML: throttling, errors, slow and late answers, lack of quota, crashing containers."""

import random
from collections.abc import Mapping, Sequence

import aiohttp

from tests.chaos.logbook import Logbook
from tests.e2e.azure import Azure

#: Each fault, with its probability in per cent and the number of calls that it affects at most.
KINDS = {
    "throttling": (24, 3),
    "error": (24, 3),
    "slow": (8, 2),
    "late_answer": (16, 2),
    "busy": (14, 2),
    "out_of_quota": (12, 1),
    "crash": (2, 1),
}
#: Seconds that an answer takes. By then, the app must believe that the change is over.
LONGEST = 2.0
_ENDPOINTS, _DEPLOYMENTS = "*/onlineendpoints/*", "*/onlineendpoints/*/deployments/*"
#: Method and path of what may be affected; all methods if none is named.
_CALLS: Sequence[tuple[str | None, str]] = (
    ("GET", _ENDPOINTS),
    ("PUT", _ENDPOINTS),
    (None, _DEPLOYMENTS),
    (None, "*/batchendpoints/*"),
    ("POST", "*/batch/*"),
    ("POST", "*/listkeys"),
    (None, "*/registries/*"),
)
#: Faults of these kinds affect only this.
_ONLY: Mapping[str, Sequence[tuple[str | None, str]]] = {
    "busy": (("PUT", _ENDPOINTS), ("DELETE", _DEPLOYMENTS)),
    "out_of_quota": ((None, _DEPLOYMENTS),),
    # Callers count what fails at the endpoints of `gradual`, so no container crashes there without its model's doing.
    "crash": (
        (None, "*/onlineendpoints/straight-*/deployments/*"),
        (None, "*/onlineendpoints/careful-*/deployments/*"),
    ),
}


class Faults:
    """Switches faults on at random, drawn from `chance`."""

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
