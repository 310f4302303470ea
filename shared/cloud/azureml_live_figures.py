"""Live figures of deployments: Azure Monitor's platform metrics, read at the endpoint itself.

Needs only `Microsoft.Insights/metrics/read` on the endpoint, not on the subscription.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.cloud.azureml_rest import Rest
from shared.ports import LiveFigures, Minute, RejectedError

_API_VERSION = "2023-10-01"
_ENDPOINTS = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
_STATUSES = "statusCode eq '*'"
_GRAIN = "PT1M"
#: Series that one answer may have. Azure's default is 10, and there may be more statuses.
_MOST_SERIES = "100"

_LATENCIES = {
    "RequestLatency_P50": "latency_p50",
    "RequestLatency_P95": "latency_p95",
    "RequestLatency_P99": "latency_p99",
}
_RESOURCES = {"CpuUtilizationPercentage": "cpu", "CpuMemoryUtilizationPercentage": "memory"}
_SECONDS = {"H": 3600, "M": 60, "S": 1}


def read(rest: Rest, endpoint: str, deployment: str, since: datetime, until: datetime, resources: bool) -> LiveFigures:
    """The minutes of a deployment. `endpoint`: its ARM id. Needs two calls, and a third one for `resources`."""
    timespan = f"{_time(since)}/{_time(until)}"
    of_deployment = f"deployment eq '{deployment}'"
    found = _Minutes()
    requests = _query(rest, endpoint, _ENDPOINTS, ["RequestsPerMinute"], timespan, f"{of_deployment} and {_STATUSES}")
    for at, metric in _points(requests):
        found.answered(at, metric)
    latencies = _query(rest, endpoint, _ENDPOINTS, _LATENCIES, timespan, of_deployment)
    for at, metric in _points(latencies):
        found.has(at, _LATENCIES, metric)
    if resources:
        address = f"{endpoint}/deployments/{deployment}"
        used = _query(rest, address, f"{_ENDPOINTS}/deployments", _RESOURCES, timespan)
        for at, metric in _points(used):
            found.has(at, _RESOURCES, metric)
    return LiveFigures(found.in_order(), _grain(requests))


@dataclass(frozen=True)
class _Value:
    metric: str
    value: float
    dimensions: Mapping[str, str]


@dataclass
class _Minutes:
    """Minutes by their beginning."""

    minutes: dict[datetime, Minute] = field(default_factory=dict)

    def answered(self, at: datetime, found: _Value) -> None:
        written = found.dimensions.get("statuscode", "")
        if not written.isdecimal():
            return  # a request that ended without a status, such as one whose caller left
        minute = self._at(at)
        status = int(written)
        answers = {**minute.answers, status: minute.answers.get(status, 0.0) + found.value}
        self.minutes[at] = replace(minute, answers=answers)

    def has(self, at: datetime, names: Mapping[str, str], found: _Value) -> None:
        name = next((name for metric, name in names.items() if metric.lower() == found.metric.lower()), None)
        if name is not None:
            figure: dict[str, Any] = {name: found.value}
            self.minutes[at] = replace(self._at(at), **figure)

    def in_order(self) -> list[Minute]:
        return [self.minutes[at] for at in sorted(self.minutes)]

    def _at(self, at: datetime) -> Minute:
        return self.minutes.get(at, Minute(at))


def _query(
    rest: Rest, resource: str, namespace: str, metrics: Iterable[str], timespan: str, wanted: str = ""
) -> Mapping[str, Any]:
    query = {
        "api-version": _API_VERSION,
        "metricnamespace": namespace,
        "metricnames": ",".join(metrics),
        "timespan": timespan,
        "interval": _GRAIN,
        "aggregation": "Average",
    }
    if wanted:
        query |= {"$filter": wanted, "top": _MOST_SERIES}
    found = rest.get(f"{resource}/providers/microsoft.insights/metrics", **query)
    if found is None:
        raise RejectedError(f"{resource.rsplit('/', 1)[1]} no longer exists, so it has no live figures.")
    content: Mapping[str, Any] = found
    return content


def _points(answer: Mapping[str, Any]) -> Iterator[tuple[datetime, _Value]]:
    """The points that have a value: a minute without one is not a minute with 0."""
    for metric in answer.get("value") or ():
        name = metric["name"]["value"]
        for series in metric.get("timeseries") or ():
            dimensions = {
                each["name"]["value"].lower(): str(each["value"]) for each in series.get("metadatavalues") or ()
            }
            for point in series.get("data") or ():
                value = point.get("average")
                if value is not None:
                    yield _moment(point["timeStamp"]), _Value(name, float(value), dimensions)


def _grain(answer: Mapping[str, Any]) -> timedelta:
    """How long a point is, as the answer says."""
    found = re.fullmatch(r"PT([0-9]+(?:\.[0-9]+)?)([HMS])", str(answer.get("interval", "")))
    return timedelta(seconds=float(found[1]) * _SECONDS[found[2]]) if found else timedelta(minutes=1)


def _time(moment: datetime) -> str:
    # With Z: a plus sign in a query would be read as a space.
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
