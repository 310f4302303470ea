"""Online endpoints and deployments: the long-running protocol, scoring, traffic, failures and conflicts."""

import time
import zlib

import pytest
from azure.ai.ml.entities import DataCollector, DeploymentCollection
from azure.core.exceptions import HttpResponseError

from .conftest import ControlPlane, Endpoint, NewEndpoint, Plane, until, workspace_id


@pytest.fixture
def endpoint(cloud: ControlPlane, new_endpoint: NewEndpoint, request: pytest.FixtureRequest) -> Endpoint:
    return new_endpoint(cloud, f"e{zlib.crc32(request.node.name.encode())}")


def test_endpoint_is_created_in_the_background(cloud: ControlPlane) -> None:
    path = f"{workspace_id('ws-test')}/onlineEndpoints/in-background"
    created = cloud.call("PUT", path, json={"location": "westeurope", "properties": {"authMode": "Key"}})
    assert created.status_code == 201
    assert created.json()["properties"]["provisioningState"] == "Creating"
    assert created.json()["properties"]["scoringUri"] is None
    assert cloud.call("GET", created.headers["Azure-AsyncOperation"]).json()["status"] == "Updating"
    again = cloud.call("PUT", path, json={"properties": {}})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "Conflict")
    ended = until(lambda: (got := cloud.call("GET", path).json())["properties"]["scoringUri"] and got)
    assert ended["properties"]["provisioningState"] == "Succeeded"
    assert cloud.call("GET", created.headers["Azure-AsyncOperation"]).json()["status"] == "Succeeded"


def test_the_sdk_waits_for_a_deployment_and_invokes_it(endpoint: Endpoint) -> None:
    endpoint.begin("blue", "hello")
    assert endpoint.state("blue") == "Creating"
    until(lambda: endpoint.state("blue") == "Succeeded")
    client = endpoint.client
    deployment = client.online_deployments.get("blue", endpoint.name)
    assert deployment.instance_count == 1
    assert "ready for serving" in client.online_deployments.get_logs("blue", endpoint.name, lines=50)
    assert [one.name for one in client.online_deployments.list(endpoint.name)] == ["blue"]
    answer = endpoint.score("blue")
    assert answer.json() == {"greeting": "hello", "rows": 2}
    assert answer.headers["azureml-model-deployment"] == "blue"


def test_scoring_needs_the_key_and_a_deployment_with_traffic(endpoint: Endpoint) -> None:
    endpoint.deploy("blue", "hello")
    assert endpoint.score("blue", key="wrong").status_code == 401
    assert endpoint.score().status_code == 404
    assert endpoint.score("green").status_code == 404
    endpoint.route(blue=100)
    assert endpoint.score().json()["greeting"] == "hello"


def test_a_failing_model_is_a_424_that_tells_what_the_container_answered(endpoint: Endpoint) -> None:
    endpoint.deploy("blue", "hello")
    answer = endpoint.score("blue", data="fail")
    assert (answer.status_code, answer.headers["ms-azureml-model-error-statuscode"]) == (424, "500")


def test_traffic_is_split_by_weight(endpoint: Endpoint) -> None:
    endpoint.deploy("blue", "old")
    endpoint.deploy("green", "new")
    endpoint.route(blue=50, green=50)
    greetings = [endpoint.score(key=key).json()["greeting"] for key in [endpoint.key()] * 40]
    assert set(greetings) == {"old", "new"}
    endpoint.route(blue=0, green=100)
    assert {endpoint.score().json()["greeting"] for _ in range(5)} == {"new"}


def test_an_update_shows_the_traffic_before_it_until_it_is_done(endpoint: Endpoint) -> None:
    endpoint.deploy("blue", "old")
    endpoint.deploy("green", "new")
    endpoint.route(blue=100)
    call = endpoint.plane.call
    updated = call("PUT", endpoint.path, json={"tags": {"by": "ann"}, "properties": {"traffic": {"green": 100}}})
    assert updated.status_code == 201
    assert updated.headers["Location"].partition("?")[0] == endpoint.plane.base_url + endpoint.path
    assert "Retry-After" not in updated.headers
    for shown in (updated.json(), endpoint.get()):
        assert shown["properties"]["provisioningState"] == "Updating"
        assert shown["properties"]["traffic"] == {"blue": 100}
    under_way = call("GET", updated.headers["Azure-AsyncOperation"])
    assert (under_way.json()["status"], under_way.json()["percentComplete"]) == ("Updating", 0.0)
    assert "Retry-After" not in under_way.headers
    assert endpoint.score().json()["greeting"] == "old"
    until(lambda: endpoint.state() == "Succeeded")
    assert endpoint.get()["properties"]["traffic"] == {"green": 100}
    done = call("GET", updated.headers["Azure-AsyncOperation"]).json()
    assert (done["status"], done["percentComplete"]) == ("Succeeded", 100.0)
    assert endpoint.score().json()["greeting"] == "new"


