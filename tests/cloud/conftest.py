"""A local Azure for all tests of this folder; each test uses names of its own."""

import itertools
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.cloud.azureml import AzureMLWorkspace
from shared.cloud.identity import credential
from shared.ports import Job
from tests.cloud.local_azure import REGISTRY, WORKER, LocalAzure, until, workspace_id

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK's own use of marshmallow warns while it is imported
    from azure.ai.ml import MLClient, Output, command
    from azure.ai.ml.entities import Environment, Model

SCORING = """
import json, os, pathlib

def init():
    global model
    model = next(pathlib.Path(os.environ["AZUREML_MODEL_DIR"]).rglob("model.json")).read_text()
    if "crash" in model:
        raise KeyError("the model is of no use")

def run(data):
    return {"sum": sum(json.loads(data)["numbers"]) + json.loads(model)["plus"]}
"""
TRAINING = """
import os, pathlib, sys
import mlflow
mlflow.log_metric("accuracy", 0.5)
mlflow.log_metric("accuracy", 0.75)
mlflow.log_metric("loss", float("nan"))
pathlib.Path(sys.argv[1], "model.json").write_text('{"plus": 1}')
"""
DEPLOYMENT = """
$schema: https://azuremlschemas.azureedge.net/latest/managedOnlineDeployment.schema.json
environment: azureml:sklearn:1
code_configuration: {code: scoring, scoring_script: score.py}
instance_type: Standard_DS3_v2
instance_count: 1
tags: {team: digits}
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The SDK uses marshmallow 3 in ways that marshmallow 4 will not allow, and is warned of it; that is not ours."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::marshmallow.warnings.RemovedInMarshmallow4Warning"))


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    with LocalAzure(tmp_path_factory.mktemp("azure")) as azure:
        yield azure


@pytest.fixture(scope="module")
def azure(running: LocalAzure) -> Iterator[LocalAzure]:
    """Found through the environment of this process, for one module at most: other tests have other clouds."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in running.environment.items():
            environment.setenv(name, value)
        environment.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")  # the SDK sets it for the whole process
        credential.cache_clear()
        for name in ("dev", "test"):
            client(name, running).environments.create_or_update(Environment(name="sklearn", version="1", image="image"))
        yield running
        credential.cache_clear()


@pytest.fixture
def dev(azure: LocalAzure) -> Iterator[AzureMLWorkspace]:
    yield azure.workspace("dev")
    azure.no_faults()


@pytest.fixture
def test(azure: LocalAzure) -> Iterator[AzureMLWorkspace]:
    yield azure.workspace("test")
    azure.no_faults()


@pytest.fixture
def no_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a developer's machine."""
    monkeypatch.delenv("IDENTITY_ENDPOINT", raising=False)


@pytest.fixture
def name(request: pytest.FixtureRequest, _numbers: "itertools.count[int]") -> str:
    """A name that no other test uses."""
    return f"n{os.getpid() % 1000}-{next(_numbers)}"


@pytest.fixture(scope="session")
def _numbers() -> "itertools.count[int]":
    return itertools.count(1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a deployment file, its scoring code and smoke requests."""
    (tmp_path / "scoring").mkdir()
    (tmp_path / "scoring" / "score.py").write_text(SCORING)
    (tmp_path / "deployment.yml").write_text(DEPLOYMENT)
    (tmp_path / "smoke.jsonl").write_text('{"request": {"numbers": [1, 2]}, "expected": {"sum": 13}}\n')
    return tmp_path


Registered = Callable[..., None]


@pytest.fixture
def registered(azure: LocalAzure, tmp_path: Path) -> Registered:
    """Registers a model version with files in ws-dev."""

    def register(name: str, version: str = "1", content: str = '{"plus": 10}', **tags: str) -> None:
        files = tmp_path / f"model-{name}-{version}"
        files.mkdir()
        (files / "model.json").write_text(content)
        client("dev", azure).models.create_or_update(Model(name=name, version=version, path=files, tags=tags))

    return register


def client(workspace: str, azure: LocalAzure, identity: str = WORKER) -> MLClient:
    """The SDK as a data scientist uses it."""
    cloud = azure.cloud
    parts = workspace_id(workspace).split("/")
    metadata = {key: value for key, value in cloud.items() if key != "name"}
    return MLClient(credential(identity), parts[2], parts[4], parts[8], cloud=cloud["name"], cloud_metadata=metadata)


def registry_client(azure: LocalAzure) -> MLClient:
    """The SDK, for somebody who registers in the registry."""
    cloud = azure.cloud
    metadata = {key: value for key, value in cloud.items() if key != "name"}
    return MLClient(credential(WORKER), registry_name=REGISTRY, cloud=cloud["name"], cloud_metadata=metadata)


def train(azure: LocalAzure, code: Path) -> Job:
    """A job that has run in ws-dev, with an output `model`; its code is put into the folder."""
    (code / "train.py").write_text(TRAINING)
    submitted = client("dev", azure).jobs.create_or_update(
        command(
            code=code,
            command="python train.py ${{outputs.model}}",
            environment="azureml:sklearn:1",
            compute="cpu",
            experiment_name="digits-training",
            outputs={"model": Output(type="custom_model")},
            tags={"team": "digits"},
        )
    )
    workspace = azure.workspace("dev")

    def ended() -> Job | None:
        job = workspace.job(str(submitted.name))
        return job if job and job.status in ("Completed", "Failed", "Canceled") else None

    return until(ended, "the job's end")
