"""Azure Monitor's metrics of endpoints and deployments: what is counted, Azure's form, errors and rights."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from .conftest import ControlPlane, Endpoint, NewEndpoint, Plane, until, workspace_id

ENDPOINTS = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
BY_CLASS = "deployment eq '*' and statusCodeClass eq '*' and modelStatusCode eq '*'"


def timespan() -> str:
    now = datetime.now(UTC)
    return f"{now - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}/{now + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"


def asked(endpoint: Endpoint, names: str, deployment: str = "", identity: str = "ann", **more: str) -> Any:
    """The answer of the metrics API, whatever its status."""
    path = endpoint.path + (f"/deployments/{deployment}" if deployment else "")
    query = {
        "api-version": "2023-10-01",
        "metricnames": names,
        "timespan": timespan(),
        "interval": "PT1M",
        "aggregation": "Average",
        **more,
    }
    return endpoint.plane.call("GET", f"{path}/providers/microsoft.insights/metrics", identity, params=query)


def series(answer: Any, metric: str) -> dict[tuple[str, ...], list[float]]:
    """The averages that there are, by the values of the dimensions."""
    assert answer.status_code == 200, answer.text
    (found,) = (each for each in answer.json()["value"] if each["name"]["value"] == metric)
    return {
        tuple(one["value"] for one in each["metadatavalues"]): [
            point["average"] for point in each["data"] if "average" in point
        ]
        for each in found["timeseries"]
    }


def requests(endpoint: Endpoint, filter_: str) -> dict[tuple[str, ...], float]:
    found = series(asked(endpoint, "RequestsPerMinute", **{"$filter": filter_}), "RequestsPerMinute")
    return {split: sum(values) for split, values in found.items()}


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[ControlPlane]:
    """Figures show at once; `reader` and others have a role each, `ann` may do everything."""
    workspace = workspace_id("ws-test")
    roles = [
        ("ann", "Contributor", "/subscriptions"),
        ("scientist", "AzureML Data Scientist", workspace),
        ("reader", "Reader", workspace),
        ("monitoring", "Monitoring Reader", f"{workspace}/onlineEndpoints/watched"),
        ("custom", "Metrics of endpoints", workspace),
    ]
    one = ControlPlane(
        tmp_path_factory.mktemp("azureml"),
        certificates,
        role_assignments=[{"principal": who, "role": role, "scope": scope} for who, role, scope in roles],
        custom_roles=[{"name": "Metrics of endpoints", "actions": ["Microsoft.Insights/metrics/*"]}],
        metrics={"delay_seconds": 0},
    )
    one.settings["role_assignments"] += [
        {"principal": "ann", "role": "Contributor", "scope": scope}
        for scope in (workspace, workspace_id("ws-dev"), "registries/contoso-ml")
    ]
    one.start()
    yield one
    one.stop()


@pytest.fixture
def watched(counting: ControlPlane, new_endpoint: NewEndpoint) -> Endpoint:
    """An endpoint with blue and green, made once for all tests of this file."""
    if counting.call("GET", f"{workspace_id('ws-test')}/onlineEndpoints/watched").status_code == 200:
        return new_endpoint(counting, "watched")
    endpoint = new_endpoint(counting, "watched")
    endpoint.deploy("blue", "old")
    endpoint.deploy("green", "new")
    endpoint.route(blue=100)
    key = endpoint.key()
    for _ in range(5):
        assert endpoint.score(key=key).status_code == 200
    for _ in range(2):
        assert endpoint.score("green", key=key, data="fail").status_code == 424
    assert endpoint.score(key="wrong").status_code == 401
    return endpoint


def test_requests_are_counted_by_deployment_status_and_the_models_status(watched: Endpoint) -> None:
    counted = requests(watched, BY_CLASS)
    assert counted == {("blue", "2xx", "200"): 5, ("green", "4xx", "500"): 2, ("", "4xx", ""): 1}
    assert requests(watched, "deployment eq 'green' and statusCode eq '*'") == {("green", "424"): 2}
    assert requests(watched, "deployment eq 'blue' or deployment eq 'green'") == {("blue",): 5, ("green",): 2}
    assert requests(watched, "(deployment eq 'BLUE' or deployment eq 'green') and statusCodeClass eq '4xx'") == {
        ("green", "4xx"): 2
    }
    assert requests(watched, "") == {(): 8}
    assert requests(watched, "deployment eq 'nobody'") == {}


def test_no_more_series_come_than_were_asked_for(watched: Endpoint) -> None:
    answer = asked(watched, "RequestsPerMinute", top="1", **{"$filter": "deployment eq '*'"})
    assert set(series(answer, "RequestsPerMinute")) == {("blue",)}


def test_an_answer_has_azures_form(watched: Endpoint) -> None:
    answer = asked(
        watched, "RequestsPerMinute", metricnamespace=ENDPOINTS.lower(), **{"$filter": "statusCode eq '200'"}
    )
    body = answer.json()
    assert (body["interval"], body["namespace"], body["resourceregion"]) == ("PT1M", ENDPOINTS, "westeurope")
    (metric,) = body["value"]
    assert metric["id"] == f"{watched.path}/providers/Microsoft.Insights/metrics/RequestsPerMinute"
    assert (metric["type"], metric["unit"], metric["errorCode"]) == ("Microsoft.Insights/metrics", "Count", "Success")
    (found,) = metric["timeseries"]
    # As Azure does it, names of dimensions come back in lower case.
    assert found["metadatavalues"] == [
        {"name": {"value": "statuscode", "localizedValue": "statuscode"}, "value": "200"}
    ]
    times = [datetime.fromisoformat(point["timeStamp"]) for point in found["data"]]
    assert all(time.second == 0 for time in times)
    assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(minutes=1)}
    assert len(times) >= 10
    empty = [point for point in found["data"] if "average" not in point]
    assert empty
    assert all(set(point) == {"timeStamp"} for point in empty)  # no value, which is not 0


def test_latencies_are_of_the_deployment_and_of_all_together(watched: Endpoint) -> None:
    names = ("RequestLatency", "RequestLatency_P50", "RequestLatency_P95", "RequestLatency_P99")
    answer = asked(watched, ",".join(names), **{"$filter": "deployment eq '*'"})
    for name in names:
        assert set(series(answer, name)) == {("blue",), ("green",)}
        assert all(value > 0 for values in series(answer, name).values() for value in values)
    half, most = (series(answer, name)[("blue",)] for name in ("RequestLatency_P50", "RequestLatency_P99"))
    assert all(lower <= upper for lower, upper in zip(half, most, strict=True))
    assert set(series(asked(watched, "RequestLatency"), "RequestLatency")) == {()}


def test_a_longer_interval_is_made_of_its_minutes(watched: Endpoint) -> None:
    answer = asked(watched, "RequestsPerMinute", interval="PT1H", aggregation="Total,Count,Maximum")
    data = answer.json()["value"][0]["timeseries"][0]["data"]
    assert len(data) == 1
    assert (data[0]["total"], "average" in data[0]) == (8, False)
    assert data[0]["maximum"] <= 8


def test_a_deployment_has_metrics_of_its_own(watched: Endpoint) -> None:
    answer = asked(watched, "RequestsPerMinute", "green", **{"$filter": "envoy_response_code eq '*'"})
    assert {split: sum(values) for split, values in series(answer, "RequestsPerMinute").items()} == {("424",): 2}
    assert answer.json()["namespace"] == f"{ENDPOINTS}/deployments"
    names = "CpuUtilizationPercentage,CpuMemoryUtilizationPercentage"

    def measured() -> Any:
        found = asked(watched, names, "blue")
        return all(series(found, name).get((), []) for name in names.split(",")) and found

    found = until(measured)
    assert all(0 <= value <= 100 for value in series(found, "CpuUtilizationPercentage")[()])
    assert all(0 < value < 100 for value in series(found, "CpuMemoryUtilizationPercentage")[()])


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (
            {"metricnames": "Requests"},
            "Failed to find metric configuration for provider: Microsoft.MachineLearningServices, resource Type:"
            " workspaces/onlineEndpoints, metric: Requests, Valid metrics: RequestsPerMinute,RequestLatency,",
        ),
        (
            {"metricnames": "RequestLatency", "$filter": "statusCode eq '*'"},
            "Metric: RequestLatency does not support requested dimension combination: statuscode, supported ones are:"
            " deployment",
        ),
        ({"interval": "PT10M"}, "Invalid time grain duration: PT10M, supported ones are: 00:01:00,"),
        (
            {"timespan": "2026-08-06T07:30:02 00:00/2026-08-06T08:30:02 00:00"},
            "Detected invalid time interval input: 2026-08-06T07:30:02 00:00/",
        ),
        ({"metricnamespace": "other"}, "Detect invalid value: other for query parameter: 'metricnamespace'"),
        ({"$filter": "deployment = 'blue'"}, "Invalid filter"),
        ({"$filter": "deployment eq 'a' or statusCode eq '200'"}, "Invalid filter"),
        ({"top": "all"}, "Invalid value for top: all"),
        ({"aggregation": "Median"}, "Invalid aggregation type: median"),
    ],
)
def test_what_azure_monitor_refuses_is_refused_in_its_words(
    watched: Endpoint, query: dict[str, str], words: str
) -> None:
    answer = asked(watched, query.pop("metricnames", "RequestsPerMinute"), **query)
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")  # without `error` around it
    assert words in answer.json()["message"]


def test_an_endpoint_that_is_not_there_has_no_metrics(watched: Endpoint) -> None:
    assert asked(watched, "RequestsPerMinute", "nobody").status_code == 404


@pytest.mark.parametrize(
    ("identity", "allowed"),
    [("scientist", False), ("stranger", False), ("reader", True), ("monitoring", True), ("custom", True)],
)
def test_metrics_need_a_right_that_a_data_scientist_lacks(watched: Endpoint, identity: str, allowed: bool) -> None:
    answer = asked(watched, "RequestsPerMinute", identity=identity)
    assert answer.status_code == (200 if allowed else 403), answer.text
    if not allowed:
        message = answer.json()["error"]["message"]
        assert f"action 'Microsoft.Insights/metrics/read' over scope '{watched.path}'" in message


def test_a_role_on_an_endpoint_says_nothing_about_others(watched: Endpoint) -> None:
    path = f"{workspace_id('ws-test')}/onlineEndpoints/watched-not/providers/Microsoft.Insights/metrics"
    assert watched.plane.call("GET", path, "monitoring").status_code == 403
    assert watched.plane.call("GET", watched.path, "custom").status_code == 403


def test_figures_show_after_the_delay_and_what_was_shown_survives_a_kill(
    plane: Plane, new_endpoint: NewEndpoint
) -> None:
    one = plane(metrics={"delay_seconds": 3, "minute_seconds": 1})
    endpoint = new_endpoint(one, "late")
    endpoint.deploy("blue", "old")
    key = endpoint.key()
    answer = endpoint.score("blue", key=key)
    done = datetime.now(UTC)
    assert answer.status_code == 200
    assert requests(endpoint, "") == {(): 0}
    until(lambda: requests(endpoint, "") == {(): 1})
    assert datetime.now(UTC) - done >= timedelta(seconds=2.5)
    found = asked(endpoint, "RequestsPerMinute").json()
    assert found["interval"] == "PT1S"  # a minute that lasts a second says so
    one.kill()
    one.start()
    assert requests(endpoint, "") == {(): 1}
