"""What the control plane says about a job, compared with what would be submitted under its name."""

from pathlib import Path
from typing import Any

import pytest

from shared.cloud.azureml_job_comparison import differences
from shared.cloud.azureml_job_files import described, load
from shared.cloud.azureml_rest import Rest
from shared.cloud.azureml_uploads import content_hash
from shared.ports import JobInput, JobSubmission, RejectedError

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
DATA = f"{WORKSPACE}/data/holdout/versions/7"
CODE = f"{WORKSPACE}/codes/c/versions/1"
JOB = """
command: python evaluate.py ${{inputs.data}}
code: src
environment: azureml:sklearn:1
environment_variables: {MODE: strict}
inputs: {data: {type: uri_folder}, threshold: 0.5}
"""
SUBMISSION = JobSubmission("j", {"data": JobInput(DATA, "uri_folder")})


class Codes(Rest):
    """Knows one code asset."""

    def __init__(self, noted: str | None) -> None:
        self.noted = noted

    def get(self, url: str, **query: str) -> Any:
        assert url == CODE
        return {"properties": {"properties": {"hash_sha256": self.noted} if self.noted else {}}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "evaluate.py").write_text("print()")
    (tmp_path / "conda.yml").write_text("dependencies: [python=3.11]")
    (tmp_path / "job.yml").write_text(JOB)
    return tmp_path / "job.yml"


def shown(**changes: Any) -> dict[str, Any]:
    """The job's properties as Azure gives them."""
    inputs = {"data": {"jobInputType": "uri_folder", "uri": DATA}, "threshold": {"value": "0.5"}}
    return {
        "command": "python evaluate.py ${{inputs.data}}",
        "codeId": CODE,
        "environmentId": f"{WORKSPACE}/environments/sklearn/versions/1",
        "environmentVariables": {"MODE": "strict"},
        "inputs": inputs,
        **changes,
    }


def found(file: Path, there: dict[str, Any], noted: str | None = "") -> list[str]:
    hash_of_code = content_hash(file.parent / "src") if noted == "" else noted
    return list(differences(Codes(hash_of_code), there, load(file, SUBMISSION)))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"codeId": f"azureml:{CODE}"},
        {"environmentId": f"{WORKSPACE.upper()}/environments/sklearn/versions/1"},
        {"environmentVariables": {"MODE": "strict", "AZUREML_RUN": "1"}},
        {"inputs": {"data": {"uri": f"azureml:{DATA}"}, "threshold": {"value": "0.5"}}},
        {"inputs": {"data": {"uri": "azureml:holdout:7"}, "threshold": {"value": "0.5"}}},
    ],
)
def test_the_same_job_in_other_words_is_the_same(file: Path, changes: dict[str, Any]) -> None:
    assert found(file, shown(**changes)) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"command": "echo"}, "its command"),
        ({"codeId": None}, "its code"),
        ({"environmentId": f"{WORKSPACE}/environments/sklearn/versions/2"}, "its environment"),
        ({"environmentId": "azureml://registries/r/environments/sklearn/versions/1"}, "its environment"),
        ({"environmentVariables": {}}, "its environment variables"),
        ({"environmentVariables": {"MODE": "strict", "PYTHONPATH": "/x"}}, "its environment variables"),
        ({"inputs": {"data": {"uri": DATA}, "threshold": {"value": "0.4"}}}, "its input threshold"),
        ({"inputs": {"data": {"uri": DATA}}}, "its input threshold"),
        ({"inputs": {"data": {"uri": "azureml:holdout:6"}, "threshold": {"value": "0.5"}}}, "its input data"),
        ({"inputs": {"data": {"uri": "azureml://x/holdout:7"}, "threshold": {"value": "0.5"}}}, "its input data"),
    ],
)
def test_what_differs_is_named(file: Path, changes: dict[str, Any], said: str) -> None:
    assert found(file, shown(**changes)) == [said]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("environment:", "compute: azureml:local\nenvironment:", "would run the job in this app"),
        ("environment:", "compute: local\nenvironment:", "would run the job in this app"),
        ("code: src", "code: git+https://github.com/someone/evaluate", "as code"),
    ],
)
def test_a_job_that_would_run_here_or_whose_code_may_change_is_refused(
    file: Path, old: str, new: str, said: str
) -> None:
    file.write_text(JOB.replace(old, new))
    with pytest.raises(RejectedError, match=said):
        described(file)


@pytest.mark.parametrize("noted", ["another", None])
def test_code_counts_by_the_hash_that_was_noted_of_it(file: Path, noted: str | None) -> None:
    assert found(file, shown(), noted) == ["its code"]


def test_a_label_fits_the_version_that_it_stood_for(file: Path) -> None:
    curated = "azureml://registries/azureml/environments/sklearn-1.5"
    file.write_text(JOB.replace("azureml:sklearn:1", f"{curated}/labels/latest"))
    assert found(file, shown(environmentId=f"{curated}/versions/34")) == []
    assert found(file, shown()) == ["its environment"]


def test_an_environment_that_the_file_describes_counts_by_its_content(file: Path) -> None:
    described = "environment: {image: ubuntu, conda_file: conda.yml}"
    file.write_text(JOB.replace("environment: azureml:sklearn:1", described))
    made = load(file, SUBMISSION).environment
    there = shown(environmentId=f"{WORKSPACE}/environments/{made.name}/versions/{made.version}")
    assert found(file, there) == []
    (file.parent / "conda.yml").write_text("dependencies: [python=3.12]")
    assert found(file, there) == ["its environment"]
