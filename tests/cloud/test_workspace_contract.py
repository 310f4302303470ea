"""What every `Workspace` must do: the adapter of Azure ML, against the local one, and the fake that the fast tests use.

So a test of a step that passes with the fake says something about Azure ML.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from azure.ai.ml.entities import Data

from shared.ports import (
    BusyError,
    Capability,
    Deployment,
    Endpoint,
    Job,
    JobOutput,
    RejectedError,
    Workspace,
    same_asset,
)
from tests.cloud.conftest import Registered, client, train
from tests.cloud.local_azure import LocalAzure, until
from tests.cloud.pipelines import train_in_steps
from tests.fakes.workspace import FakeRegistry, FakeWorkspace

T = TypeVar("T")
OURS = {"mlpromote.promotion": "p"}
OF_ROUTE = {"mlpromote.route": "digits"}


def found(one: T | None) -> T:
    assert one is not None
    return one


class Azure(ABC):
    """Two workspaces with one registry between them, and what their users do there."""

    def __init__(self, dev: Workspace, test: Workspace) -> None:
        self.dev = dev
        self.test = test

    @abstractmethod
    def register(self, name: str, version: str = "1", **tags: str) -> None:
        """A data scientist registers files in dev."""

    @abstractmethod
    def create_data(self, name: str) -> None:
        """A data scientist creates version 3 of a data asset in dev."""

    @abstractmethod
    def train(self) -> Job:
        """A job in dev has ended, with an output `model` and an accuracy of 0.75."""

    @abstractmethod
    def train_in_steps(self) -> str:
        """A pipeline in dev has ended: its step `measure` has logged an `auc` of 0.75, and its step `train` nothing."""

    @abstractmethod
    def have_no_room(self) -> None:
        """The next deployments in test fail for want of quota."""


class FakeAzure(Azure):
    def __init__(self) -> None:
        registry = FakeRegistry()
        self._dev = FakeWorkspace(registry, "ws-dev", polls_until_ready=1)
        self._test = FakeWorkspace(registry, "ws-test", polls_until_ready=1)
        super().__init__(self._dev, self._test)

    def register(self, name: str, version: str = "1", **tags: str) -> None:
        self._dev.has_model(name, version, tags=tags, created=datetime.now(UTC))

    def create_data(self, name: str) -> None:
        self._dev.has_data(name, "3")

    def train(self) -> Job:
        job = Job("brave_fox", "Completed", "digits-training", outputs={"model": "custom_model"})
        self._dev.jobs[job.name] = job
        self._dev.job_metrics[job.name] = {"accuracy": 0.75, "loss": math.nan}
        return job

    def train_in_steps(self) -> str:
        self._dev.jobs["whole"] = Job("whole", "Completed", "churn-pipeline", is_pipeline=True)
        for number, node in enumerate(("train", "measure")):
            step = Job(f"step-{number}", "Completed", "churn-pipeline", parent="whole", root="whole", node=node)
            self._dev.jobs[step.name] = step
        self._dev.job_metrics["step-1"] = {"auc": 0.75}
        return "whole"

    def have_no_room(self) -> None:
        self._test.fails_to_deploy = "OutOfQuota: there is no room"


class RealAzure(Azure):
    def __init__(self, azure: LocalAzure, registered: Registered, folder: Path) -> None:
        super().__init__(azure.workspace("dev"), azure.workspace("test"))
        self._azure = azure
        self._registered = registered
        self._folder = folder

    def register(self, name: str, version: str = "1", **tags: str) -> None:
        self._registered(name, version, **tags)

    def create_data(self, name: str) -> None:
        rows = self._folder / f"{name}.csv"
        rows.write_text(name)
        client("dev", self._azure).data.create_or_update(Data(name=name, version="3", path=str(rows), type="uri_file"))

    def train(self) -> Job:
        return train(self._azure, self._folder)

    def train_in_steps(self) -> str:
        name = train_in_steps(self._azure, self._folder, f"model-of-{self._folder.name}")
        until(lambda: (job := self.dev.job(name)) and job.status == "Completed", "the pipeline's end")
        return name

    def have_no_room(self) -> None:
        self._azure.fault("out_of_quota")


@pytest.fixture(params=["fake", "real"])
def azure_ml(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    if request.param == "fake":
        yield FakeAzure()
        return
    azure: LocalAzure = request.getfixturevalue("azure")
    yield RealAzure(azure, request.getfixturevalue("registered"), tmp_path_factory.mktemp("training"))
    azure.no_faults()


# --- models and jobs --------------------------------------------------------------------------------------------------


def test_what_does_not_exist_is_none_or_nothing(azure_ml: Azure) -> None:
    dev = azure_ml.dev
    for found in (dev.model("nobody", "1"), dev.job("nobody"), dev.registry_model("nobody", "1")):
        assert found is None
    assert (dev.endpoint("nobody"), dev.deployment("nobody", "blue")) == (None, None)
    assert (list(dev.model_versions("nobody")), list(dev.deployments("nobody"))) == ([], [])
    assert dev.metrics("nobody") == {}


def test_a_model_is_read_with_its_tags_and_an_id_of_its_own(azure_ml: Azure, name: str) -> None:
    azure_ml.register(name, promote="true")
    azure_ml.register(name, "2")
    first, second = (found(azure_ml.dev.model(name, version)) for version in ("1", "2"))
    assert (first.name, first.version, first.tags) == (name, "1", {"promote": "true"})
    assert (first.job, first.origin) == (None, None)
    assert first.asset_id.startswith("azureml://locations/")
    assert first.asset_id.endswith(f"/models/{name}/versions/1")
    assert not same_asset(first.asset_id, second.asset_id)
    assert first.created
    assert first.path
    assert azure_ml.dev.has_files(first)


def test_a_model_is_in_the_workspace_where_it_was_registered_alone(azure_ml: Azure, name: str) -> None:
    azure_ml.register(name)
    assert azure_ml.test.model(name, "1") is None
    assert list(azure_ml.test.model_versions(name)) == []


def test_versions_come_in_the_order_of_their_registration_the_newest_first(azure_ml: Azure, name: str) -> None:
    for version in ("2", "10", "1"):
        azure_ml.register(name, version)
    assert [model.version for model in azure_ml.dev.model_versions(name)] == ["1", "10", "2"]


def test_models_since_a_time_are_those_that_were_registered_from_then_on(azure_ml: Azure, name: str) -> None:
    azure_ml.register(name, "1")
    azure_ml.register(name, "2")
    since = found(found(azure_ml.dev.model(name, "2")).created)
    listed = [(model.name, model.version) for model in azure_ml.dev.models_since(since)]
    assert [version for known, version in listed if known == name] == ["2"]


def test_a_job_is_read_with_its_outputs_and_metrics(azure_ml: Azure) -> None:
    job = azure_ml.train()
    again = found(azure_ml.dev.job(job.name))
    assert (again.status, again.experiment, again.outputs["model"]) == ("Completed", "digits-training", "custom_model")
    metrics = azure_ml.dev.metrics(job.name)
    assert metrics.keys() == {"accuracy", "loss"}
    assert metrics["accuracy"] == 0.75
    assert math.isnan(metrics["loss"])


def test_a_step_of_a_pipeline_is_read_as_a_job_below_it_and_has_metrics_of_its_own(azure_ml: Azure) -> None:
    pipeline = azure_ml.train_in_steps()
    steps = {each.node: each for each in azure_ml.dev.step_metrics(pipeline)}
    assert {node: each.metrics for node, each in steps.items()} == {"train": {}, "measure": {"auc": 0.75}}
    step = found(azure_ml.dev.job(steps["train"].run))
    assert (step.status, step.parent, step.root, step.node) == ("Completed", pipeline, pipeline, "train")
    assert found(azure_ml.dev.job(pipeline)).is_pipeline
    assert list(azure_ml.dev.step_metrics(step.name)) == []


def test_an_output_is_registered_once_under_a_version_and_names_its_job(azure_ml: Azure, name: str) -> None:
    job = azure_ml.train()
    for _ in range(2):
        made = azure_ml.dev.register_output(name, "1", JobOutput(job, "model"), {"promote": "true"}, {})
        assert (made.name, made.version, made.job) == (name, "1", job.name)
    (model,) = azure_ml.dev.model_versions(name)
    assert (model.job, model.tags, model.asset_id) == (job.name, {"promote": "true"}, made.asset_id)


def test_an_output_does_not_take_the_version_of_another_model(azure_ml: Azure, name: str) -> None:
    azure_ml.register(name)
    with pytest.raises(BusyError):
        azure_ml.dev.register_output(name, "1", JobOutput(azure_ml.train(), "model"), {}, {})
    assert found(azure_ml.dev.model(name, "1")).job is None


# --- the registry -----------------------------------------------------------------------------------------------------


def test_a_shared_model_is_seen_from_the_other_workspace_and_names_its_origin(azure_ml: Azure, name: str) -> None:
    azure_ml.register(name, promote="true")
    assert azure_ml.dev.registry_model(name, "1") is None
    azure_ml.dev.start_share(name, "1")
    copy = until(lambda: azure_ml.dev.registry_model(name, "1"), "the copy in the registry")
    assert same_asset(copy.origin, found(azure_ml.dev.model(name, "1")).asset_id)
    assert copy.asset_id.startswith("azureml://registries/")
    assert copy.asset_id.endswith(f"/models/{name}/versions/1")
    assert copy.tags == {"promote": "true"}
    assert azure_ml.test.registry_model(name, "1") == copy


def test_shared_data_is_seen_from_the_other_workspace_and_names_its_origin(azure_ml: Azure, name: str) -> None:
    azure_ml.create_data(name)
    assert azure_ml.dev.registry_data(name, "3") is None
    for _ in range(2):
        azure_ml.dev.start_data_share(name, "3")
    copy = until(lambda: azure_ml.dev.registry_data(name, "3"), "the copy in the registry")
    assert same_asset(copy.origin, azure_ml.dev.data_origin(name, "3"))
    assert copy.asset_id.startswith("azureml://registries/")
    assert copy.asset_id.endswith(f"/data/{name}/versions/3")
    assert azure_ml.test.registry_data(name, "3") == copy


def test_the_models_of_the_registry_are_found_by_name_and_time(azure_ml: Azure, name: str) -> None:
    azure_ml.register(name)
    azure_ml.dev.start_share(name, "1")
    copy = until(lambda: azure_ml.dev.registry_model(name, "1"), "the copy in the registry")
    made = copy.created or datetime.now(UTC)
    assert list(azure_ml.test.registry_models_since(made, lambda each: each == name)) == [copy]
    assert list(azure_ml.test.registry_models_since(made, lambda each: each == "nobody")) == []
    assert list(azure_ml.test.registry_models_since(made + timedelta(seconds=1), lambda each: each == name)) == []


def test_an_identity_with_all_rights_in_a_region_of_the_registry_lacks_nothing(azure_ml: Azure) -> None:
    assert azure_ml.dev.missing_region() is None
    for capability in Capability:
        assert list(found(azure_ml.dev.missing_rights(capability))) == []


# --- endpoints and deployments ----------------------------------------------------------------------------------------


class Serving:
    """An endpoint in test, and a model in the registry to deploy to it."""

    def __init__(self, azure_ml: Azure, name: str, folder: Path) -> None:
        self.azure_ml = azure_ml
        self.workspace = azure_ml.test
        self.endpoint = f"e{name}"
        self._file = folder / "deployment.yml"
        azure_ml.register(name)
        azure_ml.dev.start_share(name, "1")
        self.model = until(lambda: azure_ml.dev.registry_model(name, "1")).asset_id
        self.workspace.start_endpoint(self.endpoint, OF_ROUTE)
        self.settled()

    def settled(self) -> Endpoint:
        return until(
            lambda: one if (one := self.workspace.endpoint(self.endpoint)) and one.state == "Succeeded" else None
        )

    def start(self, deployment: str, endpoint: str = "") -> None:
        self.workspace.start_deployment(self._file, endpoint or self.endpoint, deployment, self.model, OURS)

    def ended(self, deployment: str) -> Deployment:
        def look() -> Deployment | None:
            one = self.workspace.deployment(self.endpoint, deployment)
            return one if one and one.state in ("Succeeded", "Failed") else None

        return until(look, f"{deployment} has ended")

    def deploy(self, *deployments: str) -> None:
        for deployment in deployments:
            self.start(deployment)
            assert self.ended(deployment).state == "Succeeded"
            self.settled()

    def give_traffic(self, traffic: Mapping[str, int]) -> None:
        self.workspace.start_traffic(self.endpoint, traffic)
        self.settled()


@pytest.fixture
def serving(azure_ml: Azure, name: str, folder: Path) -> Serving:
    return Serving(azure_ml, name, folder)


def test_a_new_endpoint_has_its_tags_and_no_traffic(serving: Serving) -> None:
    made = serving.settled()
    assert (made.tags, made.traffic, made.error) == (OF_ROUTE, {}, "")
    assert made.scoring_uri
    assert list(serving.workspace.deployments(serving.endpoint)) == []


def test_a_deployment_of_the_model_is_there_once_it_has_succeeded_and_takes_no_traffic(serving: Serving) -> None:
    serving.deploy("v1-abc")
    made = found(serving.workspace.deployment(serving.endpoint, "v1-abc"))
    assert (made.name, made.state, made.error) == ("v1-abc", "Succeeded", "")
    assert same_asset(made.model, serving.model)
    assert made.tags.items() >= OURS.items()
    assert [each.name for each in serving.workspace.deployments(serving.endpoint)] == ["v1-abc"]
    assert serving.settled().traffic == {}


def test_a_model_of_the_workspace_itself_can_be_deployed_and_is_named_as_it_was_read(
    azure_ml: Azure, name: str, folder: Path
) -> None:
    azure_ml.register(name)
    workspace, model = azure_ml.dev, found(azure_ml.dev.model(name, "1"))
    workspace.start_endpoint(f"d{name}", OF_ROUTE)
    until(lambda: found(workspace.endpoint(f"d{name}")).state == "Succeeded", "the endpoint")
    workspace.start_deployment(folder / "deployment.yml", f"d{name}", "v1-abc", model.asset_id, OURS)
    until(lambda: found(workspace.deployment(f"d{name}", "v1-abc")).state == "Succeeded", "the deployment")
    assert same_asset(found(workspace.deployment(f"d{name}", "v1-abc")).model, model.asset_id)
    assert [same_asset(each.model, model.asset_id) for each in workspace.deployments(f"d{name}")] == [True]


def test_no_operation_begins_on_what_another_one_is_at_work_on(serving: Serving, name: str) -> None:
    serving.workspace.start_endpoint(f"f{name}", OF_ROUTE)
    with pytest.raises(BusyError):
        serving.start("v1-abc", f"f{name}")
    serving.start("v1-abc")
    with pytest.raises(BusyError):
        serving.start("v1-abc")
    assert serving.ended("v1-abc").state == "Succeeded"


def test_traffic_goes_to_what_is_named_and_the_tags_stay(serving: Serving) -> None:
    serving.deploy("v1-abc", "v2-abc")
    serving.give_traffic({"v1-abc": 100})
    assert serving.settled().traffic == {"v1-abc": 100}
    serving.give_traffic({"v1-abc": 0, "v2-abc": 100})
    changed = serving.settled()
    assert (changed.traffic, changed.tags) == ({"v2-abc": 100}, OF_ROUTE)


def test_traffic_cannot_be_given_to_a_deployment_that_does_not_exist(serving: Serving) -> None:
    serving.deploy("v1-abc")
    with pytest.raises(RejectedError):
        serving.workspace.start_traffic(serving.endpoint, {"v2-abc": 100})
    assert serving.settled().traffic == {}


def test_what_takes_traffic_cannot_be_removed_and_anything_else_can(serving: Serving) -> None:
    serving.deploy("v1-abc", "v2-abc")
    serving.give_traffic({"v2-abc": 100})
    with pytest.raises(RejectedError):
        serving.workspace.start_removal(serving.endpoint, "v2-abc")
    serving.workspace.start_removal(serving.endpoint, "v1-abc")
    until(lambda: serving.workspace.deployment(serving.endpoint, "v1-abc") is None, "the removal")
    assert [each.name for each in serving.workspace.deployments(serving.endpoint)] == ["v2-abc"]
    assert serving.settled().traffic == {"v2-abc": 100}


def test_a_deployment_that_fails_says_why_and_stays_until_it_is_removed(serving: Serving) -> None:
    serving.azure_ml.have_no_room()
    serving.start("v1-abc")
    broken = serving.ended("v1-abc")
    assert broken.state == "Failed"
    assert broken.error.startswith("OutOfQuota: ")
    assert broken.unread == ""
    serving.workspace.start_removal(serving.endpoint, "v1-abc")
    until(lambda: serving.workspace.deployment(serving.endpoint, "v1-abc") is None, "the removal")


def test_each_request_gets_an_answer_of_the_deployment_that_is_named(serving: Serving) -> None:
    serving.deploy("v1-abc")
    answers = list(serving.workspace.score(serving.endpoint, "v1-abc", [{"numbers": [1]}, {"numbers": [2]}]))
    assert [answer.status for answer in answers] == [200, 200]
    assert all(answer.seconds > 0 for answer in answers)
    assert len(serving.workspace.logs(serving.endpoint, "v1-abc", 2).splitlines()) <= 2


def test_nothing_can_be_done_with_an_endpoint_that_does_not_exist(azure_ml: Azure, folder: Path) -> None:
    workspace = azure_ml.test
    with pytest.raises(RejectedError):
        list(workspace.score("nobody", None, [1]))
    with pytest.raises(RejectedError):
        workspace.start_traffic("nobody", {})
    with pytest.raises(RejectedError):
        workspace.start_deployment(folder / "deployment.yml", "nobody", "v1-abc", "azureml:m:1", OURS)


# --- deployment files -------------------------------------------------------------------------------------------------


def test_a_deployment_file_is_read_with_its_size_and_all_files_of_its_code(azure_ml: Azure, folder: Path) -> None:
    described = azure_ml.test.deployment_file(folder / "deployment.yml")
    assert list(described.files) == [folder / "deployment.yml", folder / "scoring" / "score.py"]
    assert (described.instance_type, described.instances) == ("Standard_DS3_v2", 1)


@pytest.mark.parametrize("content", [None, "", "- a list", "instance_type: ["])
def test_a_deployment_file_that_cannot_be_used_is_refused_before_anything_begins(
    azure_ml: Azure, folder: Path, content: str | None
) -> None:
    file = folder / "other.yml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(RejectedError):
        azure_ml.test.deployment_file(file)
    with pytest.raises(RejectedError):
        azure_ml.test.start_deployment(file, "nobody", "v1-abc", "azureml:m:1", OURS)
