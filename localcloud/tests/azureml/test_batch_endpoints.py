"""Batch endpoints through the SDK: deployments, the default, and invocations that are real jobs."""

import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, Output
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import (
    BatchEndpoint,
    BatchRetrySettings,
    CodeConfiguration,
    Component,
    Data,
    Environment,
    Model,
    ModelBatchDeployment,
    ModelBatchDeploymentSettings,
    PipelineComponentBatchDeployment,
)
from azure.ai.ml.exceptions import ValidationException
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient

from .conftest import COMPUTE_PYTHON, ControlPlane, Greeting, until, workspace_id
from .test_data_collector import SAVE
from .test_jobs import ended
from .test_pipelines import train, training_component

__all__ = ["train"]

BATCH = """
import os
from pathlib import Path

def init():
    global greeting
    greeting = next(Path(os.environ["AZUREML_MODEL_DIR"]).rglob("greeting.txt")).read_text()

def run(mini_batch):
    texts = {file: Path(file).read_text() for file in mini_batch}
    if any("bad" in text for text in texts.values()):
        raise ValueError("a bad file")
    Path(os.environ["AZUREML_BI_OUTPUT_PATH"], f"{len(mini_batch)}.txt").touch()
    return [f"{greeting}-{text}" for text in texts.values()]
"""
ENDPOINTS = f"{workspace_id('ws-dev')}/batchEndpoints"
DATASTORE = f"{workspace_id('ws-dev')}/datastores/workspaceblobstore"


class Batch:
    """An endpoint of `ws-dev` whose deployments greet each file."""

    def __init__(self, cloud: ControlPlane, name: str, folder: Path, greeting: Greeting) -> None:
        self.cloud = cloud
        self.name = name
        self._greeting = greeting
        self._code = folder / "batch"
        self._code.mkdir()
        (self._code / "score.py").write_text(BATCH)
        self.client = cloud.client()
        self.client.environments.create_or_update(Environment(name="batch", version="1", image="image"))
        self.client.batch_endpoints.begin_create_or_update(BatchEndpoint(name=name, tags={"made": "by-test"}))
        self.until_done("")
        self.data = folder / "data"
        self.data.mkdir()
        for number in range(5):
            (self.data / f"{number}.txt").write_text(str(number))

    def until_done(self, deployment: str, state: str = "Succeeded") -> None:
        path = f"{ENDPOINTS}/{self.name}" + (f"/deployments/{deployment}" if deployment else "")
        until(lambda: self.cloud.call("GET", path).json()["properties"]["provisioningState"] == state)

    def deploy(self, name: str, words: str, **settings: Any) -> None:
        model = self.client.models.create_or_update(Model(name=f"{self.name}-{words}", path=self._greeting(words)))
        self.client.batch_deployments.begin_create_or_update(
            ModelBatchDeployment(
                name=name,
                endpoint_name=self.name,
                model=model.id,
                environment="azureml:batch:1",
                code_configuration=CodeConfiguration(code=str(self._code), scoring_script="score.py"),
                compute="cpu",
                settings=ModelBatchDeploymentSettings(
                    mini_batch_size=2, retry_settings=BatchRetrySettings(max_retries=0, timeout=30), **settings
                ),
            )
        )
        self.until_done(name)

    def invoke(self, deployment: str | None = None, **more: Any) -> str:
        """The name of the job."""
        inputs = {"texts": Input(type=AssetTypes.URI_FOLDER, path=str(self.data))}
        job = self.client.batch_endpoints.invoke(self.name, deployment_name=deployment, inputs=inputs, **more)
        return str(job.name)

    def rows(self, job: str, to: Path) -> list[str]:
        assert ended(self.cloud, job) == "Completed", self.cloud.client().jobs.get(job)
        self.client.jobs.download(job, download_path=to, output_name="score")
        return next(to.rglob("predictions.csv")).read_text().splitlines()


@pytest.fixture
def batch(cloud: ControlPlane, tmp_path: Path, greeting: Greeting, request: pytest.FixtureRequest) -> Batch:
    return Batch(cloud, f"b{zlib.crc32(request.node.name.encode())}", tmp_path, greeting)


