"""The events that a workspace raises, sent to its Event Grid topic by way of an outbox that survives a restart.

Types and shapes: Microsoft's event schema of Azure Machine Learning. Event Grid may be down or start later: pauses
between attempts grow to half a minute, and after a day an event is dropped.
"""

import asyncio
import contextlib
import json
import logging
import sqlite3
import time
import uuid
from datetime import datetime

import aiohttp

from localcloud.azureml.scopes import PROVIDER, Scope, Scopes
from localcloud.azureml.wire import Json, timestamp

log = logging.getLogger(__name__)

LONGEST_PAUSE = 30.0  # seconds
GIVEN_UP_AFTER = 24 * 3600.0  # seconds
BATCH = 100


class Outbox:
    """Keeps events until their topic accepts them. Each workspace's topic is tried independently."""

    def __init__(self, database: sqlite3.Connection, scopes: Scopes) -> None:
        self._database = database
        self._scopes = scopes
        self._more = {workspace.path: asyncio.Event() for workspace in scopes.workspaces if workspace.topic}

    def model_registered(self, workspace: Scope, name: str, version: str, tags: Json, properties: Json) -> None:
        # A number where it is one, as in Microsoft's samples.
        number = int(version) if version.isdecimal() and str(int(version)) == version else version
        data = {"ModelName": name, "ModelVersion": number, "ModelTags": tags, "ModelProperties": properties}
        self._raise(workspace, "ModelRegistered", f"models/{name}:{version}", data)

    def model_deployed(self, workspace: Scope, endpoint: str, models: str, tags: Json, properties: Json) -> None:
        data = {
            "ServiceName": endpoint,
            "ServiceComputeType": "Managed",
            "ModelIds": models,
            "ServiceTags": tags,
            "ServiceProperties": properties,
        }
        self._raise(workspace, "ModelDeployed", f"endpoints/{endpoint}", data)

    def run_status_changed(self, workspace: Scope, run: Json, status: str) -> None:
        self._raise(workspace, "RunStatusChanged", _run_subject(run), {**run, "runStatus": status})

    def run_completed(self, workspace: Scope, run: Json) -> None:
        """Raised for runs that complete, as on Azure; other runs only change their status."""
        self._raise(workspace, "RunCompleted", _run_subject(run), run)

    async def deliver(self) -> None:
        """Sends what is due until cancelled; a slow topic does not delay the others."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            workspaces = [workspace for workspace in self._scopes.workspaces if workspace.topic]
            await asyncio.gather(*(self._deliver_all(session, workspace) for workspace in workspaces))

    async def _deliver_all(self, session: aiohttp.ClientSession, workspace: Scope) -> None:
        more = self._more[workspace.path]
        while True:
            more.clear()
            await self._deliver_due(session, workspace)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(more.wait(), self._pause(workspace))

    def _raise(self, workspace: Scope, event_type: str, subject: str, data: Json) -> None:
        if workspace.topic is None:
            return
        event = {
            "id": str(uuid.uuid4()),
            "topic": workspace.path,
            "subject": subject,
            "eventType": f"{PROVIDER}.{event_type}",
            "eventTime": timestamp(),
            "data": data,
            "dataVersion": "",
            "metadataVersion": "1",
        }
        self._database.execute(
            "INSERT INTO outbox VALUES (?, ?, ?, 0, ?)",
            (event["id"], workspace.path.lower(), json.dumps(event), time.time()),
        )
        self._more[workspace.path].set()

    async def _deliver_due(self, session: aiohttp.ClientSession, workspace: Scope) -> None:
        rows = self._database.execute(
            "SELECT id, event, attempts FROM outbox WHERE workspace = ? AND due <= ? ORDER BY rowid LIMIT ?",
            (workspace.path.lower(), time.time(), BATCH),
        ).fetchall()
        for identifier, event, attempts in rows:
            if await self._post(session, workspace, json.loads(event)):
                self._database.execute("DELETE FROM outbox WHERE id = ?", (identifier,))
            else:
                self._postpone(identifier, event, attempts + 1)

    async def _post(self, session: aiohttp.ClientSession, workspace: Scope, event: Json) -> bool:
        if workspace.topic is None:
            return False
        headers = {"aeg-sas-key": workspace.topic.key}
        try:
            async with session.post(workspace.topic.endpoint, json=[event], headers=headers) as response:
                if response.status < 300:
                    return True
                log.warning("%s answered %d to an event", workspace.topic.endpoint, response.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            log.info("%s cannot be reached yet: %s", workspace.topic.endpoint, error)
        return False

    def _postpone(self, identifier: str, event: str, attempts: int) -> None:
        age = time.time() - _seconds(json.loads(event)["eventTime"])
        if age > GIVEN_UP_AFTER:
            log.error("giving up an event after a day: %s", event)
            self._database.execute("DELETE FROM outbox WHERE id = ?", (identifier,))
            return
        pause = min(LONGEST_PAUSE, 0.5 * 2 ** min(attempts, 10))
        self._database.execute(
            "UPDATE outbox SET attempts = ?, due = ? WHERE id = ?", (attempts, time.time() + pause, identifier)
        )

    def _pause(self, workspace: Scope) -> float:
        """Seconds until the next event is due."""
        query = "SELECT min(due) FROM outbox WHERE workspace = ?"
        due = self._database.execute(query, (workspace.path.lower(),)).fetchone()[0]
        return LONGEST_PAUSE if due is None else max(0.05, min(LONGEST_PAUSE, due - time.time()))


def run_data(name: str, experiment: str, run_type: str, tags: Json, properties: Json) -> Json:
    """The data that both events of a run have in common."""
    return {
        "experimentId": str(uuid.uuid5(uuid.NAMESPACE_URL, experiment)),
        "experimentName": experiment,
        "runId": name,
        "runType": run_type,
        "runTags": tags,
        "runProperties": properties,
    }


def _run_subject(run: Json) -> str:
    return f"experiments/{run['experimentId']}/runs/{run['runId']}"


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
