"""What a job needs before it runs: assets and a compute that are there, a place on it, and a built image."""

import math
import time
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from azure.ai.ml import Input, command
from azure.ai.ml.entities import Environment
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from .conftest import ControlPlane, Plane, until, workspace_id
from .test_jobs import ended, metrics, state

WORKSPACE = workspace_id("ws-dev")
REGISTRY = "azureml://registries/contoso-ml"


@pytest.fixture(scope="module")
def environment(cloud: ControlPlane) -> str:
    cloud.client().environments.create_or_update(Environment(name="evaluation", version="1", image="image"))
    return "azureml:evaluation:1"


def submit(cloud: ControlPlane, name: str, **properties: Any) -> Any:
    body = {"properties": {"jobType": "Command", "command": "true", **properties}}
    return cloud.call("PUT", f"{WORKSPACE}/jobs/{name}", json=body)


def failure(cloud: ControlPlane, job: str) -> str:
    details = cloud.call("GET", f"/history/v1.0{WORKSPACE}/runs/{job}/details").json()
    return str(details["error"]["error"]["message"])


@pytest.mark.parametrize(
    "properties",
    [
        {"environmentId": f"{REGISTRY}/environments/none/versions/1"},
        {"codeId": f"{WORKSPACE}/codes/none/versions/1"},
        {"inputs": {"x": {"jobInputType": "custom_model", "uri": f"{REGISTRY}/models/none/versions/1"}}},
        {"inputs": {"x": {"jobInputType": "uri_folder", "uri": f"{WORKSPACE}/data/none/versions/1"}}},
        {"jobType": "Pipeline", "jobs": {"node": {"componentId": f"{REGISTRY}/components/none/versions/1"}}},
    ],
    ids=("environment", "code", "model", "data", "component of a node"),
)
def test_a_job_that_names_what_is_not_there_is_refused_and_not_kept(
    cloud: ControlPlane, properties: dict[str, Any]
) -> None:
    answer = submit(cloud, "names-nothing", **properties)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "UserError")
    assert "/none/versions/1" in answer.json()["error"]["message"]
    assert cloud.call("GET", f"{WORKSPACE}/jobs/names-nothing").status_code == 404


def test_a_compute_that_the_workspace_does_not_have_is_not_found_and_no_job_runs_on_it(plane: Plane) -> None:
    one = plane(workspaces=[{"id": WORKSPACE, "computes": ["cpu"]}])
    client = one.client()
    assert [compute.name for compute in client.compute.list()] == ["cpu"]
    with pytest.raises(ResourceNotFoundError, match="gpu"):
        client.compute.get("gpu")
    for properties in (
        {"computeId": f"{WORKSPACE}/computes/gpu"},
        {"jobType": "Pipeline", "settings": {"default_compute": f"{WORKSPACE}/computes/gpu"}},
        {"jobType": "Pipeline", "jobs": {"node": {"computeId": f"{WORKSPACE}/computes/gpu"}}},
    ):
        answer = submit(one, "on-gpu", **properties)
        assert (answer.status_code, "gpu" in answer.text) == (400, True)
    for compute in ("cpu", "serverless"):
        assert submit(one, f"on-{compute}", computeId=f"{WORKSPACE}/computes/{compute}").status_code == 201
    assert submit(one, "on-nothing").status_code == 201


def test_a_job_that_finds_no_place_stays_in_the_queue_until_there_is_one(cloud: ControlPlane, environment: str) -> None:
    cloud.fault("queueing", match={"path": "*/jobs/waits-*"})
    (fault,) = cloud.call("GET", "/local/faults").json()["value"]
    jobs = cloud.client().jobs
    for name in ("waits-for-ever", "waits-a-while"):
        jobs.create_or_update(command(name=name, command="true", environment=environment))
    jobs.create_or_update(command(name="goes-first", command="true", environment=environment))
    assert ended(cloud, "goes-first") == "Completed"
    assert [state(cloud, name) for name in ("waits-for-ever", "waits-a-while")] == ["Queued", "Queued"]
    jobs.begin_cancel("waits-for-ever")
    assert ended(cloud, "waits-for-ever") == "Canceled"
    cloud.call("DELETE", f"/local/faults/{fault['number']}")
    assert ended(cloud, "waits-a-while") == "Completed"


def test_a_job_without_quota_fails_in_words(cloud: ControlPlane, environment: str) -> None:
    cloud.fault("out_of_quota", match={"path": "*/jobs/without-quota"})
    cloud.client().jobs.create_or_update(command(name="without-quota", command="true", environment=environment))
    assert ended(cloud, "without-quota") == "Failed"
    assert "Not enough subscription CPU quota" in failure(cloud, "without-quota")


def test_cancelling_answers_202_until_it_is_done_and_then_200(cloud: ControlPlane, environment: str) -> None:
    cloud.client().jobs.create_or_update(command(name="cancelled", command="sleep 300", environment=environment))
    until(lambda: state(cloud, "cancelled") == "Running")
    location = cloud.call("POST", f"{WORKSPACE}/jobs/cancelled/cancel").headers["Location"]
    first = cloud.call("GET", location)
    assert (first.status_code, first.json()) == (202, {})
    assert until(lambda: (status := cloud.call("GET", location).status_code) != 202 and status) == 200
    assert state(cloud, "cancelled") == "Canceled"


