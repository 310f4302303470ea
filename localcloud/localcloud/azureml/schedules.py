"""Schedules of a workspace, of jobs and of model monitors: they run by the clock, and when they are triggered."""

import asyncio
import contextlib
import copy
import logging
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from aiohttp import web

from localcloud.azureml.jobs import Jobs
from localcloud.azureml.monitors import Monitors
from localcloud.azureml.operations import Operation
from localcloud.azureml.rights import CALLER, Caller
from localcloud.azureml.schedule_clock import Clock, next_moment
from localcloud.azureml.scopes import PROVIDER, WORKSPACE, Scope
from localcloud.azureml.shared_parts import SharedParts
from localcloud.azureml.store import Resource, system_data
from localcloud.azureml.wire import AzureError, Json, json_body, not_found, properties_in

log = logging.getLogger(__name__)

_SCHEDULES = WORKSPACE + "/schedules"
#: The longest pause between two looks at the clock; shorter if something is due sooner.
_PAUSE_SECONDS = 60.0
#: What a run takes from a job that is given by its id.
_OF_SOURCE = (
    *("jobType", "command", "codeId", "environmentId", "environmentVariables", "computeId", "limits"),
    *("componentId", "jobs", "settings", "inputs", "outputs", "experimentName", "tags"),
)
_VIEWS = {"enabledonly": (True,), "disabledonly": (False,)}


class Schedules:
    def __init__(self, shared: SharedParts, jobs: Jobs, monitors: Monitors, clock: Clock) -> None:
        self._store = shared.store
        self._scopes = shared.scopes
        self._operations = shared.operations
        self._jobs = jobs
        self._monitors = monitors
        self._clock = clock
        self._changed = asyncio.Event()
        self._operations.define("schedule", self._finish)
        self._operations.define("schedule deletion", self._finish_deletion)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_SCHEDULES, self._list),
            web.get(_SCHEDULES + "/{schedule}", self._get),
            web.put(_SCHEDULES + "/{schedule}", self._put),
            web.delete(_SCHEDULES + "/{schedule}", self._delete),
            web.post(_SCHEDULES + "/{schedule}/trigger", self._trigger),
        ]

    async def run_by_the_clock(self) -> None:
        """Runs what is due, until cancelled. What was due while nothing ran here runs once, late."""
        while True:
            self._changed.clear()
            pauses = [self._clock.seconds_until(due) for due in map(self._run_if_due, self._enabled()) if due]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), min([_PAUSE_SECONDS, *pauses]))

    def _enabled(self) -> list[Resource]:
        collections = (self._store.collection(f"{each.path}/schedules") for each in self._scopes.workspaces)
        return [each for schedules in collections for each in schedules if each.properties["isEnabled"]]

    def _run_if_due(self, schedule: Resource) -> datetime | None:
        """Runs the schedule if its time has come; when it is due next."""
        due, now = schedule.private.get("due"), self._clock.now()
        if due is None or datetime.fromisoformat(due) > now:
            return datetime.fromisoformat(due) if due else None
        workspace = self._scopes.of(schedule.path)
        following = _due(schedule.properties, schedule.private["created"], now)
        schedule.private["due"] = following
        self._store.put(schedule)
        try:
            if workspace:
                self._run(workspace, schedule, datetime.fromisoformat(due), Caller(**schedule.private["caller"]))
        except AzureError as error:
            log.warning("schedule %s could not run: %s", schedule.path, error)
        return datetime.fromisoformat(following) if following else None

    async def _list(self, request: web.Request) -> web.Response:
        """`listViewType` is EnabledOnly (the default, as in Azure), DisabledOnly or All."""
        workspace = self._scopes.requested(request)
        wanted = _VIEWS.get(request.query.get("listViewType", "EnabledOnly").lower(), (True, False))
        schedules = self._store.collection(f"{workspace.path}/schedules")
        return web.json_response({"value": [each.body for each in schedules if each.properties["isEnabled"] in wanted]})

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._existing(request)[1].body)

    async def _put(self, request: web.Request) -> web.Response:
        workspace, name = self._scopes.requested(request), request.match_info["schedule"]
        properties = await properties_in(request)
        _refuse_unusable(properties)
        self._refuse_missing_target(properties["action"])
        path = f"{workspace.path}/schedules/{name}"
        old, caller, now = self._store.get(path), request[CALLER], self._clock.now()
        created = str(old.private["created"]) if old else now.isoformat()
        schedule = Resource(
            path,
            {
                "id": path,
                "name": name,
                "type": f"{PROVIDER}/workspaces/schedules",
                "properties": {
                    "displayName": name,
                    "isEnabled": True,
                    "tags": {},
                    "properties": {},
                    **properties,
                    "provisioningState": "Updating" if old else "Creating",
                },
                "systemData": system_data(old, caller.name or caller.client_id, caller.kind),
            },
            {"created": created, "due": _due(properties, created, now), "caller": asdict(caller)},
        )
        with self._store.transaction():
            self._store.put(schedule)
            operation = self._operations.begin("schedule", path)
        self._changed.set()
        headers = self._operations.change_headers(operation, workspace.subscription, workspace.location)
        return web.json_response(schedule.body, status=200 if old else 201, headers=headers)

    def _refuse_missing_target(self, action: Json) -> None:
        """400 for a monitor of a deployment that does not exist."""
        target = (action.get("monitorDefinition") or {}).get("monitoringTarget") or {}
        deployment = str(target.get("deploymentId") or "").removeprefix("azureml:")
        if deployment and not self._store.get(deployment):
            raise AzureError(400, "UserError", f"The deployment {deployment}, the monitor's target, was not found.")

    async def _finish(self, operation: Operation) -> None:
        if schedule := self._store.get(operation.path):
            schedule.properties["provisioningState"] = "Succeeded"
            self._store.put(schedule)

    async def _delete(self, request: web.Request) -> web.Response:
        workspace, schedule = self._existing(request)
        if schedule.properties["isEnabled"]:
            raise AzureError(
                400, "UserError", f"The schedule {schedule.name} is enabled. Disable it before you delete it."
            )
        operation = self._operations.begin("schedule deletion", schedule.path)
        headers = self._operations.location_headers(operation, workspace.subscription, workspace.location)
        return web.Response(status=202, headers=headers)

    async def _finish_deletion(self, operation: Operation) -> None:
        self._store.delete(operation.path)

    async def _trigger(self, request: web.Request) -> web.Response:
        """Runs the schedule once, at the requested time or now, and answers with the job's name."""
        workspace, schedule = self._existing(request)
        moment = self._moment((await json_body(request)).get("scheduleTime"))
        name = self._run(workspace, schedule, moment, request[CALLER])
        kind = schedule.properties["action"]["actionType"]
        return web.json_response({"submissionId": name, "scheduleActionType": kind})

    def _run(self, workspace: Scope, schedule: Resource, moment: datetime, caller: Caller) -> str:
        """Runs the schedule once; the name of the job."""
        display_name = f"{schedule.name}-{moment:%Y%m%dT%H%M%SZ}"
        name = str(uuid.uuid4())
        if schedule.properties["action"]["actionType"] == "CreateMonitor":
            self._monitors.run(workspace, schedule, name, display_name, caller)
        else:
            self._run_job(workspace, schedule, name, display_name, moment, caller)
        return name

    def _run_job(
        self, workspace: Scope, schedule: Resource, name: str, display_name: str, moment: datetime, caller: Caller
    ) -> None:
        definition = copy.deepcopy(schedule.properties["action"]["jobDefinition"])
        if source := str(definition.get("sourceJobId") or ""):
            job = self._jobs.properties_of(workspace, source.rsplit("/", 1)[-1])
            definition = {
                **{key: job[key] for key in _OF_SOURCE if key in job},
                **{key: value for key, value in definition.items() if value},
            }
        values = {"creation_context.trigger_time": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "name": name}
        properties = {**_filled_in(definition, values), "displayName": display_name}
        self._jobs.submit(workspace, name, properties, caller, schedule.name)

    def _moment(self, given: object) -> datetime:
        try:
            moment = datetime.fromisoformat(str(given)) if given else self._clock.now()
        except ValueError as error:
            raise AzureError(400, "UserError", f"scheduleTime must be a time in ISO 8601, not {given}.") from error
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)

    def _existing(self, request: web.Request) -> tuple[Scope, Resource]:
        workspace, name = self._scopes.requested(request), request.match_info["schedule"]
        schedule = self._store.get(f"{workspace.path}/schedules/{name}")
        if not schedule:
            raise not_found(f"Schedule {name} in {workspace.name}")
        return workspace, schedule


