"""Schedules of a workspace, of jobs and of model monitors. They are kept, and run when they are triggered, not by the
clock."""

import copy
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from aiohttp import web

from localcloud.azureml.jobs import Jobs
from localcloud.azureml.monitors import Monitors
from localcloud.azureml.operations import Operation, Operations
from localcloud.azureml.rights import CALLER, Caller
from localcloud.azureml.scopes import PROVIDER, WORKSPACE, Scope, Scopes
from localcloud.azureml.store import Resource, Store, system_data
from localcloud.azureml.wire import AzureError, Json, json_body, not_found, properties_in

_SCHEDULES = WORKSPACE + "/schedules"
#: Of a job that is given by its id, what a run takes from it.
_OF_SOURCE = (
    *("jobType", "command", "codeId", "environmentId", "environmentVariables", "computeId", "limits"),
    *("componentId", "jobs", "settings", "inputs", "outputs", "experimentName", "tags"),
)
_VIEWS = {"enabledonly": (True,), "disabledonly": (False,)}


class Schedules:
    def __init__(self, store: Store, scopes: Scopes, operations: Operations, jobs: Jobs, monitors: Monitors) -> None:
        self._store = store
        self._scopes = scopes
        self._operations = operations
        self._jobs = jobs
        self._monitors = monitors
        operations.define("schedule", self._finish)
        operations.define("schedule deletion", self._finish_deletion)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_SCHEDULES, self._list),
            web.get(_SCHEDULES + "/{schedule}", self._get),
            web.put(_SCHEDULES + "/{schedule}", self._put),
            web.delete(_SCHEDULES + "/{schedule}", self._delete),
            web.post(_SCHEDULES + "/{schedule}/trigger", self._trigger),
        ]

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
        path = f"{workspace.path}/schedules/{name}"
        old, caller = self._store.get(path), request[CALLER]
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
        )
        with self._store.transaction():
            self._store.put(schedule)
            operation = self._operations.begin("schedule", path)
        headers = self._operations.change_headers(operation, workspace.subscription, workspace.location)
        return web.json_response(schedule.body, status=200 if old else 201, headers=headers)

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
        """Runs the schedule once, at the time that the request gives or now; answers with the name of the job."""
        workspace, schedule = self._existing(request)
        moment = _moment((await json_body(request)).get("scheduleTime"))
        display_name = f"{schedule.name}-{moment:%Y%m%dT%H%M%SZ}"
        name, caller = str(uuid.uuid4()), request[CALLER]
        kind = schedule.properties["action"]["actionType"]
        if kind == "CreateMonitor":
            self._monitors.run(workspace, schedule, name, display_name, caller)
        else:
            self._run_job(workspace, schedule, name, display_name, moment, caller)
        return web.json_response({"submissionId": name, "scheduleActionType": kind})

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


def _moment(given: object) -> datetime:
    try:
        moment = datetime.fromisoformat(str(given)) if given else datetime.now(UTC)
    except ValueError as error:
        raise AzureError(400, "UserError", f"scheduleTime must be a time in ISO 8601, not {given}.") from error
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


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
