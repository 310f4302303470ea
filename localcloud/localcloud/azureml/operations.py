"""Long-running operations: the protocol that clients poll, and the work behind it, which survives a restart.

Two forms, as recorded from the real service: an `Azure-AsyncOperation` URL that answers with a status, and a `Location`
URL that answers 202 until the work is done and then 204, or 200 for a cancellation and for a version in a registry.

A status is kept below the subscription. Whoever began the operation gets a signed URL for it, which needs no right; the
URL that the resource itself shows is not signed, and a role on the workspace alone does not cover it.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import sqlite3
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from localcloud.azureml.faults import Faults
from localcloud.azureml.requests_log import asked_since
from localcloud.azureml.rights import CALLER, Rights
from localcloud.azureml.scopes import PROVIDER, Scope
from localcloud.azureml.wire import AzureError, Json, timestamp

log = logging.getLogger(__name__)

API_VERSION = "2022-02-01-preview"
#: Seconds until a stalled operation looks whether it may go on.
_LOOK_AGAIN = 0.05
READ_STATUS = f"{PROVIDER}/locations/mfeOperationsStatus/read"
_ARM_LOCATION = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}"


class OperationFailed(Exception):  # noqa: N818 - it says what happened, as events do
    """Ends an operation as Failed with an error code of Azure ML and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Operation:
    """One piece of work on the resource at `path`; `details` is what else the work needs to resume."""

    id: str
    kind: str
    path: str
    details: Json
    started: float  # seconds since the epoch


Work = Callable[[Operation], Awaitable[None]]


