"""Faults that can be switched on for tests and demos, in the configuration or by `/local/faults`.

Throttling, errors, slow answers and busy endpoints affect incoming requests; `late_answer` strikes when the work
is done and holds back the answer, at most until the fault is removed; `out_of_quota` strikes a deployment while it is
rolled out, or a job that is about to start; until it is removed, `queueing` keeps jobs in the queue, and `stalled`
keeps long-running operations from going on; `monitor_breach` lets a signal of a monitor breach its threshold; `crash`
kills the container of a running deployment.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Literal

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from localcloud.azureml.wire import AzureError, Json, json_body

Kind = Literal[
    "throttling",
    "error",
    "slow",
    "late_answer",
    "busy",
    "out_of_quota",
    "queueing",
    "stalled",
    "monitor_breach",
    "crash",
]


class Match(BaseModel):
    """What a fault strikes. A path is matched without regard to case, `*` stands for anything, slashes included."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    method: str | None = None
    path: str = "*"
    workspace: str | None = None

    def covers(self, method: str | None, path: str) -> bool:
        """Whether the fault covers a request or, without a method, a deployment."""
        lower = path.lower()
        in_workspace = self.workspace is None or f"/{self.workspace.lower()}/" in lower + "/"
        same_method = self.method is None or method is None or self.method.upper() == method
        return in_workspace and same_method and fnmatchcase(lower, self.path.lower())


class Fault(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Kind
    match: Match = Match()
    #: How many more times it strikes; null: until it is removed.
    count: int | None = Field(1, ge=1)
    #: Seconds that a throttled caller should wait.
    retry_after: int = Field(1, ge=0)
    #: How long a slow or late answer takes.
    seconds: float = Field(1, ge=0, le=600)


class Faults:
    """The active faults, each with a number by which to remove it."""

    def __init__(self, faults: list[Fault]) -> None:
        self._faults = {number: fault.model_copy() for number, fault in enumerate(faults, 1)}
        self._last = len(faults)
        #: The answers that are held back now, by the number of the fault that holds them.
        self._held: dict[int, list[asyncio.Event]] = {}

    def routes(self, added: Callable[[], Awaitable[None]]) -> list[web.RouteDef]:
        """`added` lets a new fault strike what is already running."""

        async def add(request: web.Request) -> web.Response:
            number = self._add(await json_body(request))
            await added()
            return web.json_response({"number": number}, status=201)

        return [
            web.get("/local/faults", self._list),
            web.post("/local/faults", add),
            web.delete("/local/faults", self._clear),
            web.delete("/local/faults/{number:\\d+}", self._remove),
        ]

    def take(self, kinds: set[Kind], method: str | None, path: str) -> Fault | None:
        """The first fault of these kinds that strikes here; counts it."""
        found = self._taken(kinds, method, path)
        return found[1] if found else None

    def _taken(self, kinds: set[Kind], method: str | None, path: str) -> tuple[int, Fault] | None:
        for number, fault in self._faults.items():
            if fault.kind in kinds and fault.match.covers(method, path):
                self._count(number, fault)
                return number, fault
        return None

    def holds(self, kind: Kind, path: str) -> bool:
        """Whether a fault that lasts until it is removed affects what is at this path; counts nothing."""
        return any(fault.kind == kind and fault.match.covers(None, path) for fault in self._faults.values())

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/local/"):
            return await handler(request)
        fault = self.take({"throttling", "error", "slow", "busy"}, request.method, request.path)
        if fault and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        elif fault:
            raise _error(fault)
        response = await handler(request)
        late = self._taken({"late_answer"}, request.method, request.path)
        if late:
            await self._hold_back(late[0], late[1].seconds)
        return response

    async def _hold_back(self, number: int, seconds: float) -> None:
        """Returns after this time, or as soon as the fault is removed."""
        removed = asyncio.Event()
        held = self._held.setdefault(number, [])
        held.append(removed)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(removed.wait(), seconds)
        finally:
            held.remove(removed)
            if not held:
                self._held.pop(number, None)

    def _let_go(self, number: int) -> bool:
        """Lets the answers go that the fault holds back; whether there were any."""
        held = self._held.get(number, ())
        for removed in held:
            removed.set()
        return bool(held)

    def _count(self, number: int, fault: Fault) -> None:
        if fault.count is not None:
            fault.count -= 1
            if fault.count <= 0:
                self._faults.pop(number, None)

    async def _list(self, _: web.Request) -> web.Response:
        shown = [{"number": number, **fault.model_dump()} for number, fault in self._faults.items()]
        return web.json_response({"value": shown})

    def _add(self, wanted: Json) -> int:
        try:
            fault = Fault.model_validate(wanted)
        except ValidationError as error:
            words = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise AzureError(400, "InvalidFault", words) from error
        self._last += 1
        self._faults[self._last] = fault
        return self._last

    async def _clear(self, _: web.Request) -> web.Response:
        self._faults.clear()
        for number in list(self._held):
            self._let_go(number)
        return web.Response(status=204)

    async def _remove(self, request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        was_on, held_answers = self._faults.pop(number, None) is not None, self._let_go(number)
        return web.Response(status=204 if was_on or held_answers else 404)


def _error(fault: Fault) -> AzureError:
    if fault.kind == "throttling":
        return AzureError(
            429,
            "TooManyRequests",
            "The request is being throttled as the limit has been reached for operation type.",
            {"Retry-After": str(fault.retry_after)},
        )
    if fault.kind == "busy":
        return AzureError(409, "Conflict", "Another operation on this resource is in progress. Try again later.")
    return AzureError(500, "InternalServerError", "An internal server error occurred.")
