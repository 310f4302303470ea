"""Mirrored traffic: what is copied, what is not, and that no caller notices."""

import pytest

from .conftest import ControlPlane, Endpoint, NewEndpoint, Plane, until
from .test_metrics import requests

BY_DEPLOYMENT = "deployment eq '*' and statusCode eq '*'"


def mirror(endpoint: Endpoint, percent: int, **traffic: int) -> None:
    client = endpoint.client
    found = client.online_endpoints.get(endpoint.name)
    found.traffic, found.mirror_traffic = traffic, {"green": percent} if percent else {}
    client.online_endpoints.begin_create_or_update(found)
    until(lambda: endpoint.state() == "Succeeded")


@pytest.fixture
def one(plane: Plane) -> ControlPlane:
    return plane(metrics={"delay_seconds": 0})


@pytest.fixture
def endpoint(one: ControlPlane, new_endpoint: NewEndpoint) -> Endpoint:
    found = new_endpoint(one, "mirrored")
    found.deploy("blue", "old")
    found.deploy("green", "new")
    return found


def test_the_share_of_live_requests_is_copied_and_their_answers_are_thrown_away(endpoint: Endpoint) -> None:
    mirror(endpoint, 50, blue=100)
    assert endpoint.client.online_endpoints.get("mirrored").mirror_traffic == {"green": 50}
    key = endpoint.key()
    for _ in range(40):
        answer = endpoint.score(key=key)
        assert (answer.json()["greeting"], answer.headers["azureml-model-deployment"]) == ("old", "blue")

    def copies() -> float:
        return requests(endpoint, BY_DEPLOYMENT).get(("green", "200"), 0)

    until(lambda: copies() >= 5)
    assert requests(endpoint, BY_DEPLOYMENT)["blue", "200"] == 40
    mirror(endpoint, 0, blue=100)
    before = copies()
    assert before <= 38  # of 40, half of them on average
    for _ in range(10):
        endpoint.score(key=key)
    assert requests(endpoint, BY_DEPLOYMENT)["blue", "200"] == 50
    assert copies() == before


def test_a_request_that_names_its_deployment_is_not_copied(endpoint: Endpoint) -> None:
    mirror(endpoint, 50, blue=100)
    key = endpoint.key()
    for _ in range(20):
        assert endpoint.score("blue", key=key).status_code == 200
    mirror(endpoint, 0, blue=100)
    assert requests(endpoint, BY_DEPLOYMENT) == {("blue", "200"): 20}


def test_a_mirror_that_fails_is_seen_in_its_figures_alone(endpoint: Endpoint) -> None:
    mirror(endpoint, 50, blue=100)
    endpoint.plane.fault("crash", match={"path": "*/deployments/green"}, count=None)
    key = endpoint.key()
    assert {endpoint.score(key=key).status_code for _ in range(20)} == {200}
    until(lambda: requests(endpoint, BY_DEPLOYMENT).get(("green", "503")))
    assert requests(endpoint, "deployment eq 'blue' and statusCodeClass eq '*'") == {("blue", "2xx"): 20}


def test_copies_may_be_left_out_of_the_figures(plane: Plane, new_endpoint: NewEndpoint) -> None:
    one = plane(metrics={"delay_seconds": 0, "counts_mirrored": False})
    endpoint = new_endpoint(one, "uncounted")
    endpoint.deploy("blue", "old")
    endpoint.deploy("green", "new")
    mirror(endpoint, 50, blue=100)
    key = endpoint.key()
    for _ in range(20):
        endpoint.score(key=key)
    until(lambda: "POST /score 200" in _log(endpoint))
    assert requests(endpoint, BY_DEPLOYMENT) == {("blue", "200"): 20}


def _log(endpoint: Endpoint) -> str:
    return str(endpoint.client.online_deployments.get_logs("green", endpoint.name, lines=100))