class Operations:
    """Starts and records work, and resumes it after a restart. So work must be idempotent."""

    def __init__(self, database: sqlite3.Connection, base_url: str, rights: Rights, key: str, faults: Faults) -> None:
        """`key` signs the URLs of statuses."""
        self._database = database
        self._base_url = base_url
        self._rights = rights
        self._key = key.encode()
        self._faults = faults
        self._work: dict[str, Work] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_ARM_LOCATION + "/mfeOperationsStatus/{operation}", self._status),
            web.get(_ARM_LOCATION + "/mfeOperationResults/{operation}", self._result),
            web.get("/assetstore/v1.0/operations/{operation}", self._result),
            web.get("/environment/v1.0/operations/{operation}", self._result),
            web.get("/local/operations", self._list),
        ]

    def define(self, kind: str, work: Work) -> None:
        """Registers the work of operations of this kind. It returns, or raises `OperationFailed` or `AzureError`."""
        self._work[kind] = work

    def begin(self, kind: str, path: str, details: Json | None = None) -> Operation:
        operation = Operation(uuid.uuid4().hex, kind, path, details or {}, time.time())
        self._database.execute(
            "INSERT INTO operations (id, kind, path, details, started, status) VALUES (?, ?, ?, ?, ?, 'InProgress')",
            (operation.id, kind, path, json.dumps(operation.details), operation.started),
        )
        self._start(operation)
        return operation

    def resume(self) -> None:
        """Resumes interrupted work."""
        rows = self._database.execute(
            "SELECT id, kind, path, details, started FROM operations WHERE status = 'InProgress'"
        ).fetchall()
        for identifier, kind, path, details, started in rows:
            self._start(Operation(identifier, kind, path, json.loads(details), started))

    def busy(self, path: str, below: bool = False) -> bool:
        """Whether an operation on this resource, or with `below` on one of its children, is under way."""
        key = path.lower()
        rows = self._database.execute("SELECT path FROM operations WHERE status = 'InProgress'")
        others = [row[0].lower() for row in rows]
        return any(other == key or (below and other.startswith(key + "/")) for other in others)

    async def close(self) -> None:
        """Stops all work. Unfinished work resumes at the next start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def status_url(self, operation: str, subscription: str, location: str) -> str:
        """The URL that a resource shows for its last operation."""
        return self._url("mfeOperationsStatus", operation, subscription, location)

    def change_headers(self, operation: Operation, subscription: str, location: str) -> dict[str, str]:
        """For the answer to a PUT of the first form: `Location` is the resource. As recorded, without Retry-After."""
        return {
            **self._status_headers(operation, subscription, location),
            "Location": f"{self._base_url}{operation.path}?api-version={API_VERSION}",
        }

    def deletion_headers(self, operation: Operation, subscription: str, location: str) -> dict[str, str]:
        """For the answer to a DELETE of the first form, which has no resource to point to. Without Retry-After too."""
        return {
            **self._status_headers(operation, subscription, location),
            "Location": self._url("mfeOperationResults", operation.id, subscription, location),
        }

    def location_headers(self, operation: Operation, subscription: str, location: str) -> dict[str, str]:
        """For an answer of the second form."""
        return {"Location": self._url("mfeOperationResults", operation.id, subscription, location), "Retry-After": "1"}

    def asset_store_headers(self, operation: Operation, kind: str = "") -> dict[str, str]:
        """For the answer to a registry's import, or to a PUT of an asset of this kind there: the second form, too. With
        a Retry-After, because the SDK waits for it and would pause for 30 s.
        """
        service = "environment" if kind == "environments" else "assetstore"
        return {"Location": f"{self._base_url}/{service}/v1.0/operations/{operation.id}", "Retry-After": "1"}

    def _status_headers(self, operation: Operation, subscription: str, location: str) -> dict[str, str]:
        url = self.status_url(operation.id, subscription, location)
        return {
            "Azure-AsyncOperation": f"{url}&s={self._signature(operation.id)}",
            "x-ms-async-operation-timeout": "PT30M",
        }

    def _signature(self, operation: str) -> str:
        return hmac.new(self._key, operation.encode(), hashlib.sha256).hexdigest()

    def _url(self, kind: str, operation: str, subscription: str, location: str) -> str:
        place = _ARM_LOCATION.format(subscription=subscription, location=location)
        return f"{self._base_url}{place}/{kind}/{operation}?api-version={API_VERSION}"

    def _start(self, operation: Operation) -> None:
        task = asyncio.get_running_loop().create_task(self._run(operation))
        self._tasks[operation.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(operation.id, None))

    async def _run(self, operation: Operation) -> None:
        error: Json | None = None
        while self._faults.holds("stalled", operation.path):  # noqa: ASYNC110 - a fault raises no event
            await asyncio.sleep(_LOOK_AGAIN)
        try:
            await self._work[operation.kind](operation)
        except (OperationFailed, AzureError) as failure:
            error = {"code": failure.code, "message": failure.message}
        except Exception as failure:  # a bug must end the operation, or its clients poll forever
            log.exception("operation %s on %s failed unexpectedly", operation.kind, operation.path)
            error = {"code": "InternalServerError", "message": f"An internal server error occurred: {failure!r}"}
        self._database.execute(
            "UPDATE operations SET status = ?, ended = ?, error = ? WHERE id = ?",
            ("Failed" if error else "Succeeded", time.time(), json.dumps(error) if error else None, operation.id),
        )

    async def _status(self, request: web.Request) -> web.Response:
        self._demand_right(request)
        status, started, ended, error = self._row(request)
        answer: Json = {
            "id": request.path,
            "name": request.match_info["operation"],
            "startTime": timestamp(started),
            "percentComplete": 0.0 if ended is None else 100.0,
            "status": "Updating" if ended is None else status,
        }
        if ended is not None:
            answer["endTime"] = timestamp(ended)
        if error:
            answer["error"] = json.loads(error)
        return web.json_response(answer)

    def _demand_right(self, request: web.Request) -> None:
        """403 unless the URL is signed or the caller may read statuses in the subscription."""
        signature = self._signature(request.match_info["operation"])
        if hmac.compare_digest(request.query.get("s", "").encode(), signature.encode()):
            return
        where = request.match_info
        subscription = Scope(f"/subscriptions/{where['subscription']}", where["location"])
        self._rights.demand(request[CALLER], READ_STATUS, subscription)

    async def _result(self, request: web.Request) -> web.Response:
        status, _, _, error = self._row(request)
        kind, details = self._kind_and_details(request.match_info["operation"])
        if status == "InProgress":
            headers = {"Location": str(request.url), "Retry-After": "1"}
            return web.json_response({} if kind == "cancellation" else None, status=202, headers=headers)
        if error:
            failure = json.loads(error)
            raise AzureError(400, failure["code"], failure["message"])
        if kind == "registration":
            return web.json_response({"assetId": details["assetId"]})
        return web.Response(status=200 if kind == "cancellation" else 204)

    async def _list(self, request: web.Request) -> web.Response:
        """All operations, or with `?since=<seconds since the epoch>` those that began after that: for benchmarks."""
        rows = self._database.execute(
            "SELECT kind, path, started, ended FROM operations WHERE started > ? ORDER BY started",
            (asked_since(request),),
        )
        names = ("kind", "path", "started", "ended")
        return web.json_response({"value": [dict(zip(names, row, strict=True)) for row in rows]})

    def _kind_and_details(self, operation: str) -> tuple[str, Json]:
        row = self._database.execute("SELECT kind, details FROM operations WHERE id = ?", (operation,)).fetchone()
        return str(row[0]), json.loads(row[1])

    def _row(self, request: web.Request) -> tuple[str, float, float | None, str | None]:
        row = self._database.execute(
            "SELECT status, started, ended, error FROM operations WHERE id = ?", (request.match_info["operation"],)
        ).fetchone()
        if not row:
            raise AzureError(404, "NotFound", "There is no such operation.")
        status, started, ended, error = row
        return status, started, ended, error
