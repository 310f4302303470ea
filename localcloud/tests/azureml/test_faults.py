"""Faults that are switched on for a test: each strikes as often as it is told, and only what it is meant for."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from .conftest import ControlPlane, NewEndpoint, Plane, until, workspace_id

MODELS = f"{workspace_id('ws-dev')}/models"


@pytest.fixture
def faulty(cloud: ControlPlane) -> ControlPlane:
    """The shared control plane; the faults are switched off before."""
    assert cloud.call("DELETE", "/local/faults").status_code == 204
    return cloud


def test_throttling_tells_how_long_to_wait_and_ends_after_its_count(faulty: ControlPlane) -> None:
    faulty.fault("throttling", count=2, retry_after=7, match={"path": "*/models"})
    answers = [faulty.call("GET", MODELS) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "7"
    assert answers[0].json()["error"]["code"] == "TooManyRequests"


@pytest.mark.parametrize(("kind", "status"), [("error", 500), ("busy", 409)])
def test_errors_have_azures_shape(faulty: ControlPlane, kind: str, status: int) -> None:
    faulty.fault(kind)
    answer = faulty.call("GET", MODELS)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert faulty.call("GET", MODELS).status_code == 200


def test_a_slow_answer_comes_late(faulty: ControlPlane) -> None:
    faulty.fault("slow", seconds=0.4)
    began = time.monotonic()
    assert faulty.call("GET", MODELS).status_code == 200
    assert time.monotonic() - began >= 0.4


@pytest.mark.parametrize("path", ["/local/faults/{number}", "/local/faults"])
def test_a_late_answer_comes_as_soon_as_its_fault_is_removed(faulty: ControlPlane, path: str) -> None:
    faulty.fault("late_answer", seconds=600, match={"path": "*/models"})
    [number] = [one["number"] for one in faulty.call("GET", "/local/faults").json()["value"]]
    with ThreadPoolExecutor() as threads:
        late = threads.submit(faulty.call, "GET", MODELS)
        until(lambda: faulty.call("GET", "/local/faults").json()["value"] == [])
        assert not late.done()
        assert faulty.call("DELETE", path.format(number=number)).status_code == 204
        assert late.result(timeout=60).status_code == 200
    assert faulty.call("DELETE", f"/local/faults/{number}").status_code == 404


def test_a_fault_strikes_only_what_it_matches(faulty: ControlPlane) -> None:
    faulty.fault("error", match={"workspace": "ws-test", "method": "GET", "path": "*/models*"})
    assert faulty.call("GET", MODELS).status_code == 200
    other = MODELS.replace(workspace_id("ws-dev"), workspace_id("ws-test"))
    assert faulty.call("PUT", f"{other}/m/versions/1", json={"properties": {}}).status_code == 201
    assert faulty.call("GET", other.replace("models", "environments")).status_code == 200
    assert faulty.call("GET", other).status_code == 500


def test_faults_are_listed_and_removed(faulty: ControlPlane) -> None:
    faulty.fault("error", count=None)
    assert [faulty.call("GET", MODELS).status_code for _ in range(3)] == [500] * 3
    (listed,) = faulty.call("GET", "/local/faults").json()["value"]
    assert (listed["kind"], listed["count"]) == ("error", None)
    assert faulty.call("DELETE", f"/local/faults/{listed['number']}").status_code == 204
    assert faulty.call("GET", MODELS).status_code == 200
    assert faulty.call("DELETE", f"/local/faults/{listed['number']}").status_code == 404


def test_a_fault_that_is_none_is_refused_in_words(faulty: ControlPlane) -> None:
    answer = faulty.call("POST", "/local/faults", json={"kind": "earthquake", "often": 3})
    assert answer.status_code == 400
    assert "kind" in answer.json()["error"]["message"]
    assert "often" in answer.json()["error"]["message"]


def test_out_of_quota_fails_one_deployment(faulty: ControlPlane, new_endpoint: NewEndpoint) -> None:
    endpoint = new_endpoint(faulty, "quota")
    faulty.fault("out_of_quota", match={"path": "*/quota/deployments/blue"})
    endpoint.begin("blue", "hello")
    until(lambda: endpoint.state("blue") == "Failed")
    assert endpoint.error("blue")["code"] == "OutOfQuota"
    assert "Not enough subscription CPU quota" in endpoint.error("blue")["message"]
    endpoint.begin("blue", "hello")
    until(lambda: endpoint.state("blue") == "Succeeded")


def test_a_crashed_container_is_started_again(faulty: ControlPlane, new_endpoint: NewEndpoint) -> None:
    endpoint = new_endpoint(faulty, "crashes")
    endpoint.deploy("blue", "hello")
    faulty.fault("crash", match={"path": "*/crashes/*"})
    assert faulty.call("GET", "/local/faults").json()["value"] == []
    assert endpoint.score("blue").status_code == 503
    until(lambda: endpoint.score("blue").status_code == 200)
    assert endpoint.state("blue") == "Succeeded"


def test_a_crash_waits_for_a_deployment_to_strike(faulty: ControlPlane, new_endpoint: NewEndpoint) -> None:
    endpoint = new_endpoint(faulty, "crashes-later")
    faulty.fault("crash", match={"path": "*/crashes-later/*"})
    endpoint.begin("blue", "hello")
    until(lambda: faulty.call("GET", "/local/faults").json()["value"] == [])
    until(lambda: endpoint.score("blue").status_code == 200)


def test_faults_of_the_configuration_are_on_from_the_start(plane: Plane) -> None:
    one = plane(faults=[{"kind": "error", "match": {"path": "*/models"}}])
    assert [one.call("GET", MODELS).status_code for _ in range(2)] == [500, 200]


def test_calls_are_logged_with_who_made_them(cloud: ControlPlane) -> None:
    since = time.time()
    cloud.call("GET", f"{MODELS}/some%20body/versions/1", identity="counted")
    (call,) = cloud.call("GET", f"/local/requests?since={since}").json()["value"]
    assert call.pop("time") > since
    assert 0 < call.pop("seconds") < time.time() - since
    assert call == {
        "method": "GET",
        "path": "/workspaces/ws-dev/models/some body/versions/1",
        "operation": "/workspaces/*/models/*/versions/*",
        "status": 404,
        "identity": "counted",
    }
