"""The form in which the service keeps a component's specification, which differs from the form that is sent.

Source: Microsoft's recordings of the SDK's own tests, which have each request with its answer.
"""

import json
import re
import uuid

from localcloud.azureml.wire import Json

#: The name of all components that a pipeline has inline.
ANONYMOUS = "azureml_anonymous"
#: What may differ when a version is written again. Jobs rely on the rest.
CHANGEABLE = ("description", "display_name", "tags", "version", "$schema")
_NOT_KEPT = ("_source", "id", "jobs", "sourceJobId", "source_job_id", "settings", "compute", "experiment_name")
_CURATED = re.compile(r"azureml:(?P<name>AzureML-[^:]+):(?P<version>[^:]+)", re.I)
#: Of the assets that a default may name, only a compute has no version.
_COMPUTE = re.compile(r"azureml:(?P<name>[^:/]+)")
_ADDED: dict[str, Json] = {
    "command": {"resources": {"instance_count": "1"}},
    "parallel": {
        "error_threshold": "-1",
        "logging_level": "INFO",
        "retry_settings": {"max_retries": "3", "timeout": "60"},
    },
}
_SAME_CONTENT = uuid.UUID("1f0d3b52-6f0c-4c0e-8a55-0b2f6a1f5c77")


def kept(given: Json) -> Json:
    """Numbers and booleans are text, defaults are filled in, and what only the SDK needs is gone."""
    specification = {key: value for key, value in given.items() if key not in _NOT_KEPT and value not in (None, {})}
    kind = str(specification.get("type"))
    if kind == "parallel":
        specification.pop("resources", None)
    for key, default in _ADDED.get(kind, {}).items():
        present = specification.get(key)
        specification[key] = {**default, **present} if isinstance(present, dict) else present or default
    worded: Json = _worded(specification)
    worded.setdefault("is_deterministic", "False")
    for declared in (worded.get("inputs") or {}).values():
        declared.setdefault("optional", "False")
        if found := _COMPUTE.fullmatch(str(declared.get("default"))):
            declared["default"] = found["name"]
    for declared in (*(worded.get("inputs") or {}).values(), *(worded.get("outputs") or {}).values()):
        declared.pop("mode", None)  # each step has its own
    for holder in (worded, worded.get("task")):
        if isinstance(holder, dict) and isinstance(holder.get("environment"), str):
            holder["environment"] = _environment(holder["environment"])
    distribution = worded.get("distribution")
    if isinstance(distribution, dict) and distribution.get("type"):
        distribution["type"] = str(distribution["type"]).capitalize()
    return worded


def content_version(given: Json) -> str:
    """The version of an anonymous component: equal only for equal content."""
    content = {**kept(given), "jobs": given.get("jobs")}
    if given.get("name") == ANONYMOUS:
        content.pop("version", None)
    return str(uuid.uuid5(_SAME_CONTENT, json.dumps(content, sort_keys=True, default=str)))


def changed_field(before: Json, after: Json) -> str | None:
    """The first field that differs between two stored specifications but must not."""
    differing = (key for key in {**before, **after} if before.get(key) != after.get(key))
    return next((key for key in differing if key not in CHANGEABLE), None)


def _worded(value: object) -> Json:
    """The same value with numbers and booleans as text."""
    if isinstance(value, dict):
        # Spark's configuration is passed on to it, and it writes booleans in lower case.
        return {
            key: _spark(item) if key == "conf" and isinstance(item, dict) else _worded(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_worded(item) for item in value]  # type: ignore[return-value]  # of a specification, an object
    return str(value) if isinstance(value, bool | int | float) else value  # type: ignore[return-value]  # likewise


def _spark(settings: Json) -> Json:
    return {key: str(value).lower() if isinstance(value, bool) else _worded(value) for key, value in settings.items()}


def _environment(reference: str) -> str:
    """A curated environment by the registry that it is in."""
    found = _CURATED.fullmatch(reference)
    if not found:
        return reference
    return f"azureml://registries/azureml/environments/{found['name']}/versions/{found['version']}"