def test_a_deployment_that_is_being_deleted_takes_no_traffic_any_more(endpoint: Endpoint) -> None:
    endpoint.deploy("blue", "hello")
    deleted = endpoint.plane.call("DELETE", f"{endpoint.path}/deployments/blue")
    assert (deleted.status_code, deleted.json()) == (202, None)
    assert "Retry-After" not in deleted.headers
    answer = endpoint.plane.call("PUT", endpoint.path, json={"properties": {"traffic": {"blue": 100}}})
    assert answer.status_code == 400
    assert "cannot take traffic, its state is Deleting" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("traffic", "words"),
    [
        ({"blue": 50}, "sum to 0 or 100"),
        ({"nobody": 100}, "does not exist"),
        ({"blue": 150, "green": -50}, "from 0 to 100"),
    ],
)
def test_traffic_that_azure_would_refuse_is_refused(
    cloud: ControlPlane, new_endpoint: NewEndpoint, traffic: dict[str, int], words: str
) -> None:
    path = f"{workspace_id('ws-test')}/onlineEndpoints/traffic-rules"
    if cloud.call("GET", path).status_code == 404:
        new_endpoint(cloud, "traffic-rules").deploy("blue", "hello")
    answer = cloud.call("PUT", path, json={"properties": {"traffic": traffic}})
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


def test_a_deployment_with_traffic_cannot_be_deleted_and_one_without_is_gone_at_last(endpoint: Endpoint) -> None:
    endpoint.deploy("blue", "hello")
    endpoint.route(blue=100)
    client = endpoint.client
    with pytest.raises(HttpResponseError, match="non-zero traffic weight"):
        client.online_deployments.begin_delete("blue", endpoint.name)
    endpoint.route(blue=0)
    client.online_deployments.begin_delete("blue", endpoint.name)
    path = f"{endpoint.path}/deployments/blue"
    until(lambda: endpoint.plane.call("GET", path).status_code == 404)
    assert endpoint.plane.call("DELETE", path).status_code == 204
    assert endpoint.score("blue").status_code == 404
    assert endpoint.get()["properties"]["traffic"] == {}


def test_an_endpoint_is_deleted_with_its_deployments(endpoint: Endpoint) -> None:
    endpoint.deploy("blue", "hello")
    uri = endpoint.get()["properties"]["scoringUri"]
    endpoint.client.online_endpoints.begin_delete(endpoint.name)
    until(lambda: endpoint.plane.call("GET", endpoint.path).status_code == 404)
    assert endpoint.plane.call("GET", f"{endpoint.path}/deployments/blue").status_code == 404
    assert endpoint.plane.session.post(uri, data="{}").status_code == 404


def test_a_crash_in_init_fails_the_deployment_and_leaves_its_logs(endpoint: Endpoint) -> None:
    endpoint.begin("red", "crash")
    until(lambda: endpoint.state("red") == "Failed")
    assert endpoint.error("red")["code"] == "ResourceNotReady"
    assert "User container has crashed or terminated" in endpoint.error("red")["message"]
    logs = endpoint.client.online_deployments.get_logs("red", endpoint.name, lines=100)
    assert "the greeting is not for reading" in logs
    refused = endpoint.plane.call("PUT", endpoint.path, json={"properties": {"traffic": {"red": 100}}})
    assert "cannot take traffic" in refused.json()["error"]["message"]
    endpoint.client.online_deployments.begin_delete("red", endpoint.name)
    until(lambda: endpoint.plane.call("GET", f"{endpoint.path}/deployments/red").status_code == 404)