def test_an_invocation_is_a_job_that_runs_the_scoring_script_on_the_files(batch: Batch, tmp_path: Path) -> None:
    batch.deploy("blue", "old")
    batch.deploy("green", "new")
    assert {each.name for each in batch.client.batch_deployments.list(batch.name)} == {"blue", "green"}
    green = batch.client.batch_deployments.get("green", batch.name)
    assert (green.mini_batch_size, green.output_file_name, green.error_threshold) == (2, "predictions.csv", -1)
    job = batch.invoke("green", experiment_name="compared")
    assert batch.rows(job, tmp_path / "one") == [f"new-{number}" for number in range(5)]
    files = {file.name for file in (tmp_path / "one").rglob("*.txt")}
    assert files == {"1.txt", "2.txt"}  # batches of two files, and the rest
    found = batch.client.jobs.get(job)
    assert found.experiment_name == "compared"
    (step,) = batch.client.jobs.list(parent_job_name=job)
    assert step.display_name == "batchscoring"
    listed = batch.client.batch_deployments.list_jobs(batch.name, name="green")
    assert [each.name for each in listed] == [job]


def test_an_invocation_says_which_file_its_rows_are_written_to_and_which_name_its_job_has(batch: Batch) -> None:
    batch.deploy("blue", "old")
    place = "azureml://datastores/workspaceblobstore/paths/tested/once/rows.csv"
    job = batch.invoke("blue", outputs={"rows": Output(type=AssetTypes.URI_FILE, path=place)}, job_name="by-name")
    assert job == "by-name"
    assert ended(batch.cloud, job) == "Completed"
    properties = batch.cloud.call("GET", f"{DATASTORE}").json()["properties"]
    token = batch.cloud.call("POST", f"{DATASTORE}/listSecrets").json()["sasToken"]
    url = f"https://{properties['accountName']}/workspaceblobstore?{token}"
    with ContainerClient.from_container_url(url) as container:
        written = container.download_blob("tested/once/rows.csv").readall().decode()
    assert written.splitlines() == [f"old-{number}" for number in range(5)]


def test_the_default_is_switched_and_back_by_one_update(batch: Batch, tmp_path: Path) -> None:
    with pytest.raises(HttpResponseError, match="no default deployment"):
        _invoke_default(batch)
    batch.deploy("blue", "old")
    batch.deploy("green", "new")
    for name in ("blue", "green", "blue"):
        endpoint = batch.client.batch_endpoints.get(batch.name)
        endpoint.defaults = {"deployment_name": name}
        batch.client.batch_endpoints.begin_create_or_update(endpoint)
        batch.until_done("")
        found = batch.client.batch_endpoints.get(batch.name)
        assert (found.defaults.deployment_name, found.tags) == (name, {"made": "by-test"})
    job = _invoke_default(batch)
    assert batch.rows(job, tmp_path / "default")[0] == "old-0"
    wrong = batch.cloud.call(
        "PUT", f"{ENDPOINTS}/{batch.name}", json={"properties": {"defaults": {"deploymentName": "nobody"}}}
    )
    assert wrong.status_code == 400


def _invoke_default(batch: Batch) -> str:
    """Without the header, which the SDK keeps for later calls of its process once a deployment was named."""
    uri = batch.client.batch_endpoints.get(batch.name).scoring_uri
    data = batch.client.data
    asset = data.create_or_update(Data(name=f"{batch.name}-data", path=str(batch.data), type="uri_folder"))
    body = {"properties": {"inputData": {"texts": {"jobInputType": "UriFolder", "uri": asset.id}}}}
    answer = batch.cloud.call("POST", uri, json=body)
    if answer.status_code != 201:
        raise HttpResponseError(message=answer.text)
    return str(answer.json()["name"])


