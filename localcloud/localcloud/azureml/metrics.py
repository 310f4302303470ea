"""Azure Monitor's metrics of online endpoints and deployments, read at the resource itself."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from localcloud.azureml.endpoints import ENDPOINTS as ENDPOINTS_ROUTE
from localcloud.azureml.metric_definitions import DEPLOYMENTS, ENDPOINTS, Metric
from localcloud.azureml.metric_query import ANY, MetricQuery, metric_query
from localcloud.azureml.scopes import Scopes, arm_path
from localcloud.azureml.store import Store
from localcloud.azureml.traffic_figures import Figures, Minute, TrafficFigures, merged
from localcloud.azureml.wire import Json, not_found

_METRICS = "/providers/{_insights:(?i:Microsoft\\.Insights)}/metrics"
#: The values of the dimensions that split a series from others.
Split = tuple[str, ...]


@dataclass(frozen=True)
class Point:
    """The values of the minutes from `start`, in seconds since the epoch."""

    start: float
    values: tuple[float, ...]


class Metrics:
    """`GET …/onlineEndpoints/NAME/providers/Microsoft.Insights/metrics`, and the same of a deployment."""

    def __init__(self, store: Store, scopes: Scopes, figures: TrafficFigures) -> None:
        self._store = store
        self._scopes = scopes
        self._figures = figures

    def routes(self) -> list[web.RouteDef]:
        endpoint = ENDPOINTS_ROUTE + "/{endpoint}"
        return [
            web.get(endpoint + _METRICS, self._of_endpoint),
            web.get(endpoint + "/deployments/{deployment}" + _METRICS, self._of_deployment),
        ]

    async def _of_endpoint(self, request: web.Request) -> web.Response:
        return self._answer(request, ENDPOINTS, None)

    async def _of_deployment(self, request: web.Request) -> web.Response:
        return self._answer(request, DEPLOYMENTS, request.match_info["deployment"])

    def _answer(self, request: web.Request, namespace: str, deployment: str | None) -> web.Response:
        workspace, path = self._scopes.requested(request), arm_path(request).rsplit("/providers/", 1)[0]
        if not self._store.get(path):
            raise not_found(f"The resource {path}")
        query = metric_query(namespace, request.query, self._figures.minute_seconds)
        found = self._minutes(path.partition("/deployments/")[0], query, deployment)
        return web.json_response(
            {
                "cost": math.ceil((query.end - query.start).total_seconds() / 60) * len(query.metrics),
                "timespan": f"{_time(query.start.timestamp())}/{_time(query.end.timestamp())}",
                "interval": self._interval(query),
                "value": [self._shown(path, metric, query, found) for metric in query.metrics],
                "namespace": namespace,
                "resourceregion": workspace.location,
            }
        )

    def _minutes(self, endpoint: str, query: MetricQuery, deployment: str | None) -> list[Minute]:
        seconds = self._figures.minute_seconds
        first = math.floor(query.start.timestamp() / seconds) * seconds
        minutes = self._figures.between(endpoint, first, query.end.timestamp())
        return [each for each in minutes if deployment is None or each.deployment.lower() == deployment.lower()]

    def _interval(self, query: MetricQuery) -> str:
        """Of the answer: where a minute lasts another time here, the time that a point really covers."""
        if query.minutes is None or self._figures.minute_seconds == 60:
            return query.grain
        return f"PT{query.minutes * self._figures.minute_seconds:g}S"

    def _shown(self, path: str, metric: Metric, query: MetricQuery, minutes: list[Minute]) -> Json:
        names = tuple(query.filter)
        return {
            "id": f"{path}/providers/Microsoft.Insights/metrics/{metric.name}",
            "type": "Microsoft.Insights/metrics",
            "name": {"value": metric.name, "localizedValue": metric.name},
            "unit": metric.unit,
            "timeseries": [
                {
                    "metadatavalues": [
                        {"name": {"value": name, "localizedValue": name}, "value": value}
                        for name, value in zip(names, split, strict=True)
                    ],
                    "data": [_datum(point, query.aggregations) for point in self._points(query, values)],
                }
                for split, values in _largest(_series(metric, query, minutes), query.top)
            ],
            "errorCode": "Success",
        }

    def _points(self, query: MetricQuery, values: dict[float, float]) -> Iterator[Point]:
        """A point for every step of the time, up to now; those without a request have no values."""
        seconds = self._figures.minute_seconds
        first = math.floor(query.start.timestamp() / seconds) * seconds
        end = min(query.end.timestamp(), datetime.now(UTC).timestamp())
        step = query.minutes * seconds if query.minutes else max(end - first, seconds)
        for number in range(max(math.ceil((end - first) / step), 0)):
            start = first + number * step
            yield Point(start, tuple(value for at, value in values.items() if start <= at < start + step))


def _series(metric: Metric, query: MetricQuery, minutes: Iterable[Minute]) -> dict[Split, dict[float, float]]:
    """The values by the start of their minute, for each combination of values of the dimensions in the filter.

    Without a filter there is one series, even when nothing was asked.
    """
    series: dict[Split, dict[float, float]] = {} if query.filter else {(): {}}
    for start, split, value in _values(metric, query, minutes):
        series.setdefault(split, {})[start] = series.get(split, {}).get(start, 0.0) + value
    return series


def _largest(series: dict[Split, dict[float, float]], top: int) -> list[tuple[Split, dict[float, float]]]:
    """As many series as are wanted, by their values' dimensions."""
    by_size = sorted(series.items(), key=lambda each: (-sum(each[1].values()), each[0]))
    return sorted(by_size[:top])


def _values(metric: Metric, query: MetricQuery, minutes: Iterable[Minute]) -> Iterator[tuple[float, Split, float]]:
    """Those that pass the filter, with their minutes. Several of a minute and a split are there only if they add up."""
    for start, deployment, figures in _by_deployment(metric, query, minutes):
        for others, value in metric.split(figures).items():
            dimensions = (deployment, *others) if metric.by_deployment else others
            of_metric = dict(zip((each.lower() for each in metric.dimensions), dimensions, strict=False))
            if all(ANY in wanted or of_metric[name].lower() in wanted for name, wanted in query.filter.items()):
                yield start, tuple(of_metric[name] for name in query.filter), value


def _by_deployment(
    metric: Metric, query: MetricQuery, minutes: Iterable[Minute]
) -> Iterator[tuple[float, str, Figures]]:
    """The figures that values are made of: each deployment's, or merged where the filter does not part them."""
    if metric.adds_up or "deployment" in query.filter:
        yield from ((each.start, each.deployment, each.figures) for each in minutes)
        return
    by_start: dict[float, list[Figures]] = {}
    for each in minutes:
        by_start.setdefault(each.start, []).append(each.figures)
    yield from ((start, "", merged(each)) for start, each in by_start.items())


def _datum(point: Point, aggregations: Iterable[str]) -> Json:
    datum: Json = {"timeStamp": _time(point.start)}
    if point.values:
        total, number = sum(point.values), len(point.values)
        every = {"average": total / number, "minimum": min(point.values), "maximum": max(point.values)}
        every |= {"total": total, "count": float(number)}
        datum |= {name: every[name] for name in aggregations}
    return datum


def _time(seconds: float) -> str:
    """As Azure Monitor writes it, without fractions unless there are some."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")
