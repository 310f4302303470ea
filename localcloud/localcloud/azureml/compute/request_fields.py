"""The fields of a request to the tracking API, read with MLflow's error for what is missing or of the wrong kind."""

from collections.abc import Mapping
from typing import Any

from localcloud.azureml.compute.tracking import TrackingError

#: From the query, the body or the path.
Fields = Mapping[str, Any]


def text(fields: Fields, name: str) -> str:
    """A field that must be there and not be empty."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise TrackingError("INVALID_PARAMETER_VALUE", f"Missing value for required parameter '{name}'.")
    return value


def run_id(fields: Fields) -> str:
    # The older name is what MLflow 1 sent, and newer clients send both.
    return text(fields, "run_id" if "run_id" in fields else "run_uuid")


def whole(fields: Fields, name: str, default: int) -> int:
    try:
        return int(fields.get(name, default))
    except (TypeError, ValueError) as fault:
        raise TrackingError("INVALID_PARAMETER_VALUE", f"'{name}' must be a whole number.") from fault


def pairs(fields: Fields, name: str) -> dict[str, str]:
    """A list of objects with `key` and `value`."""
    return {text(pair, "key"): str(pair.get("value", "")) for pair in objects(fields, name)}


def objects(fields: Fields, name: str) -> list[Fields]:
    found = fields.get(name, [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise TrackingError("INVALID_PARAMETER_VALUE", f"'{name}' must be a list of objects.")
    return found
