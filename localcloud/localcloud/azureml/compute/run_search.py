"""MLflow's search for runs: conditions joined by AND over metrics, params, tags and attributes, order and pages."""

import fnmatch
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.azureml.compute.tracking import Run, Tracking, TrackingError

MAX_RESULTS = 1000
KINDS = {"metric": "metrics", "param": "params", "parameter": "params", "tag": "tags", "attribute": "attributes"}
NAME = r"(?:(?P<kind>\w+)\.)?(?P<key>[\w.\-/]+|`[^`]+`|\"[^\"]+\")"
CONDITION = re.compile(
    rf"{NAME}\s*(?P<operator>!=|>=|<=|=|>|<|I?LIKE\b)\s*(?P<value>'[^']*'|\"[^\"]*\"|[-+.\w]+)", re.I
)
ORDER = re.compile(rf"{NAME}(?:\s+(?P<direction>ASC|DESC))?", re.I)
AND = re.compile(r"\s+AND\s+", re.I)

#: How a value of a run compares with the one in a condition.
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "LIKE": lambda value, pattern: fnmatch.fnmatchcase(value, _glob(pattern)),
    "ILIKE": lambda value, pattern: fnmatch.fnmatchcase(value.lower(), _glob(pattern.lower())),
}

#: Finds a run's value by kind and key: None when the run has none.
Lookup = Callable[[str, str], Any]


def search(tracking: Tracking, fields: Mapping[str, Any]) -> tuple[list[Run], str | None]:
    """The page of runs that a `runs/search` request asks for, and the token of the next one when there is more."""
    view = fields.get("run_view_type", "ACTIVE_ONLY")
    runs = [
        run
        for run in tracking.runs(_texts(fields, "experiment_ids"))
        if view == "ALL" or run.deleted == (view == "DELETED_ONLY")
    ]
    conditions = str(fields.get("filter") or "").strip()
    for condition in AND.split(conditions) if conditions else []:
        keep = _condition(condition)
        runs = [run for run in runs if keep(_value_of(tracking, run))]
    # Sorting is stable: the least important order comes first.
    for order in reversed(_texts(fields, "order_by")):
        runs = _sorted(tracking, runs, order)
    first = _page(fields, "page_token", 0)
    last = first + min(_page(fields, "max_results", MAX_RESULTS), MAX_RESULTS)
    return runs[first:last], str(last) if last < len(runs) else None


def _value_of(tracking: Tracking, run: Run) -> Lookup:
    def look_up(kind: str, key: str) -> Any:
        if kind != "attributes":
            return getattr(tracking, kind)(run.id).get(key)
        attributes = {"run_id": run.id, "run_name": run.name, "status": run.status, "user_id": run.user}
        times = {"start_time": run.started, "end_time": run.ended}
        return {**attributes, **times}.get(key)

    return look_up


def _condition(text: str) -> Callable[[Lookup], bool]:
    match = CONDITION.fullmatch(text.strip())
    if match is None:
        raise TrackingError("INVALID_PARAMETER_VALUE", f"Unsupported search condition: {text}")
    kind, key = _name(match)
    expected: Any = match["value"].strip("'\"")
    if kind == "metrics" or key in ("start_time", "end_time"):
        expected = _number(expected)
    compare = OPERATORS[match["operator"].upper()]

    def holds(look_up: Lookup) -> bool:
        value = look_up(kind, key)
        return value is not None and compare(value, expected)

    return holds


def _sorted(tracking: Tracking, runs: list[Run], order: str) -> list[Run]:
    match = ORDER.fullmatch(order.strip())
    if match is None:
        raise TrackingError("INVALID_PARAMETER_VALUE", f"Unsupported order: {order}")
    kind, key = _name(match)
    values = {run.id: _value_of(tracking, run)(kind, key) for run in runs}
    known = [run for run in runs if values[run.id] is not None]
    known.sort(key=lambda run: values[run.id], reverse=(match["direction"] or "").upper() == "DESC")
    return known + [run for run in runs if values[run.id] is None]


def _name(match: re.Match[str]) -> tuple[str, str]:
    kind = (match["kind"] or "attributes").lower()
    kind = KINDS.get(kind, kind)
    if kind not in KINDS.values():
        raise TrackingError(
            "INVALID_PARAMETER_VALUE", f"{match['kind']} is none of {', '.join(sorted(set(KINDS.values())))}"
        )
    return kind, match["key"].strip('`"')


def _texts(fields: Mapping[str, Any], name: str) -> list[str]:
    texts = fields.get(name) or []
    if not isinstance(texts, list):
        raise TrackingError("INVALID_PARAMETER_VALUE", f"'{name}' must be a list.")
    return [str(entry) for entry in texts]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as fault:
        raise TrackingError("INVALID_PARAMETER_VALUE", f"Not a number: {text}") from fault


def _page(fields: Mapping[str, Any], name: str, default: int) -> int:
    try:
        number = int(fields.get(name) or default)
    except (TypeError, ValueError) as fault:
        raise TrackingError("INVALID_PARAMETER_VALUE", f"'{name}' must be a whole number.") from fault
    return max(0, number)


def _glob(pattern: str) -> str:
    """An SQL pattern as a pattern of fnmatch."""
    return re.sub(r"([*?\[])", r"[\1]", pattern).replace("%", "*").replace("_", "?")
