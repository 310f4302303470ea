"""What the data collector writes of requests and answers, and where, read as the SDKs read it."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from azure.ai.ml.entities import DataCollector, DeploymentCollection, ManagedOnlineDeployment, Model
from azure.storage.blob import ContainerClient

from .conftest import COMPUTE_PYTHON, ControlPlane, Endpoint, NewEndpoint, until, workspace_id

DATASTORE = f"{workspace_id('ws-test')}/datastores/workspaceblobstore"
SAVE = """
import sys
import mlflow.pyfunc
import pandas

class Sums(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input.sum(axis=1).tolist()

mlflow.pyfunc.save_model(sys.argv[1], python_model=Sums())
"""


def container(cloud: ControlPlane) -> ContainerClient:
    properties = cloud.call("GET", DATASTORE).json()["properties"]
    token = cloud.call("POST", f"{DATASTORE}/listSecrets").json()["sasToken"]
    return ContainerClient.from_container_url(f"https://{properties['accountName']}/workspaceblobstore?{token}")


def lines(cloud: ControlPlane, endpoint: str, deployment: str, collection: str) -> list[dict[str, Any]]:
    """All lines of a collection; their blobs are where Azure has them."""
    prefix = f"modelDataCollector/{endpoint}/{deployment}/{collection}/"
    found = []
    with container(cloud) as client:
        for blob in client.list_blobs(name_starts_with=prefix):
            if not blob.name.endswith(".jsonl"):
                continue
            assert re.fullmatch(r"\d{4}/\d\d/\d\d/\d\d/[0-9a-f-]{36}\.jsonl", blob.name.removeprefix(prefix))
            found += client.download_blob(blob.name).readall().decode().splitlines()
    return [json.loads(line) for line in found]


def collecting(*kinds: str, rate: float = 1.0) -> DataCollector:
    collections = {kind: DeploymentCollection(enabled="True") for kind in kinds}
    return DataCollector(collections, rolling_rate="hour", sampling_rate=rate)


def deployed(endpoint: Endpoint, deployment: str, words: str, collector: DataCollector) -> None:
    endpoint.begin(deployment, words, data_collector=collector)
    until(lambda: endpoint.state(deployment) == "Succeeded")


def test_requests_and_answers_are_written_as_azure_writes_them(cloud: ControlPlane, new_endpoint: NewEndpoint) -> None:
    endpoint = new_endpoint(cloud, "collected")
    deployed(endpoint, "blue", "old", collecting("request", "response"))
    key = endpoint.key()
    good, bad = endpoint.score("blue", key=key), endpoint.score("blue", key=key, data="fail")
    asked, answered = (lines(cloud, "collected", "blue", kind) for kind in ("request", "response"))
    assert [line["xrequestid"] for line in asked] == [each.headers["x-ms-request-id"] for each in (good, bad)]
    assert [line["xrequestid"] for line in answered] == [line["correlationid"] for line in asked]
    first, second = asked
    assert first["data"] == {"data": [1, 2]}
    assert second["data"] == "fail"  # what is no JSON is text
    assert answered[0]["data"] == {"greeting": "old", "rows": 2}
    assert {key: first[key] for key in ("specversion", "source", "type", "datacontenttype", "path", "method")} == {
        "specversion": "1.0",
        "source": f"{endpoint.path}/deployments/blue",
        "type": "azureml.inference.request",
        "datacontenttype": "application/json",
        "path": "/score",
        "method": "POST",
    }
    assert first["contentrange"] == "bytes 0-15/*"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first["time"])
    assert answered[0]["type"] == "azureml.inference.response"
    asset = cloud.client("ws-test").data.get("collected-blue-request", "1")
    assert asset.path.endswith("/modelDataCollector/collected/blue/request/")


def test_what_is_large_or_no_text_is_a_blob_of_its_own(cloud: ControlPlane, new_endpoint: NewEndpoint) -> None:
    endpoint = new_endpoint(cloud, "collected-bytes")
    deployed(endpoint, "blue", "old", collecting("request"))
    uri = endpoint.get()["properties"]["scoringUri"]
    headers = {"Authorization": f"Bearer {endpoint.key()}", "Content-Type": "application/octet-stream"}
    large = json.dumps({"data": ["x" * 5_000_000]}).encode()
    for body in (b"\xff\x00\xfe", large):
        cloud.session.post(uri, data=body, headers={**headers, "azureml-model-deployment": "blue"}, timeout=300)
    written = lines(cloud, "collected-bytes", "blue", "request")
    assert [line["datainblob"] for line in written] == ["true", "true"]
    with container(cloud) as client:
        for line, body in zip(written, (b"\xff\x00\xfe", large), strict=True):
            name = line["data"].partition("/workspaceblobstore/")[2]
            assert client.download_blob(name).readall() == body


def test_a_share_of_the_requests_is_collected_with_their_answers(
    cloud: ControlPlane, new_endpoint: NewEndpoint
) -> None:
    endpoint = new_endpoint(cloud, "collected-half")
    deployed(endpoint, "blue", "old", collecting("request", "response", rate=0.5))
    key = endpoint.key()
    for _ in range(60):
        endpoint.score("blue", key=key)
    asked, answered = (lines(cloud, "collected-half", "blue", kind) for kind in ("request", "response"))
    assert 10 < len(asked) < 50
    assert [line["xrequestid"] for line in asked] == [line["xrequestid"] for line in answered]


def test_of_an_mlflow_model_without_code_the_rows_are_collected(
    cloud: ControlPlane, new_endpoint: NewEndpoint, tmp_path: Path
) -> None:
    subprocess.run([COMPUTE_PYTHON, "-c", SAVE, tmp_path / "sums"], check=True, capture_output=True)
    endpoint = new_endpoint(cloud, "collected-rows")
    client = endpoint.client
    client.models.create_or_update(Model(name="sums", version="1", path=tmp_path / "sums", type="mlflow_model"))
    client.online_deployments.begin_create_or_update(
        ManagedOnlineDeployment(
            name="blue",
            endpoint_name=endpoint.name,
            model="azureml:sums:1",
            instance_type="Standard_DS3_v2",
            instance_count=1,
            data_collector=collecting("model_inputs", "model_outputs"),
        )
    )
    until(lambda: endpoint.state("blue") == "Succeeded")
    table = {"input_data": {"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}}
    assert endpoint.score("blue", data=json.dumps(table)).json() == [3, 7]
    (inputs,), (outputs,) = (lines(cloud, "collected-rows", "blue", f"model_{kind}") for kind in ("inputs", "outputs"))
    assert inputs["data"] == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    assert outputs["data"] == [{"0": 3}, {"0": 7}]
    assert (inputs["type"], inputs["collectdatatype"]) == (
        "azureml.inference.model_inputs",
        "pandas.core.frame.DataFrame",
    )
