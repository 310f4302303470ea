import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.ai.ml.entities import Model

from shared.cloud.azureml import AzureMLWorkspace
from shared.ports import RejectedError
from tests.cloud.conftest import Registered, registry_client
from tests.cloud.local_azure import REGISTRY, WORKER, LocalAzure, until, workspace_id


def test_a_model_is_read_with_its_tags_and_where_its_files_are(
    dev: AzureMLWorkspace, name: str, registered: Registered
) -> None:
    registered(name, promote="true")
    model = dev.model(name, "1")
    assert model
    assert (model.name, model.version, model.tags, model.job) == (name, "1", {"promote": "true"}, None)
    assert model.asset_id.startswith("azureml://locations/")
    assert model.asset_id.endswith(f"/models/{name}/versions/1")
    assert model.created
    assert abs(model.created - datetime.now(UTC)) < timedelta(minutes=1)


def test_what_does_not_exist_is_none(dev: AzureMLWorkspace) -> None:
    assert dev.model("nobody", "1") is None
    assert dev.model_versions("nobody") == []
    assert dev.job("nobody") is None
    assert dev.registry_model("nobody", "1") is None
    assert dev.endpoint("nobody") is None
    assert dev.deployment("nobody", "blue") is None
    assert dev.deployments("nobody") == []
    assert dev.metrics("nobody") == {}


def test_versions_are_listed_newest_first_and_those_of_a_time_are_found(
    dev: AzureMLWorkspace, name: str, registered: Registered
) -> None:
    registered(name, "2")
    between = datetime.now(UTC)
    registered(name, "1")
    assert [model.version for model in dev.model_versions(name)] == ["1", "2"]
    assert (name, "1") in [(model.name, model.version) for model in dev.models_since(between)]
    assert (name, "2") not in [(model.name, model.version) for model in dev.models_since(between)]


def test_files_that_are_gone_are_noticed(
    azure: LocalAzure, dev: AzureMLWorkspace, name: str, registered: Registered
) -> None:
    registered(name)
    model = dev.model(name, "1")
    assert model
    assert model.path
    assert dev.has_files(model)
    uploaded = model.path.split("/paths/")[1]
    shutil.rmtree(next(path for path in azure.data.rglob("*") if str(path).endswith(uploaded.rstrip("/"))))
    assert not dev.has_files(model)


def test_sharing_returns_at_once_and_the_copy_names_its_origin(
    dev: AzureMLWorkspace, test: AzureMLWorkspace, name: str, registered: Registered
) -> None:
    registered(name, promote="true")
    model = dev.model(name, "1")
    dev.start_share(name, "1")
    copy = until(lambda: test.registry_model(name, "1"), "the copy in the registry")
    assert model
    assert copy.origin == model.asset_id
    assert copy.asset_id == f"azureml://registries/{REGISTRY}/models/{name}/versions/1"
    assert copy.tags == {"promote": "true"}


def test_an_unknown_registry_is_named(azure: LocalAzure) -> None:
    workspace = AzureMLWorkspace(workspace_id("dev"), "no-such-registry", WORKER, azure.cloud)
    with pytest.raises(RejectedError, match="no-such-registry"):
        workspace.registry_model("model", "1")


def test_a_model_that_was_registered_in_the_registry_is_no_copy(
    azure: LocalAzure, test: AzureMLWorkspace, name: str, tmp_path: Path
) -> None:
    (tmp_path / "model.json").write_text("{}")
    before = datetime.now(UTC)
    model = Model(name=name, version="1", path=str(tmp_path / "model.json"), tags={"promote": "true"})
    registry_client(azure).models.create_or_update(model)
    (found,) = test.registry_models_since(before, lambda each: each == name)
    assert (found.version, found.origin, found.tags) == ("1", None, {"promote": "true"})
    assert test.registry_model(name, "1") == found