def _refuse_unusable(properties: Json) -> None:
    action, trigger = properties.get("action"), properties.get("trigger")
    if not isinstance(action, dict) or not isinstance(trigger, dict):
        raise AzureError(400, "InvalidRequestContent", "properties.action and properties.trigger must be JSON objects.")
    if action.get("actionType") not in ("CreateJob", "CreateMonitor"):
        raise AzureError(
            400,
            "UserError",
            f"Schedules with the action {action.get('actionType')} cannot run here: only CreateJob"
            " and CreateMonitor can.",
        )
    content = "jobDefinition" if action["actionType"] == "CreateJob" else "monitorDefinition"
    if not isinstance(action.get(content), dict):
        raise AzureError(400, "InvalidRequestContent", f"properties.action.{content} must be a JSON object.")


def _due(properties: Json, created: str, now: datetime) -> str | None:
    moment = next_moment(properties["trigger"], datetime.fromisoformat(created), now)
    return moment.isoformat() if moment else None


def _filled_in(definition: Json, values: Mapping[str, str]) -> Json:
    """The definition with `${{creation_context.trigger_time}}` and `${{name}}` in inputs and paths of outputs."""
    filled = dict(definition)
    for place in ("inputs", "outputs"):
        filled[place] = {name: _filled(each, values) for name, each in (definition.get(place) or {}).items()}
    return filled


def _filled(declared: Json | None, values: Mapping[str, str]) -> Json:
    filled = dict(declared or {})
    for key in ("value", "uri"):
        for name, value in values.items():
            if isinstance(filled.get(key), str):
                filled[key] = filled[key].replace("${{" + name + "}}", value)
    return filled
