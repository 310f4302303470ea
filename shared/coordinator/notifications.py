"""Converts a workspace's Event Grid notifications into news for the app."""

from collections.abc import Mapping
from typing import Any

from shared.core.job_statuses import COMPLETED, ENDED
from shared.core.messages import JobEnded, ModelRegistered, MonitorBreached, News, relevant_tags
from shared.core.texts import LONGEST_NAME, check_name

_PREFIX = "microsoft.machinelearningservices."
#: Marks the parent of a pipeline's jobs.
_PIPELINE = "azureml.pipelinerun"
#: Properties of the jobs inside a pipeline job.
_PARENT_PROPERTIES = ("azureml.pipelinerunid", "azureml.rootpipelinerunid")
#: The property that marks a trial of an AutoML job, and its value.
_TEMPLATE, _AUTOML_CHILD = "runtemplate", "automl_child"
#: The tag of a run of a model monitor that has found drift.
BREACHED = "azureml_modelmonitor_threshold_breached"

SOURCE = "event-grid"

#: Longest ARM id of a workspace.
LONGEST_SOURCE = 1000
#: Bound for whole numbers that stand for names: longer than any name.
_MOST_NUMBER = 10**LONGEST_NAME


class MalformedNotificationError(ValueError):
    """The notification has no type, or lacks something that its type requires."""


def read(source: Any, kind: Any, data: Any) -> News | None:
    """The news in a notification; None for a type that the app does not handle.

    `source` is the `topic` (Event Grid schema) or `source` (CloudEvents): the workspace's ARM id. `kind` is the event
    type. The case of keys in `data` is ignored: Azure's samples and SDKs differ in it.
    """
    if not isinstance(kind, str) or not kind:
        raise MalformedNotificationError("a notification needs a type, which must be a string")
    name = kind.lower().removeprefix(_PREFIX)
    if name not in ("modelregistered", "runcompleted", "runstatuschanged"):
        return None
    if not source or not isinstance(source, str) or not isinstance(data, Mapping):
        raise MalformedNotificationError(f"{kind} needs a workspace as its source, and an object as its data")
    _checked("the source", source, LONGEST_SOURCE)
    found = {str(key).lower(): value for key, value in data.items()}
    if name == "modelregistered":
        return _model_registered(source, found)
    if breached := _monitor_breached(source, found):
        return breached
    return _job_ended(source, found, COMPLETED if name == "runcompleted" else _text(found, "runstatus"))


def _model_registered(workspace: str, data: Mapping[str, Any]) -> ModelRegistered:
    return ModelRegistered(
        workspace, _text(data, "modelname"), _text(data, "modelversion"), _texts(data, "modeltags"), SOURCE
    )


def _monitor_breached(workspace: str, data: Mapping[str, Any]) -> MonitorBreached | None:
    """A monitor tags the run of the step that found it, whatever its status; its experiment has the monitor's name."""
    tags = {name.lower(): value for name, value in _texts(data, "runtags").items()}
    if BREACHED not in tags:
        return None
    run, properties = _text(data, "runid"), _object(data, "runproperties")
    roots = [properties[key] for key in properties if str(key).lower() == _PARENT_PROPERTIES[-1]]
    root = roots[0] if roots and isinstance(roots[0], str) and roots[0] else run
    says = relevant_tags({BREACHED: tags[BREACHED]}, None)[BREACHED]
    monitor = _text(data, "experimentname")
    return MonitorBreached(workspace, monitor, _checked("the run", root, LONGEST_NAME), says, SOURCE)


def _job_ended(workspace: str, data: Mapping[str, Any], status: str) -> JobEnded | None:
    job = _text(data, "runid")
    if status.capitalize() not in ENDED or _is_child(job, data):
        return None
    return JobEnded(workspace, job, _text(data, "experimentname"), status.capitalize(), _texts(data, "runtags"), SOURCE)


def _is_child(job: str, data: Mapping[str, Any]) -> bool:
    """Whether the job is part of a pipeline or AutoML job, so that its end says nothing about the whole."""
    kind = data.get("runtype")
    if isinstance(kind, str) and kind.lower() == _PIPELINE:
        return False
    properties = {str(key).lower(): value for key, value in _object(data, "runproperties").items()}
    if properties.get(_TEMPLATE) == _AUTOML_CHILD:
        return True
    return any(properties.get(key, job) != job for key in _PARENT_PROPERTIES)


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MOST_NUMBER:
        return str(value)
    if not isinstance(value, str) or value == "":
        raise MalformedNotificationError(f"{key} must be a string or a whole number, not {_shown(value)}")
    return _checked(key, value, LONGEST_NAME)


def _checked(what: str, text: str, longest: int) -> str:
    try:
        return check_name(text, longest)
    except ValueError as fault:
        raise MalformedNotificationError(f"{what} {fault}") from None


def _texts(data: Mapping[str, Any], key: str) -> dict[str, str]:
    """The tags whose values are strings or numbers. No route can require others."""
    return {_whole(str(name)): _whole(_tag(value)) for name, value in _object(data, key).items()}


def _tag(value: Any) -> str:
    if isinstance(value, bool | float | str) or (isinstance(value, int) and abs(value) < _MOST_NUMBER):
        return str(value)
    return ""


def _whole(text: str) -> str:
    """The text without lone surrogates, which cannot be encoded."""
    return text.encode(errors="replace").decode()


def _object(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise MalformedNotificationError(f"{key} must be an object, not {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    """The value for a sentence. Nested values are not shown: they may be too deep to write."""
    return (
        repr(value)[:80] if isinstance(value, str | bool | float | None) else f"a value of type {type(value).__name__}"
    )
