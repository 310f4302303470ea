"""What docs/parts.md says that the local Azure ML does not have answers as it says there."""

import pytest

from .conftest import ControlPlane, workspace_id

WORKSPACE = workspace_id("ws-dev")
ENDPOINT = f"{WORKSPACE}/onlineEndpoints/limits"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", f"{WORKSPACE}/featuresets/nightly", 404),
        ("PUT", f"{WORKSPACE}/computes/cluster", 405),
        ("GET", f"/artifact/v2.0{WORKSPACE}/artifacts/contentinfo/ExperimentRun/dcid.none", 404),
        ("POST", f"/mlflow/v1.0{WORKSPACE}/api/2.0/mlflow/registered-models/search", 404),
        ("GET", f"{WORKSPACE.split('/workspaces/')[0]}/registries", 404),
        ("PATCH", ENDPOINT, 405),
        ("PATCH", f"{ENDPOINT}/deployments/blue", 405),
        ("POST", f"{ENDPOINT}/token", 404),
    ],
)
def test_what_is_not_there_is_refused(cloud: ControlPlane, method: str, path: str, status: int) -> None:
    assert cloud.call(method, path, json={"properties": {}}).status_code == status


@pytest.mark.parametrize("job_type", ["Sweep", "AutoML", "Spark"])
def test_jobs_of_other_types_are_refused(cloud: ControlPlane, job_type: str) -> None:
    answer = cloud.call("PUT", f"{WORKSPACE}/jobs/{job_type}", json={"properties": {"jobType": job_type}})
    assert answer.status_code == 400
    assert job_type in answer.text


def test_an_endpoint_that_asks_for_tokens_of_entra_id_takes_no_keys(cloud: ControlPlane) -> None:
    made = cloud.call("PUT", ENDPOINT, json={"properties": {"authMode": "AADToken"}})
    assert made.status_code == 201
    scoring = f"{cloud.base_url}/scoring/ws-dev/limits/score"
    assert cloud.call("POST", scoring, json={}).status_code == 404  # let in: it has no deployment yet
    key = cloud.call("POST", f"{ENDPOINT}/listKeys").json()["primaryKey"]
    answer = cloud.session.post(scoring, headers={"Authorization": f"Bearer {key}"}, json={}, timeout=300)
    assert answer.status_code == 401


def test_an_endpoint_that_asks_for_tokens_of_its_own_scores_with_its_keys_only(cloud: ControlPlane) -> None:
    endpoint = f"{ENDPOINT}-own"
    made = cloud.call("PUT", endpoint, json={"properties": {"authMode": "AMLToken"}})
    assert made.status_code == 201
    scoring = f"{cloud.base_url}/scoring/ws-dev/limits-own/score"
    assert cloud.call("POST", scoring, json={}).status_code == 401
    key = cloud.call("POST", f"{endpoint}/listKeys").json()["primaryKey"]
    answer = cloud.session.post(scoring, headers={"Authorization": f"Bearer {key}"}, json={}, timeout=300)
    assert answer.status_code == 404
