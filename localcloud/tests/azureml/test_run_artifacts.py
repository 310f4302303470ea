"""Artifacts at `azureml://` addresses: MLflow writes and reads them in a job and on a laptop, with the plug-in."""

import os
import subprocess
from pathlib import Path

import pytest
from azure.ai.ml import command
from azure.ai.ml.entities import Environment

from localcloud.azureml.compute.jobs import MLFLOW_PLUGIN

from .conftest import COMPUTE_PYTHON, ControlPlane, StaticCredential, workspace_id
from .test_jobs import ended

WORKSPACE = workspace_id("ws-dev")
API = f"/mlflow/v1.0{WORKSPACE}/api/2.0"
IN_A_JOB = """
import mlflow
from pathlib import Path

with mlflow.start_run() as run:
    Path("notes.txt").write_text("of the job")
    mlflow.log_artifact("notes.txt", "deep/er")
    mlflow.log_text("a picture", "picture.txt")
    print(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/deep/er/notes.txt"))
"""
ON_A_LAPTOP = """
import mlflow, sys
client, run = mlflow.MlflowClient(), sys.argv[1]
client.log_text(run, "looked at", "review.txt")
print(*(each.path for each in client.list_artifacts(run)), sep=",")
print([(each.path, each.file_size) for each in client.list_artifacts(run, "deep/er")])
print(mlflow.artifacts.load_text(f"runs:/{run}/deep/er/notes.txt"))
"""


@pytest.fixture(scope="module")
def run(cloud: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A job that logged artifacts."""
    folder = tmp_path_factory.mktemp("code")
    (folder / "log.py").write_text(IN_A_JOB)
    client = cloud.client()
    client.environments.create_or_update(Environment(name="artifacts", version="1", image="image"))
    job = command(name="artists-run", code=folder, command="python log.py", environment="azureml:artifacts:1")
    client.jobs.create_or_update(job)
    assert ended(cloud, "artists-run") == "Completed"
    return "artists-run"


def test_what_a_job_logs_is_among_its_artifacts_and_its_address_names_no_path_of_this_machine(
    cloud: ControlPlane, run: str, tmp_path: Path
) -> None:
    info = cloud.call("GET", f"{API}/mlflow/runs/get?run_id={run}").json()["run"]["info"]
    place = f"azureml://localhost:{cloud.port}/mlflow/v2.0{WORKSPACE}/experiments/{info['experiment_id']}/runs/{run}"
    assert info["artifact_uri"] == f"{place}/artifacts"
    cloud.client().jobs.download(run, download_path=tmp_path)
    assert (tmp_path / "artifacts" / "deep" / "er" / "notes.txt").read_text() == "of the job"
    assert (tmp_path / "artifacts" / "picture.txt").read_text() == "a picture"
    assert "of the job" in (tmp_path / "artifacts" / "user_logs" / "std_log.txt").read_text()


def test_on_a_laptop_mlflow_adds_lists_and_reads_them(cloud: ControlPlane, run: str) -> None:
    environment = {
        "MLFLOW_TRACKING_URI": f"{cloud.base_url}/mlflow/v1.0{WORKSPACE}",
        "MLFLOW_TRACKING_TOKEN": StaticCredential("ann").get_token(cloud.base_url).token,
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(cloud.data / "ca.pem"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONPATH": str(MLFLOW_PLUGIN),
        "PATH": os.environ["PATH"],
    }
    seen = subprocess.run(
        [str(COMPUTE_PYTHON), "-c", ON_A_LAPTOP, run],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert seen.returncode == 0, seen.stderr
    listed, deep, read = seen.stdout.splitlines()
    assert {"deep", "picture.txt", "review.txt", "user_logs"} <= set(listed.split(","))
    assert (deep, read) == ("[('deep/er/notes.txt', 10)]", "of the job")


def test_an_artifact_that_does_not_exist_is_not_found_and_no_path_leads_out_of_a_run(
    cloud: ControlPlane, run: str
) -> None:
    api = f"{API}/mlflow-artifacts/artifacts"
    for path in (f"{run}/none.txt", f"{run}/%2e%2e/dcid.other/x", f"{run}/..%2fx"):
        assert cloud.call("GET", f"{api}/{path}").status_code == 404
    assert cloud.call("PUT", f"{api}/{run}/..%2f..%2fescaped", data=b"x").status_code == 404
    assert cloud.call("GET", f"{api}?path={run}/../..").status_code == 404
    assert not list(cloud.data.rglob("escaped"))
    assert cloud.call("DELETE", f"{api}/{run}/gone.txt").status_code == 200
