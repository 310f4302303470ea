"""What a restart finds: state, running deployments, and work that was under way when the process was killed."""

from azure.ai.ml import command
from azure.ai.ml.entities import Model

from .conftest import ControlPlane, Greeting, NewEndpoint, Plane, until, workspace_id
from .test_jobs import ended
from .test_registry import REGISTRY, start_import


def again(plane: ControlPlane, killed: bool) -> None:
    if killed:
        plane.kill()
    else:
        plane.stop()
    plane.start()


def test_deployments_come_back_with_keys_traffic_and_logs(plane: Plane, new_endpoint: NewEndpoint) -> None:
    one = plane()
    endpoint = new_endpoint(one, "lasting")
    endpoint.deploy("blue", "hello")
    endpoint.route(blue=100)
    key = endpoint.key()
    for killed in (False, True):
        again(one, killed)
        assert endpoint.score(key=key).json()["greeting"] == "hello"
        assert "ready for serving" in one.call("POST", f"{endpoint.path}/deployments/blue/getLogs").json()["content"]
    assert one.client("ws-test").models.get("lasting-hello", "1").version == "1"


def test_what_was_under_way_at_the_kill_is_done_after_it(
    plane: Plane, new_endpoint: NewEndpoint, greeting: Greeting
) -> None:
    one = plane(deployment_seconds=1.5)
    endpoint = new_endpoint(one, "interrupted")
    one.client().models.create_or_update(Model(name="iris", version="1", path=greeting("hi")))
    endpoint.begin("blue", "hello")
    location = start_import(one, "iris", "1").headers["Location"]
    one.client("ws-test").online_endpoints.begin_create_or_update(
        one.client("ws-test").online_endpoints.get("interrupted")
    )
    again(one, killed=True)
    assert endpoint.state("blue") == "Creating"
    until(lambda: one.call("GET", location).status_code == 204)
    assert one.call("GET", f"{REGISTRY}/models/iris/versions/1").status_code == 200
    until(lambda: endpoint.state() == "Succeeded")
    until(lambda: endpoint.state("blue") == "Succeeded")
    assert endpoint.score("blue").json()["greeting"] == "hello"


def test_a_job_that_ran_at_the_kill_fails_in_words(plane: Plane) -> None:
    one = plane()
    one.client().jobs.create_or_update(
        command(name="long", command="sleep 60", environment="azureml://registries/azureml/environments/e/versions/1")
    )
    until(lambda: one.call("GET", f"{workspace_id('ws-dev')}/jobs/long").json()["properties"]["status"] == "Running")
    again(one, killed=True)
    assert ended(one, "long") == "Failed"
    details = one.call("GET", f"/history/v1.0{workspace_id('ws-dev')}/runs/long/details").json()
    assert "The job was interrupted" in details["error"]["error"]["message"]
