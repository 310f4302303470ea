"""Event Grid notifications of a workspace, as news for the app."""

from collections.abc import Mapping
from typing import Any

from shared.core.messages import JobEnded, ModelRegistered

_PREFIX = "microsoft.machinelearningservices."
#: What marks the parent of a pipeline's jobs.
_PIPELINE = "azureml.pipelinerun"
#: Properties that the jobs inside a pipeline job carry.
_PARENT_PROPERTIES = ("azureml.pipelinerunid", "azureml.rootpipelinerunid")
#: The property that marks one model that an AutoML job tries out, and its value.
_TEMPLATE, _AUTOML_CHILD = "runtemplate", "automl_child"
ENDED = ("Completed", "Failed", "Canceled")

SOURCE = "event-grid"


class MalformedNotificationError(ValueError):
    """The notification has no type, or is of one that we take and lacks what that type must have."""


def read(source: str | None, kind: str | None, data: Any) -> ModelRegistered | JobEnded | None:
    """The news in a notification; None for a type that does not concern us.

    `source` is the `topic` (Event Grid schema) or `source` (CloudEvents): the workspace's ARM id. `kind` is the event
    type. Keys of `data` are read without regard to case: Azure's samples and SDKs do not agree on it.
    """
    if not kind:
        raise MalformedNotificationError("a notification needs a type")
    name = kind.lower().removeprefix(_PREFIX)
    if name not in ("modelregistered", "runcompleted", "runstatuschanged"):
        return None
    if not source or not isinstance(data, Mapping):
        raise MalformedNotificationError(f"{kind} needs a workspace as its source, and an object as its data")
    found = {str(key).lower(): value for key, value in data.items()}
    if name == "modelregistered":
        return _model_registered(source, found)
    return _job_ended(source, found, "Completed" if name == "runcompleted" else _text(found, "runstatus"))


def _model_registered(workspace: str, data: Mapping[str, Any]) -> ModelRegistered:
    return ModelRegistered(
        workspace, _text(data, "modelname"), _text(data, "modelversion"), _texts(data, "modeltags"), SOURCE
    )


def _job_ended(workspace: str, data: Mapping[str, Any], status: str) -> JobEnded | None:
    job = _text(data, "runid")
    if status.capitalize() not in ENDED or _is_child(job, data):
        return None
    return JobEnded(workspace, job, _text(data, "experimentname"), status.capitalize(), _texts(data, "runtags"), SOURCE)


def _is_child(job: str, data: Mapping[str, Any]) -> bool:
    """Whether the job is one inside a pipeline or an AutoML job, whose end says nothing about the whole."""
    if str(data.get("runtype", "")).lower() == _PIPELINE:
        return False
    properties = {key.lower(): value for key, value in _texts(data, "runproperties").items()}
    if properties.get(_TEMPLATE) == _AUTOML_CHILD:
        return True
    return any(properties.get(key, job) != job for key in _PARENT_PROPERTIES)


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise MalformedNotificationError(f"{key} must be a text or a whole number, not {value!r}")
    return str(value)


def _texts(data: Mapping[str, Any], key: str) -> dict[str, str]:
    value = data.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise MalformedNotificationError(f"{key} must be an object, not {value!r}")
    return {str(name): "" if text is None else str(text) for name, text in value.items()}
