"""The metrics that Azure Monitor has of online endpoints and of their deployments, and how each is made of figures."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from localcloud.azureml.traffic_figures import Figures

ENDPOINTS = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
DEPLOYMENTS = f"{ENDPOINTS}/deployments"
CPU, MEMORY = "CpuUtilizationPercentage", "CpuMemoryUtilizationPercentage"
#: The instance that measurements are of: one process stands for all instances of a deployment here.
INSTANCE = "instance-0"

#: Values by the values of the metric's dimensions, in their order.
Values = Mapping[tuple[str, ...], float]


@dataclass(frozen=True)
class Metric:
    """`split` makes its values in one minute of a deployment's figures; those of several deployments may be merged
    before, so it does not know the dimension `deployment`."""

    name: str
    unit: str
    dimensions: tuple[str, ...]
    split: Callable[[Figures], Values]
    #: Whether its first dimension is the deployment.
    by_deployment: bool = False
    #: Whether values of several series of a minute add up; else their figures must be merged before.
    adds_up: bool = False


def _requests(figures: Figures) -> Values:
    values: Counter[tuple[str, ...]] = Counter()
    for (status, model_status), number in figures.requests.items():
        values[status, f"{status[0]}xx", model_status] += number
    return values


def _requests_by_code(figures: Figures) -> Values:
    values: Counter[tuple[str, ...]] = Counter()
    for (status, _), number in figures.requests.items():
        values[(status,)] += number
    return values


def _mean_latency(figures: Figures) -> Values:
    mean = figures.mean_latency()
    return {} if mean is None else {(): mean}


def _latency(quantile: float) -> Callable[[Figures], Values]:
    def split(figures: Figures) -> Values:
        value = figures.latency(quantile)
        return {} if value is None else {(): value}

    return split


def _measured(name: str) -> Callable[[Figures], Values]:
    def split(figures: Figures) -> Values:
        total, number = figures.measured.get(name, (0.0, 0))
        return {(INSTANCE,): total / number} if number else {}

    return split


def _network_bytes(figures: Figures) -> Values:
    return {(): figures.bytes / 60} if figures.bytes else {}


def _nothing(_: Figures) -> Values:
    """Of a metric that Azure has and that is not measured here."""
    return {}


_QUANTILES = {"P50": 0.5, "P90": 0.9, "P95": 0.95, "P99": 0.99}
_DEPLOYMENT = ("deployment",)

_OF_ENDPOINTS = (
    Metric(
        "RequestsPerMinute",
        "Count",
        ("deployment", "statusCode", "statusCodeClass", "modelStatusCode"),
        _requests,
        by_deployment=True,
        adds_up=True,
    ),
    Metric("RequestLatency", "MilliSeconds", _DEPLOYMENT, _mean_latency, by_deployment=True),
    *(
        Metric(f"RequestLatency_{name}", "MilliSeconds", _DEPLOYMENT, _latency(quantile), by_deployment=True)
        for name, quantile in _QUANTILES.items()
    ),
    Metric("ConnectionsActive", "Count", (), _nothing),
    Metric("NewConnectionsPerSecond", "CountPerSecond", (), _nothing),
    Metric("NetworkBytes", "BytesPerSecond", (), _network_bytes, adds_up=True),
    Metric("DataCollectionEventsPerMinute", "Count", ("deployment", "type"), _nothing, by_deployment=True),
    Metric("DataCollectionErrorsPerMinute", "Count", ("deployment", "type", "reason"), _nothing, by_deployment=True),
)
_OF_DEPLOYMENTS = (
    Metric(CPU, "Percent", ("instanceId",), _measured(CPU)),
    Metric(MEMORY, "Percent", ("instanceId",), _measured(MEMORY)),
    *(
        Metric(name, "Percent", ("instanceId",), _nothing)
        for name in ("DiskUtilization", "GpuUtilizationPercentage", "GpuMemoryUtilizationPercentage")
    ),
    Metric("DeploymentCapacity", "Count", ("instanceId", "State"), _nothing),
    *(Metric(f"RequestLatency_{name}", "MilliSeconds", (), _latency(each)) for name, each in _QUANTILES.items()),
    Metric("RequestsPerMinute", "Count", ("envoy_response_code",), _requests_by_code, adds_up=True),
)
#: By namespace and by name in lower case, in the order in which Azure lists them.
METRICS = {
    namespace: {metric.name.lower(): metric for metric in metrics}
    for namespace, metrics in ((ENDPOINTS, _OF_ENDPOINTS), (DEPLOYMENTS, _OF_DEPLOYMENTS))
}
