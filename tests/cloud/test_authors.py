"""Who made a model, according to Azure ML: by object id, never by a display name."""

from pathlib import Path

import pytest

from localcloud.identity.configuration import principal_of
from shared.cloud.azureml import AzureMLWorkspace
from shared.core.approval import Author
from shared.ports import ForbiddenError, Model
from tests.cloud.conftest import client
from tests.cloud.local_azure import DORA, STRANGER, WORKER, LocalAzure, until

A_PERSON = Author(DORA, "dora", is_person=True)
AN_APPLICATION = Author(principal_of(WORKER), "worker", is_person=False)


def registered(azure: LocalAzure, folder: Path, name: str, identity: str, path: str = "") -> Model:
    from azure.ai.ml.entities import Model as Entity

    entity = Entity(name=name, version="1", path=path or folder, type="custom_model")
    client("dev", azure, identity).models.create_or_update(entity)
    found = azure.workspace("dev").model(name, "1")
    assert found
    return found


@pytest.fixture(scope="module")
def job_of_dora(azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A job that she has run, with an output `model`."""
    from azure.ai.ml import Output, command

    code = tmp_path_factory.mktemp("training")
    (code / "train.py").write_text("import pathlib, sys; pathlib.Path(sys.argv[1], 'm').write_text('1')\n")
    submitted = client("dev", azure, DORA).jobs.create_or_update(
        command(
            code=code,
            command="python train.py ${{outputs.model}}",
            environment="azureml:sklearn:1",
            compute="cpu",
            outputs={"model": Output(type="custom_model")},
        )
    )
    workspace, name = azure.workspace("dev"), str(submitted.name)
    until(lambda: (job := workspace.job(name)) and job.status == "Completed", "the job's end")
    return name


def test_who_registered_a_model_by_hand_is_its_author(
    azure: LocalAzure, dev: AzureMLWorkspace, folder: Path, name: str
) -> None:
    assert dev.authors(registered(azure, folder, name, DORA)) == [A_PERSON]


def test_an_application_is_distinguished_from_a_person(
    azure: LocalAzure, dev: AzureMLWorkspace, folder: Path, name: str
) -> None:
    assert dev.authors(registered(azure, folder, name, WORKER)) == [AN_APPLICATION]


def test_the_author_of_a_jobs_output_is_who_ran_the_job_whatever_registered_it(
    azure: LocalAzure, dev: AzureMLWorkspace, folder: Path, name: str, job_of_dora: str
) -> None:
    output = f"azureml://jobs/{job_of_dora}/outputs/model/paths/"
    model = registered(azure, folder, name, WORKER, output)
    assert model.job == job_of_dora
    assert dev.authors(model) == [A_PERSON]


def test_whom_azure_ml_does_not_know_has_no_id_and_is_no_person(dev: AzureMLWorkspace) -> None:
    unknown = Author("", "unknown", is_person=False)
    assert dev.authors(Model("nobody", "1", "azureml://nobody", job="no-such-job")) == [unknown]
    assert dev.authors(Model("nobody", "1", "azureml://nobody")) == [unknown]


def test_an_identity_that_may_not_read_the_workspace_is_told_so(azure: LocalAzure, folder: Path, name: str) -> None:
    model = registered(azure, folder, name, DORA)
    with pytest.raises(ForbiddenError, match="who made model"):
        azure.workspace("dev", STRANGER).authors(model)
