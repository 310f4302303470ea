"""What every `Workspace` must do: the adapter of Azure ML, against the local one, and the fake that the fast tests use.

So a test of a step that passes with the fake says something about Azure ML.
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.ports import (
    BusyError,
    Capability,
    JobOutput,
    same_asset,
)
from tests.cloud.local_azure import until
from tests.cloud.two_workspaces import Azure, chosen, found


@pytest.fixture(params=["fake", "real"])
def azure_ml(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    yield from chosen(request, tmp_path_factory)


# --- models and jobs --------------------------------------------------------------------------------------------------


def test_what_does_not_exist_is_none_or_nothing(azure_ml: Azure) -> None:
    dev = azure_ml.dev
    for one in (dev.model("nobody", "1"), dev.job("nobody"), dev.registry_model("nobody", "1")):
        assert one is None
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
    assert azure_ml.dev.region() == "westeurope"
    for capability in Capability:
        assert list(found(azure_ml.dev.missing_rights(capability))) == []
