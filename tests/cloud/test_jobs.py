import math
from pathlib import Path

import pytest

from shared.cloud.azureml import AzureMLWorkspace
from shared.ports import BusyError, Job, JobOutput
from tests.cloud.conftest import Registered, train
from tests.cloud.local_azure import LocalAzure


@pytest.fixture(scope="module")
def trained(azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A job that has run in ws-dev, with an output `model`."""
    return train(azure, tmp_path_factory.mktemp("training"))


def test_a_job_is_read_as_it_ended(trained: Job) -> None:
    assert (trained.status, trained.experiment, trained.parent) == ("Completed", "digits-training", None)
    assert trained.outputs["model"] == "custom_model"
    assert trained.tags["team"] == "digits"
    assert trained.code
    assert trained.environment_asset


def test_metrics_are_the_last_values_that_were_logged(dev: AzureMLWorkspace, trained: Job) -> None:
    metrics = dict(dev.metrics(trained.name))
    assert math.isnan(metrics.pop("loss"))
    assert metrics == {"accuracy": 0.75}


def test_an_output_is_registered_with_the_job_as_its_origin(
    dev: AzureMLWorkspace, trained: Job, name: str, folder: Path
) -> None:
    dev.register_output(name, "1", JobOutput(trained, "model"), {"promote": "true"}, {})
    model = dev.model(name, "1")
    assert model
    assert (model.job, model.tags) == (trained.name, {"promote": "true"})
    assert dev.has_files(model)


def test_the_same_output_can_be_registered_again_under_the_same_version(
    dev: AzureMLWorkspace, trained: Job, name: str
) -> None:
    for _ in range(2):
        dev.register_output(name, "1", JobOutput(trained, "model"), {}, {})
    assert len(dev.model_versions(name)) == 1


def test_a_version_that_is_taken_by_another_output_is_for_later(
    dev: AzureMLWorkspace, trained: Job, name: str, registered: Registered
) -> None:
    registered(name, "1")
    with pytest.raises(BusyError, match="meanwhile"):
        dev.register_output(name, "1", JobOutput(trained, "model"), {}, {})
