"""Models that are tracked with plain MLflow from outside of any job."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from shared.cloud.azureml import AzureMLWorkspace
from shared.cloud.identity import credential
from tests.cloud.conftest import client
from tests.cloud.local_azure import DORA, LocalAzure

REPOSITORY = Path(__file__).parents[2]
PYTHON = REPOSITORY / ".venv-compute" / "bin" / "python"
#: Lets plain MLflow write to `azureml://` addresses of the local cloud, as azureml-mlflow does on Azure.
MLFLOW_PLUGIN = REPOSITORY / "localcloud" / "localcloud" / "azureml" / "compute" / "mlflow_plugin"
#: A notebook on a laptop.
NOTEBOOK = """
import json, os
import mlflow

class Double(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[int]) -> list[int]:
        return [2 * number for number in model_input]

mlflow.set_experiment("on a laptop")
with mlflow.start_run(tags={"mlflow.source.git.commit": "f00", "mlflow.source.git.repoURL": "https://git/x"}) as run:
    mlflow.log_metric("accuracy", 0.9)
    mlflow.pyfunc.log_model(name="model", python_model=Double(), registered_model_name=os.environ["NAME"])
    if os.environ["FAILS"] == "yes":
        mlflow.end_run("FAILED")
print(json.dumps(run.info.run_id))
"""


def tracked(azure: LocalAzure, folder: Path, name: str, fails: str = "no") -> str:
    """The id of a run that has registered a model of this name from outside."""
    tracking = client("dev", azure).workspaces.get("ws-dev").mlflow_tracking_uri
    token = credential(DORA).get_token(azure.cloud["resource_manager"].rstrip("/") + "/.default").token
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(MLFLOW_PLUGIN),
        "NAME": name,
        "FAILS": fails,
        "MLFLOW_TRACKING_URI": "https://" + str(tracking).partition("://")[2],
        "MLFLOW_TRACKING_TOKEN": token,
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(azure.data / "ca.pem"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "NO_PROXY": "*",
    }
    done = subprocess.run(
        [str(PYTHON), "-c", NOTEBOOK], env=environment, cwd=folder, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    found: Any = json.loads(done.stdout.splitlines()[-1])
    return str(found)


@pytest.mark.parametrize(("fails", "status"), [("no", "Completed"), ("yes", "Failed")])
def test_the_run_is_the_models_origin_in_the_words_of_a_job(
    azure: LocalAzure, dev: AzureMLWorkspace, name: str, tmp_path: Path, fails: str, status: str
) -> None:
    run = tracked(azure, tmp_path, name, fails)
    model = dev.model(name, "1")
    assert model
    assert model.job == run
    job = dev.job(run)
    assert job
    assert (job.name, job.status, job.experiment, job.is_run) == (run, status, "on a laptop", True)
    assert job.properties["mlflow.source.git.commit"] == "f00"
    assert job.properties["azureml.git.repository_uri"] == "https://git/x"
    assert dev.metrics(run) == {"accuracy": 0.9}
    assert dev.has_files(model)


def test_who_registered_it_is_its_author(azure: LocalAzure, dev: AzureMLWorkspace, name: str, tmp_path: Path) -> None:
    tracked(azure, tmp_path, name)
    model = dev.model(name, "1")
    assert model
    assert DORA in [author.id for author in dev.authors(model)]