def test_an_mlflow_model_needs_no_script(batch: Batch, tmp_path: Path) -> None:
    subprocess.run([COMPUTE_PYTHON, "-c", SAVE, tmp_path / "sums"], check=True, capture_output=True)
    batch.client.models.create_or_update(
        Model(name=f"{batch.name}-sums", version="1", path=tmp_path / "sums", type="mlflow_model")
    )
    batch.client.batch_deployments.begin_create_or_update(
        ModelBatchDeployment(
            name="sums",
            endpoint_name=batch.name,
            model=f"azureml:{batch.name}-sums:1",
            compute="cpu",
            settings=ModelBatchDeploymentSettings(mini_batch_size=10),
        )
    )
    batch.until_done("sums")
    for file in batch.data.iterdir():
        file.unlink()
    (batch.data / "rows.csv").write_text("a,b\n1,2\n3,4\n")
    assert batch.rows(batch.invoke("sums"), tmp_path / "sums-rows") == ["0 3 rows.csv", "1 7 rows.csv"]


def test_failed_files_are_counted_against_the_error_threshold(batch: Batch, tmp_path: Path) -> None:
    (batch.data / "0.txt").write_text("bad")
    batch.deploy("tolerant", "hi")
    batch.deploy("strict", "hi", error_threshold=1)
    assert batch.rows(batch.invoke("tolerant"), tmp_path / "rows") == ["hi-2", "hi-3", "hi-4"]
    job = batch.invoke("strict")
    assert ended(batch.cloud, job) == "Failed"
    history = batch.cloud.call("POST", f"/history/v1.0{workspace_id('ws-dev')}/rundata", json={"runId": job}).json()
    assert "more than the error threshold of 1" in str(history)


def test_a_request_that_is_sent_again_makes_no_second_job(batch: Batch) -> None:
    batch.deploy("blue", "hi")
    uri = batch.client.batch_endpoints.get(batch.name).scoring_uri
    headers = {"repeatability-request-id": "once", "azureml-model-deployment": "blue"}
    names = {batch.cloud.call("POST", uri, json={"properties": {}}, headers=headers).json()["name"] for _ in range(2)}
    (name,) = names
    assert ended(batch.cloud, name) == "Completed"
    assert len(list(batch.client.jobs.list(parent_job_name=name))) == 1


def test_a_pipeline_component_is_deployed_and_an_invocation_runs_it(batch: Batch, train: Component) -> None:
    component = training_component(batch.cloud, train, f"{batch.name}_component")
    batch.client.batch_deployments.begin_create_or_update(
        PipelineComponentBatchDeployment(
            name="blue",
            endpoint_name=batch.name,
            component=component,
            settings={"default_compute": "cpu"},
        )
    )
    batch.until_done("blue")
    job = batch.client.batch_endpoints.invoke(batch.name, deployment_name="blue")
    assert ended(batch.cloud, job.name) == "Completed"
    assert batch.cloud.client().jobs.get(job.name).experiment_name == batch.name


def test_deployments_and_endpoints_go_away(batch: Batch) -> None:
    batch.deploy("blue", "hi")
    batch.client.batch_deployments.begin_delete("blue", batch.name)
    path = f"{ENDPOINTS}/{batch.name}"
    until(lambda: batch.cloud.call("GET", f"{path}/deployments/blue").status_code == 404)
    with pytest.raises(ValidationException, match="not found for this endpoint"):
        batch.invoke("blue")
    batch.client.batch_endpoints.begin_delete(batch.name)
    until(lambda: batch.cloud.call("GET", path).status_code == 404)
    assert batch.name not in [each.name for each in batch.client.batch_endpoints.list()]


def test_a_deployment_without_its_model_fails(batch: Batch) -> None:
    path = f"{ENDPOINTS}/{batch.name}/deployments/blue"
    model = {"referenceType": "Id", "assetId": f"{workspace_id('ws-dev')}/models/nobody/versions/1"}
    made = batch.cloud.call("PUT", path, json={"properties": {"model": model, "compute": "cpu"}})
    assert made.status_code == 201
    batch.until_done("blue", "Failed")
    status = batch.cloud.call("GET", made.headers["Azure-AsyncOperation"]).json()
    assert (status["status"], status["error"]["code"]) == ("Failed", "ResourceNotFound")
    refused = batch.cloud.call("POST", f"/batch/ws-dev/{batch.name}/jobs", headers={"azureml-model-deployment": "blue"})
    assert refused.status_code == 404
