"""What every `Workspace` must do with batch endpoints: the adapter of Azure ML, against the local one, and the fake."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.ports import EndpointKind, Invocation, RejectedError, SubmittedJob, same_asset
from tests.cloud.local_azure import until
from tests.cloud.served_endpoint import OF_ROUTE, OURS, ServedEndpoint, shared_model
from tests.cloud.two_workspaces import Azure, chosen, found

SCORING = """
import json, os, pathlib

def init():
    global model
    model = json.loads(next(pathlib.Path(os.environ["AZUREML_MODEL_DIR"]).rglob("model.json")).read_text())

def run(mini_batch):
    return [f"{pathlib.Path(file).name} {len(pathlib.Path(file).read_text()) + model['plus']}" for file in mini_batch]
"""
DEPLOYMENT = """
$schema: https://azuremlschemas.azureedge.net/latest/modelBatchDeployment.schema.json
type: model
environment: azureml:sklearn:1
code_configuration: {code: scoring, scoring_script: score.py}
compute: azureml:cpu
resources: {instance_count: 2}
settings: {mini_batch_size: 5, retry_settings: {max_retries: 0, timeout: 30}}
tags: {team: digits}
"""


@pytest.fixture(params=["fake", "real"])
def azure_ml(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    yield from chosen(request, tmp_path_factory)


class Batch(ServedEndpoint):
    """A batch endpoint in test, and a model in the registry to deploy to it."""

    def __init__(self, azure_ml: Azure, name: str, folder: Path) -> None:
        self.azure_ml = azure_ml
        self.online = azure_ml.test
        self.workspace = azure_ml.test.with_endpoints(EndpointKind.BATCH)
        self.endpoint = f"b{name}"
        self.file = folder / "batch.yml"
        (folder / "scoring" / "score.py").write_text(SCORING)
        self.file.write_text(DEPLOYMENT)
        self.model = shared_model(azure_ml, name)
        self.workspace.start_endpoint(self.endpoint, OF_ROUTE)
        self.settled()

    def start(self, deployment: str) -> None:
        self.workspace.start_deployment(self.file, self.endpoint, deployment, self.model, OURS)

    def deploy(self, *deployments: str) -> None:
        for deployment in deployments:
            self.start(deployment)
            assert self.ended(deployment).state == "Succeeded"

    def make_default(self, deployment: str | None) -> None:
        self.workspace.start_traffic(self.endpoint, {deployment: 100} if deployment else {}, {})
        self.settled()

    def invocation(self, name: str) -> Invocation:
        data = found(self.workspace.data_asset(f"{self.endpoint}-rows", "3"))
        return Invocation(name, data.asset_id, data.type, f"mlpromote/{name}/rows.csv", "mlpromote-digits")

    def job_ended(self, name: str) -> SubmittedJob:
        def look() -> SubmittedJob | None:
            job = self.workspace.submitted_job(name)
            return job if job and job.status in ("Completed", "Failed", "Canceled") else None

        return until(look, f"the end of job {name}")


@pytest.fixture
def batch(azure_ml: Azure, name: str, folder: Path) -> Batch:
    return Batch(azure_ml, name, folder)


def test_a_new_endpoint_has_its_tags_and_no_default_and_is_no_online_endpoint(batch: Batch) -> None:
    made = batch.settled()
    assert (made.tags, made.traffic, made.mirror, made.kind) == (OF_ROUTE, {}, {}, EndpointKind.BATCH)
    assert made.settings.auth_mode == "aad_token"
    assert batch.online.endpoint(batch.endpoint) is None
    assert list(batch.online.deployments(batch.endpoint)) == []
    assert batch.workspace.with_endpoints(EndpointKind.ONLINE).endpoint(batch.endpoint) is None
    assert batch.workspace.endpoint("nobody") is None
    assert batch.workspace.deployment(batch.endpoint, "nobody") is None


def test_a_deployment_is_made_from_its_file_with_our_model_and_tags(batch: Batch) -> None:
    batch.deploy("v1-abc")
    made = batch.ended("v1-abc")
    assert made.tags.items() >= OURS.items()
    assert same_asset(made.model, batch.model)
    assert [each.name for each in batch.workspace.deployments(batch.endpoint)] == ["v1-abc"]
    assert batch.settled().traffic == {}  # the default stays


def test_the_default_moves_from_one_to_another_and_back_and_to_none(batch: Batch) -> None:
    batch.deploy("v1-abc", "v2-abc")
    for default in ("v1-abc", "v2-abc", "v1-abc", None):
        batch.make_default(default)
        assert batch.settled().traffic == ({default: 100} if default else {})
        assert batch.settled().tags == OF_ROUTE


@pytest.mark.parametrize(
    ("traffic", "mirror"), [({"v1-abc": 50, "v2-abc": 50}, {}), ({"v1-abc": 40}, {}), ({"v1-abc": 100}, {"v2-abc": 9})]
)
def test_a_default_has_no_shares(batch: Batch, traffic: dict[str, int], mirror: dict[str, int]) -> None:
    batch.deploy("v1-abc", "v2-abc")
    with pytest.raises(RejectedError):
        batch.workspace.start_traffic(batch.endpoint, traffic, mirror)
    assert batch.settled().traffic == {}


def test_what_does_not_exist_cannot_be_the_default(batch: Batch) -> None:
    with pytest.raises(RejectedError):
        batch.workspace.start_traffic(batch.endpoint, {"nobody": 100}, {})
    with pytest.raises(RejectedError):
        batch.workspace.start_traffic("nobody", {}, {})


def test_a_deployment_is_removed(batch: Batch) -> None:
    batch.deploy("v1-abc", "v2-abc")
    batch.make_default("v2-abc")
    batch.workspace.start_removal(batch.endpoint, "v1-abc")
    until(lambda: batch.workspace.deployment(batch.endpoint, "v1-abc") is None)
    assert batch.settled().traffic == {"v2-abc": 100}


def test_an_endpoint_gets_what_a_file_names_and_keeps_its_default(batch: Batch, tmp_path: Path) -> None:
    batch.deploy("v1-abc")
    batch.make_default("v1-abc")
    file = tmp_path / "endpoint.yml"
    file.write_text("description: scores\ntags: {team: churn}\n")
    assert batch.workspace.endpoint_file(file).settings.description == "scores"
    batch.workspace.start_endpoint_change(batch.endpoint, file)
    after = batch.settled()
    assert (after.tags, after.traffic) == ({"team": "churn", **OF_ROUTE}, {"v1-abc": 100})
    assert after.settings.description == "scores"


@pytest.mark.parametrize("content", [None, "- a list", "defaults: {deployment_name: v1}"])
def test_an_endpoint_file_that_cannot_be_used_is_refused(batch: Batch, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "endpoint.yml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(RejectedError):
        batch.workspace.endpoint_file(file)


def test_a_file_says_which_cluster_and_which_files_it_needs(batch: Batch, folder: Path) -> None:
    described = batch.workspace.deployment_file(batch.file)
    assert (described.compute, described.instances, described.instance_type) == ("cpu", 2, None)
    assert described.environment == "azureml:sklearn:1"
    assert {file.name for file in described.files} == {"batch.yml", "score.py"}


@pytest.mark.parametrize(
    "content", [None, "", "- a list", "type: pipeline\ncomponent: azureml:train:1\n", "environment: azureml:sklearn:1"]
)
def test_a_file_that_describes_no_batch_deployment_of_a_model_is_refused(
    batch: Batch, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "other.yml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(RejectedError):
        batch.workspace.deployment_file(file)


def test_the_size_of_a_cluster_is_known_and_one_that_is_not_there_is_none(batch: Batch) -> None:
    cluster = found(batch.workspace.cluster("cpu"))
    assert (cluster.size.casefold(), cluster.most_nodes, cluster.is_low_priority) == ("standard_ds3_v2", 1, False)
    assert batch.workspace.cluster("nobody") is None


def test_an_invocation_is_one_job_however_often_it_is_asked_for(batch: Batch, name: str) -> None:
    batch.azure_ml.create_data(f"{batch.endpoint}-rows", in_test=True)
    batch.deploy("v1-abc", "v2-abc")
    batch.make_default("v2-abc")
    invocation = batch.invocation(f"job-{name}")
    for _ in range(2):
        job = batch.workspace.start_invocation(batch.endpoint, "v1-abc", invocation)
        assert job.name == invocation.name
    ended = batch.job_ended(job.name)
    assert ended.status == "Completed"
    assert same_asset(ended.inputs["input"], invocation.asset)
    assert batch.workspace.job_creator(job.name) == batch.workspace.own_id()
    content = found(batch.workspace.written(invocation.output, 1000))
    assert len(content.splitlines()) == 1
    assert batch.workspace.written(invocation.output, 3) == content[:3]
    assert batch.workspace.written("mlpromote/nobody/rows.csv", 1000) is None


def test_nothing_is_invoked_that_is_not_there(batch: Batch, name: str) -> None:
    batch.azure_ml.create_data(f"{batch.endpoint}-rows", in_test=True)
    with pytest.raises(RejectedError):
        batch.workspace.start_invocation(batch.endpoint, "nobody", batch.invocation(f"job-{name}"))
    with pytest.raises(RejectedError):
        batch.workspace.start_invocation("nobody", "v1-abc", batch.invocation(f"job-{name}"))
    assert batch.workspace.submitted_job(f"job-{name}") is None