def test_an_update_that_fails_leaves_the_old_one_serving(endpoint: Endpoint) -> None:
    endpoint.deploy("blue", "old")
    endpoint.route(blue=100)
    endpoint.begin("blue", "crash")
    until(lambda: endpoint.state("blue") == "Failed")
    assert endpoint.score().json()["greeting"] == "old"


def test_a_missing_asset_fails_the_deployment_with_its_id(endpoint: Endpoint) -> None:
    missing = "azureml://registries/contoso-ml/models/nobody/versions/1"
    endpoint.begin("blue", "", model=missing)
    until(lambda: endpoint.state("blue") == "Failed")
    assert endpoint.error("blue") == {
        "code": "ModelRegistryError",
        "message": f"Could not find asset with ID: {missing}",
    }


def test_what_is_under_way_cannot_be_changed(endpoint: Endpoint) -> None:
    endpoint.begin("blue", "hello")
    path = f"{endpoint.path}/deployments/blue"
    for method, target in (("PUT", path), ("DELETE", path), ("DELETE", endpoint.path)):
        answer = endpoint.plane.call(method, target, json={"properties": {}})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "Conflict"), (method, target)
    until(lambda: endpoint.state("blue") == "Succeeded")


def test_names_that_azure_refuses_are_refused(cloud: ControlPlane) -> None:
    answer = cloud.call("PUT", f"{workspace_id('ws-test')}/onlineEndpoints/1st", json={"properties": {}})
    assert answer.status_code == 400
    assert "a letter first" in answer.json()["error"]["message"]


def test_a_deployment_without_an_environment_is_refused_unless_its_model_needs_none(endpoint: Endpoint) -> None:
    properties = {
        "model": endpoint.model("bare"),
        "codeConfiguration": {"codeId": "azureml:code:1", "scoringScript": "score.py"},
    }
    answer = endpoint.plane.call("PUT", f"{endpoint.path}/deployments/blue", json={"properties": properties})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")
    assert "An environment is required" in answer.json()["error"]["message"]
    assert endpoint.plane.call("GET", f"{endpoint.path}/deployments/blue").status_code == 404


def test_every_collection_of_the_data_collector_is_taken(endpoint: Endpoint) -> None:
    kinds = ("request", "response", "model_inputs", "model_outputs")
    collector = DataCollector({kind: DeploymentCollection(enabled="True") for kind in kinds}, rolling_rate="hour")
    endpoint.begin("blue", "hello", data_collector=collector)
    until(lambda: endpoint.state("blue") == "Succeeded")
    kept = endpoint.get("blue")["properties"]["dataCollector"]["collections"]
    assert set(kept) == set(kinds)
    for kind in kinds:
        assert kept[kind]["dataCollectionMode"] == "Enabled"
        data = endpoint.client.data.get(f"{endpoint.name}-blue-{kind}", "1")
        assert data.path.endswith(f"/modelDataCollector/{endpoint.name}/blue/{kind}/")


def test_an_update_of_traffic_takes_its_time_and_keeps_everything_else_out(
    plane: Plane, new_endpoint: NewEndpoint
) -> None:
    one = plane(endpoint_update_seconds=2)
    endpoint = new_endpoint(one, "slow-update")
    endpoint.deploy("blue", "old")
    endpoint.deploy("green", "new")
    endpoint.route(blue=100)
    key, began = endpoint.key(), time.monotonic()
    one.fault("stalled", match={"path": endpoint.path}, count=None)
    moved = {"properties": {"traffic": {"green": 100}}}
    assert one.call("PUT", endpoint.path, json=moved).status_code == 201
    for method, path in (
        ("PUT", endpoint.path),
        ("DELETE", endpoint.path),
        ("PUT", f"{endpoint.path}/deployments/red"),
        ("DELETE", f"{endpoint.path}/deployments/blue"),
    ):
        answer = one.call(method, path, json={"properties": {}})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "Conflict"), (method, path)
    assert endpoint.state() == "Updating"
    assert endpoint.score(key=key).json()["greeting"] == "old"
    assert endpoint.get()["properties"]["traffic"] == {"blue": 100}
    one.call("DELETE", "/local/faults")
    until(lambda: endpoint.state() == "Succeeded")
    assert time.monotonic() - began >= 2
    assert endpoint.score(key=key).json()["greeting"] == "new"
