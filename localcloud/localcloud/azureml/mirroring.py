"""Mirrored traffic: copies of requests for a deployment without live traffic, whose answers are thrown away."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from localcloud.azureml.forwarding import ScoringRequest
from localcloud.azureml.store import Resource, Store

#: Copies that are under way at the same time; further ones are dropped, so that they do not disturb live traffic.
_COPIES = 64

Send = Callable[[Resource, Resource, ScoringRequest], Awaitable[object]]


class Mirroring:
    def __init__(self, store: Store, is_counted: bool) -> None:
        self._store = store
        #: Whether copies count in the metrics.
        self.is_counted = is_counted
        self._copies: set[asyncio.Task[None]] = set()

    def copy(self, endpoint: Resource, request: ScoringRequest, send: Send) -> None:
        """Sends a copy of the request if this is one to be mirrored, and does not wait for it."""
        name = _drawn(endpoint)
        mirror = self._store.get(f"{endpoint.path}/deployments/{name}") if name else None
        if not mirror or not mirror.private.get("serving") or len(self._copies) >= _COPIES:
            return
        task = asyncio.get_running_loop().create_task(_sent(send, endpoint, mirror, request))
        self._copies.add(task)
        task.add_done_callback(self._copies.discard)

    async def close(self) -> None:
        copies = list(self._copies)
        for task in copies:
            task.cancel()
        await asyncio.gather(*copies, return_exceptions=True)


async def _sent(send: Send, endpoint: Resource, mirror: Resource, request: ScoringRequest) -> None:
    await send(endpoint, mirror, request)


def _drawn(endpoint: Resource) -> str | None:
    """The deployment that gets a copy this time."""
    shares: dict[str, int] = endpoint.properties.get("mirrorTraffic") or {}
    for name, percent in shares.items():
        if random.random() * 100 < percent:
            return name
    return None
