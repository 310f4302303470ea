"""Whom a job's process acts as: a cluster's identity, a named one, or who submitted it; and what that may not read."""

from pathlib import Path
from typing import Any

import pytest
import requests
from azure.ai.ml.entities import Data

from .conftest import COMPUTE_PYTHON, ControlPlane, Plane, workspace_id
from .test_job_requirements import failure
from .test_jobs import ended

WORKSPACE = workspace_id("ws-dev")
ACCOUNT_GROUP = WORKSPACE.split("/providers/")[0]
SCRIPT = """
import json, os, sys
import requests
from azure.identity import ManagedIdentityCredential

token = ManagedIdentityCredential(client_id=os.environ["DEFAULT_IDENTITY_CLIENT_ID"]).get_token("https://x/.default")
answer = requests.get(sys.argv[1], headers={"Authorization": f"Bearer {token.token}"}, timeout=60)
print("SEEN", answer.status_code, answer.text)
"""


def role(principal: str, name: str, scope: str = WORKSPACE) -> dict[str, str]:
    return {"principal": principal, "role": name, "scope": scope}


@pytest.fixture
def one(plane: Plane) -> ControlPlane:
    return plane(
        workspaces=[
            {
                "id": WORKSPACE,
                "computes": ["cpu", "plain"],
                "compute_identities": {"cpu": "of-cluster"},
                "identities": ["of-workspace"],
                "reads_data_by_identity": True,
            }
        ],
        role_assignments=[
            role("ann", "Contributor", ACCOUNT_GROUP),
            role("ann", "Contributor", "registries/contoso-ml"),
            role("of-cluster", "Reader"),
            role("of-workspace", "Storage Blob Data Reader", ACCOUNT_GROUP),
        ],
    )


def submit(one: ControlPlane, name: str, **properties: Any) -> requests.Response:
    body = {"properties": {"jobType": "Command", "command": "true", **properties}}
    return one.call("PUT", f"{WORKSPACE}/jobs/{name}", json=body)


def log(one: ControlPlane, job: str) -> str:
    files = one.call("GET", f"/history/v1.0{WORKSPACE}/runs/{job}/details").json()["logFiles"]
    return one.call("GET", files["user_logs/std_log.txt"]).text


def compute(name: str) -> str:
    return f"{WORKSPACE}/computes/{name}"


def test_a_job_acts_as_its_clusters_identity_and_is_refused_what_that_may_not_do(
    one: ControlPlane, tmp_path: Path
) -> None:
    (tmp_path / "ask.py").write_text(SCRIPT)
    bundle = f"REQUESTS_CA_BUNDLE={one.data / 'ca.pem'}"
    for name, path in (("reads", "models"), ("pries", "datastores/workspaceblobstore/listSecrets")):
        method = "get" if name == "reads" else "post"
        script = SCRIPT.replace("requests.get", f"requests.{method}")
        (tmp_path / f"{name}.py").write_text(script)
        command = f"{bundle} {COMPUTE_PYTHON} {tmp_path / f'{name}.py'} {one.base_url}{WORKSPACE}/{path}"
        assert submit(one, name, command=command, computeId=compute("cpu")).status_code == 201
        assert ended(one, name) == "Completed", failure(one, name)
    assert "SEEN 200" in log(one, "reads")
    assert "SEEN 403" in log(one, "pries")
    assert "The client 'of-cluster'" in log(one, "pries")


def test_a_job_gets_no_token_on_a_cluster_without_identity_and_the_submitters_when_serverless(
    one: ControlPlane,
) -> None:
    command = "echo MSI=[$MSI_ENDPOINT] OBO=[${OBO_ENDPOINT:+there}] ID=[$DEFAULT_IDENTITY_CLIENT_ID]"
    asked: dict[str, dict[str, Any]] = {
        "plain": {"computeId": compute("plain")},
        "serverless": {},
        "as-myself": {"computeId": compute("cpu"), "identity": {"identityType": "UserIdentity"}},
        "named": {"identity": {"identityType": "Managed", "clientId": "of-workspace"}},
    }
    for name, properties in asked.items():
        assert submit(one, name, command=command, **properties).status_code == 201
        assert ended(one, name) == "Completed"
    assert "MSI=[] OBO=[] ID=[]" in log(one, "plain")
    assert "MSI=[] OBO=[there] ID=[]" in log(one, "serverless")
    assert "MSI=[] OBO=[there] ID=[]" in log(one, "as-myself")
    assert f"MSI=[{one.base_url}/local/job-identity] OBO=[] ID=[of-workspace]" in log(one, "named")


@pytest.mark.parametrize(
    ("properties", "owner"),
    [
        ({"computeId": compute("cpu"), "identity": {"identityType": "Managed", "clientId": "of-workspace"}}, "cpu"),
        ({"identity": {"identityType": "Managed", "clientId": "of-cluster"}}, "workspace ws-dev"),
        (
            {
                "jobType": "Pipeline",
                "settings": {"default_compute": compute("plain")},
                "jobs": {"node": {"identity": {"type": "managed_identity", "client_id": "of-cluster"}}},
            },
            "plain",
        ),
    ],
    ids=("of the workspace, on a cluster", "of a cluster, serverless", "of another cluster, in a pipeline"),
)
def test_an_identity_that_compute_or_workspace_does_not_have_is_refused(
    one: ControlPlane, properties: dict[str, Any], owner: str
) -> None:
    answer = submit(one, "foreign", **properties)
    assert answer.status_code == 400
    assert f"{owner} has no managed identity with the client id" in answer.json()["error"]["message"]


def test_a_job_reads_data_only_as_an_identity_that_may(one: ControlPlane, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("1,2")
    rows = one.client().data.create_or_update(
        Data(name="guarded", version="1", path=str(tmp_path / "rows.csv"), type="uri_file")
    )
    given = {"command": "cat ${{inputs.rows}}", "inputs": {"rows": {"jobInputType": "uri_file", "uri": rows.id}}}
    may = {"identity": {"identityType": "Managed", "clientId": "of-workspace"}}
    for name, properties in (("may", may), ("may-not", {"computeId": compute("cpu")}), ("is-nobody", {})):
        on = {"computeId": compute("plain")} if name == "is-nobody" else properties
        assert submit(one, name, **given, **on).status_code == 201
    assert ended(one, "may") == "Completed"
    assert "1,2" in log(one, "may")
    assert ended(one, "may-not") == "Failed"
    assert "identity of-cluster of the job may not read the input rows" in failure(one, "may-not")
    assert "Storage Blob Data Reader" in failure(one, "may-not")
    assert ended(one, "is-nobody") == "Failed"
    assert "The job has no identity" in failure(one, "is-nobody")


def test_only_a_jobs_secret_is_good_for_a_token(one: ControlPlane) -> None:
    for path in ("", "/wrong"):
        answer = requests.get(f"{one.base_url}/local/job-identity{path}?resource=x", timeout=60)
        assert answer.status_code == 401