def test_a_cancellation_takes_its_time_and_the_job_says_so_meanwhile(plane: Plane) -> None:
    one = plane(cancellation_seconds=5)
    one.fault("queueing", match={"path": "*/jobs/in-the-queue"}, count=None)
    submit(one, "running", command="sleep 300").raise_for_status()
    submit(one, "in-the-queue").raise_for_status()
    until(lambda: state(one, "running") == "Running")
    began = time.monotonic()
    locations = [
        one.call("POST", f"{WORKSPACE}/jobs/{name}/cancel").headers["Location"] for name in ("running", "in-the-queue")
    ]
    for name in ("running", "in-the-queue"):
        until(lambda: state(one, name) == "CancelRequested")  # noqa: B023 - it is called here
    one.call("DELETE", "/local/faults")  # what may start now does not, since it is being cancelled
    for location in locations:
        until(lambda: one.call("GET", location).status_code == 200)  # noqa: B023
    assert [state(one, name) for name in ("running", "in-the-queue")] == ["Canceled", "Canceled"]
    assert time.monotonic() - began >= 5


def test_jobs_are_listed_by_type_by_tag_and_page_by_page(plane: Plane) -> None:
    one = plane()
    for number in range(102):
        tags = {"even": str(number)} if number % 2 == 0 else {}
        submit(one, f"job-{number}", jobType="Pipeline", tags=tags).raise_for_status()
    submit(one, "the-command").raise_for_status()

    def listed(**query: str) -> list[list[str]]:
        pages, following = [], f"{WORKSPACE}/jobs?{urlencode(query)}"
        while following:
            body = one.call("GET", following).json()
            pages.append([job["name"] for job in body["value"]])
            following = body.get("nextLink", "")
        return pages

    assert listed(jobType="Command") == [["the-command"]]
    assert listed(tag="even") == [[f"job-{number}" for number in range(100, -1, -2)]]
    assert [len(page) for page in listed()] == [100, 3]
    assert len({job.name for job in one.client().jobs.list()}) == 103


def test_a_metric_that_is_not_a_number_is_reported_as_such(cloud: ControlPlane, environment: str) -> None:
    script = "python -c \"import mlflow; mlflow.log_metric('accuracy', float('nan'))\""
    cloud.client().jobs.create_or_update(command(name="logs-nan", command=script, environment=environment))
    assert ended(cloud, "logs-nan") == "Completed"
    assert math.isnan(float(metrics(cloud, "logs-nan")["accuracy"]))


def test_an_image_is_built_when_a_job_first_uses_the_environment_and_in_a_registry_before_it_is_there(
    plane: Plane,
) -> None:
    one = plane(environment_build_seconds=1.5)
    client = one.client()
    client.environments.create_or_update(Environment(name="built", version="1", image="image"))
    for name in ("first", "second"):
        client.jobs.create_or_update(command(name=name, command="true", environment="azureml:built:1"))
        assert ended(one, name) == "Completed"
    assert [_was_prepared(one, name) for name in ("first", "second")] == [True, False]
    registry = (
        "/mferp/managementfrontend/subscriptions/00000000-0000-0000-0000-0000000000aa/resourceGroups/registries"
        "/providers/Microsoft.MachineLearningServices/registries/contoso-ml/environments/built/versions/1"
    )
    answer = one.call("PUT", registry, json={"properties": {"image": "image"}})
    assert (answer.status_code, answer.json()) == (202, None)
    assert one.call("GET", registry).status_code == 404
    environment = f"{REGISTRY}/environments/built/versions/1"
    assert submit(one, "too-early", environmentId=environment).status_code == 400
    location = answer.headers["Location"]
    assert one.call("GET", location).status_code == 202
    until(lambda: one.call("GET", location).status_code == 200)
    assert one.call("GET", location).json() == {"assetId": environment}
    assert submit(one, "in-time", environmentId=environment).status_code == 201
    assert ended(one, "in-time") == "Completed"
    assert not _was_prepared(one, "in-time")


def _was_prepared(one: ControlPlane, job: str) -> bool:
    """Whether more than the time of a build went by before the job ran."""
    run = one.call("GET", f"/history/v1.0{WORKSPACE}/runs/{job}").json()
    return _seconds(run["startTimeUtc"]) - _seconds(run["createdUtc"]) >= 1.5


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def test_the_names_of_missing_inputs_are_reported_by_the_sdk_too(cloud: ControlPlane, environment: str) -> None:
    job = command(
        command="true",
        environment=environment,
        inputs={"model": Input(type="custom_model", path=f"{REGISTRY}/models/nobody/versions/1")},
    )
    with pytest.raises(HttpResponseError, match="Could not find asset with ID"):
        cloud.client().jobs.create_or_update(job)
