"""Models that are tracked with plain MLflow from outside of any job."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from shared.cloud.azureml import AzureMLWorkspace
from shared.cloud.identity import credential
from tests.cloud.conftest import client
from tests.cloud.local_azure import DORA, LocalAzure

REPOSITORY = Path(__file__).parents[2]
PYTHON = REPOSITORY / ".venv-compute" / "bin" / "python"
#: Lets plain MLflow write to `azureml://` addresses of the local cloud, as azureml-mlflow does on Azure.
MLFLOW_PLUGIN = REPOSITORY / "localcloud" / "localcloud" / "azureml" / "compute" / "mlflow_plugin"
#: A notebook on a laptop. It names its libraries, since MLflow would start another process to find them.
NOTEBOOK = """
import json
import mlflow

class Double(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[int]) -> list[int]:
        return [2 * number for number in model_input]

runs = {}
mlflow.set_experiment("on a laptop")
for status in ("Completed", "Failed"):
    tags = {"mlflow.source.git.commit": "f00", "mlflow.source.git.repoURL": "https://git/x"}
    with mlflow.start_run(tags=tags) as run:
        mlflow.log_metric("accuracy", 0.9)
        mlflow.pyfunc.log_model(
            name="model", python_model=Double(), registered_model_name=status, pip_requirements=["mlflow"]
        )
        if status == "Failed":
            mlflow.end_run("FAILED")
    runs[status] = run.info.run_id
print(json.dumps(runs))
"""


@pytest.fixture(scope="module")
def runs(azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The ids of two runs by their status, which is also the name of the model that each has registered."""
    folder = tmp_path_factory.mktemp("notebook")
    tracking = client("dev", azure).workspaces.get("ws-dev").mlflow_tracking_uri
    token = credential(DORA).get_token(azure.cloud["resource_manager"].rstrip("/") + "/.default").token
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(MLFLOW_PLUGIN),
        "MLFLOW_TRACKING_URI": "https://" + str(tracking).partition("://")[2],
        "MLFLOW_TRACKING_TOKEN": token,
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(azure.data / "ca.pem"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "NO_PROXY": "*",
    }
    done = subprocess.run(
        [str(PYTHON), "-c", NOTEBOOK], env=environment, cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("status", ["Completed", "Failed"])
def test_the_run_is_the_models_origin_in_the_words_of_a_job(
    dev: AzureMLWorkspace, runs: Mapping[str, str], status: str
) -> None:
    run = runs[status]
    model = dev.model(status, "1")
    assert model
    assert model.job == run
    job = dev.job(run)
    assert job
    assert (job.name, job.status, job.experiment, job.is_run) == (run, status, "on a laptop", True)
    assert job.properties["mlflow.source.git.commit"] == "f00"
    assert job.properties["azureml.git.repository_uri"] == "https://git/x"
    assert dev.metrics(run) == {"accuracy": 0.9}
    assert dev.has_files(model)


@pytest.mark.usefixtures("runs")
def test_who_registered_it_is_its_author(dev: AzureMLWorkspace) -> None:
    model = dev.model("Completed", "1")
    assert model
    assert DORA in [author.id for author in dev.authors(model)]
