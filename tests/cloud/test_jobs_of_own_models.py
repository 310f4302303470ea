"""A job that is given a model of its own workspace, not a copy from the registry."""

from pathlib import Path

from shared.cloud.azureml import AzureMLWorkspace
from shared.core import asset_names
from shared.ports import JobInput, JobSubmission
from tests.cloud.conftest import Registered

JOB = """
command: ls ${{inputs.model}}
environment: azureml:sklearn:1
compute: azureml:cpu
inputs: {model: {type: custom_model}}
"""


def test_it_gets_the_model_and_is_recognised_as_what_was_submitted(
    dev: AzureMLWorkspace, registered: Registered, name: str, tmp_path: Path
) -> None:
    registered(name)
    model = dev.model(name, "1")
    assert model
    (tmp_path / "evaluate.yml").write_text(JOB)
    asked = JobSubmission(f"job-{name}", {"model": JobInput(model.asset_id)}, experiment="own")
    job = dev.start_job(tmp_path / "evaluate.yml", asked)
    given = asset_names.read(job.inputs["model"])
    assert given
    assert (given.reference, given.workspace) == (f"model:{name}:1", "ws-dev")
    assert list(dev.job_differences(job, tmp_path / "evaluate.yml", asked)) == []
