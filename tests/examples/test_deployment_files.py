import json
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import load_job, load_online_deployment

from tests.examples.conftest import DIGITS

# The SDK's own use of marshmallow warns.
pytestmark = pytest.mark.filterwarnings("ignore::marshmallow.warnings.RemovedInMarshmallow4Warning")

DEPLOYMENTS = sorted((DIGITS / "deployments").glob("*.yml"))


@pytest.mark.parametrize("file", DEPLOYMENTS, ids=lambda file: file.name)
def test_a_deployment_file_is_one_that_the_sdk_loads_and_leaves_the_model_out(file: Path) -> None:
    deployment: Any = load_online_deployment(file)

    assert deployment.model is None
    assert (file.parent / deployment.code_configuration.code / deployment.code_configuration.scoring_script).is_file()
    assert deployment.instance_count >= 1


def test_the_training_job_is_one_that_the_sdk_loads_and_has_the_output_that_is_registered() -> None:
    job: Any = load_job(DIGITS / "train" / "job.yml")

    assert job.experiment_name == "digits-training"
    assert job.outputs["model"].type == "custom_model"
    assert {"training_rows", "layout"} <= set(job.inputs)


def test_the_smoke_requests_cover_every_digit() -> None:
    lines = (DIGITS / "smoke" / "digits.jsonl").read_text().splitlines()

    assert {digit for line in lines for digit in json.loads(line)["expected"]["digits"]} == set(range(10))
