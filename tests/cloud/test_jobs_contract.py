"""What every `Jobs` must do: the adapter of Azure ML, against the local one, and the fake that the fast tests use."""

from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path

import pytest

from shared.ports import JobInput, JobSubmission, RejectedError, SubmittedJob, Workspace
from tests.cloud.conftest import client
from tests.cloud.local_azure import LocalAzure, until
from tests.cloud.two_workspaces import found
from tests.fakes.jobs import JobOutcome
from tests.fakes.workspace import FakeRegistry, FakeWorkspace

MEASURES = """
import pathlib, sys
import mlflow
mlflow.log_metric("auc", 0.75)
mlflow.log_metric("files", len(list(pathlib.Path(sys.argv[1]).rglob("*"))) + len(sys.argv[2:]))
"""
RAISES = "raise KeyError('no such column')"
HANGS = "import time\ntime.sleep(600)"
OUTCOMES = {
    MEASURES: JobOutcome(metrics={"auc": 0.75, "files": 1.0}),
    RAISES: JobOutcome(
        "Failed",
        error="UserError: Execution failed. User process exited with status code 1.",
        log="Traceback (most recent call last):\nKeyError: 'no such column'",
    ),
}
JOB = """
$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
command: python evaluate.py ${{inputs.data}} $[[--champion ${{inputs.champion}}]]
code: src
environment: azureml:sklearn:1
compute: azureml:cpu
resources: {instance_type: Standard_DS3_v2}
tags: {team: digits}
inputs:
  data: {type: uri_folder, path: azureml:placeholder:1}
  champion: {type: custom_model, path: azureml:placeholder:1}
  threshold: 0.5
  strict: true
"""


class Azure(ABC):
    """A workspace, and what its users do there."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace = workspace
        self.file = folder / "evaluate.yml"
        self.file.write_text(JOB)
        (folder / "src").mkdir()
        self.has_code(MEASURES)

    def has_code(self, script: str) -> None:
        (self.file.parent / "src" / "evaluate.py").write_text(script)

    @abstractmethod
    def has_data(self, name: str, version: str) -> None:
        """Somebody makes a version of a data asset, of one file."""

    @abstractmethod
    def archive_data(self, name: str, version: str) -> None: ...

    def submission(self, name: str, version: str = "1") -> JobSubmission:
        data = found(self.workspace.data_asset(name, version))
        return JobSubmission(
            name=f"job-{name}",
            inputs={"data": JobInput(data.asset_id, data.type)},
            left_out=("champion",),
            tags={"mlpromote.promotion": "p"},
            experiment="evaluation",
        )

    def started(self, name: str) -> JobSubmission:
        self.has_data(name, "1")
        submission = self.submission(name)
        self.workspace.start_job(self.file, submission)
        return submission

    def ended(self, job: str) -> SubmittedJob:
        def look() -> SubmittedJob | None:
            one = self.workspace.submitted_job(job)
            return one if one and one.status in ("Completed", "Failed", "Canceled") else None

        return until(look, f"the end of {job}")


class FakeAzure(Azure):
    def __init__(self, folder: Path) -> None:
        self._fake = FakeWorkspace(FakeRegistry(), "ws-test", polls_until_ended=1)
        super().__init__(self._fake, folder)

    def has_code(self, script: str) -> None:
        super().has_code(script)
        self._fake.polls_until_ended = None if script == HANGS else 1
        self._fake.outcome = OUTCOMES.get(script, JobOutcome())

    def has_data(self, name: str, version: str) -> None:
        self._fake.has_data(name, version)

    def archive_data(self, name: str, version: str) -> None:
        self._fake.data[name, version] = replace(self._fake.data[name, version], is_archived=True)


class RealAzure(Azure):
    def __init__(self, azure: LocalAzure, folder: Path) -> None:
        super().__init__(azure.workspace("test"), folder)
        self._client = client("test", azure)

    def has_data(self, name: str, version: str) -> None:
        from azure.ai.ml.entities import Data

        files = self.file.parent / f"data-{name}-{version}"
        files.mkdir()
        (files / "holdout.csv").write_text(f"x,y\n{version},1\n")
        self._client.data.create_or_update(Data(name=name, version=version, path=str(files), type="uri_folder"))

    def archive_data(self, name: str, version: str) -> None:
        self._client.data.archive(name, version)


@pytest.fixture(params=["fake", "real"])
def azure_ml(request: pytest.FixtureRequest, tmp_path: Path) -> Azure:
    return FakeAzure(tmp_path) if request.param == "fake" else RealAzure(request.getfixturevalue("azure"), tmp_path)


def test_what_does_not_exist_is_none(azure_ml: Azure) -> None:
    workspace = azure_ml.workspace
    assert workspace.submitted_job("nobody") is None
    assert workspace.data_asset("nobody", None) is None
    assert workspace.data_asset("nobody", "1") is None
    assert workspace.has_compute("cpu")
    assert not workspace.has_compute("gone")


def test_a_job_file_is_read_with_what_it_asks_for_and_all_files_of_its_code(azure_ml: Azure) -> None:
    described = azure_ml.workspace.job_file(azure_ml.file)
    folder = azure_ml.file.parent
    assert list(described.files) == [azure_ml.file, folder / "src" / "evaluate.py"]
    assert list(described.inputs) == ["data", "champion", "threshold", "strict"]
    assert (described.compute, described.instance_type) == ("cpu", "Standard_DS3_v2")


@pytest.mark.parametrize("content", [None, "", "- a list", "command: [", "type: pipeline\njobs: {}", "code: src"])
def test_a_job_file_that_cannot_be_used_is_refused(azure_ml: Azure, content: str | None) -> None:
    file = azure_ml.file.with_name("other.yml")
    if content is not None:
        file.write_text(content)
    with pytest.raises(RejectedError):
        azure_ml.workspace.job_file(file)


def test_code_that_is_missing_is_refused(azure_ml: Azure) -> None:
    azure_ml.file.write_text(JOB.replace("code: src", "code: gone"))
    with pytest.raises(RejectedError):
        azure_ml.workspace.job_file(azure_ml.file)


def test_a_submitted_job_has_our_name_tags_and_inputs_and_runs_once(azure_ml: Azure, name: str) -> None:
    workspace, submission = azure_ml.workspace, azure_ml.started(name)
    again = workspace.start_job(azure_ml.file, submission)
    assert again.name == submission.name
    job = azure_ml.ended(submission.name)
    assert job.status == "Completed"
    assert job.tags == {"team": "digits", "mlpromote.promotion": "p"}
    assert job.inputs.keys() == {"data", "threshold", "strict"}
    assert job.inputs["data"].lower() == submission.inputs["data"].asset_id.lower()
    assert job.command.startswith("python evaluate.py")
    assert job.workspace.endswith("/workspaces/ws-test")
    assert job.studio
    assert workspace.metrics(job.name) == {"auc": 0.75, "files": 1.0}
    assert workspace.job_creator(job.name) == workspace.own_id() != ""
    assert list(workspace.job_differences(job, azure_ml.file, submission)) == []


def test_a_job_of_other_content_is_never_taken_for_ours(azure_ml: Azure, name: str) -> None:
    workspace, submission = azure_ml.workspace, azure_ml.started(name)
    job = azure_ml.ended(submission.name)
    azure_ml.has_data(name, "2")
    other_data = azure_ml.submission(name, "2")
    assert list(workspace.job_differences(job, azure_ml.file, other_data)) == ["its input data"]
    with_champion = replace(submission, left_out=(), inputs={**submission.inputs, "champion": JobInput("azureml:m:1")})
    assert list(workspace.job_differences(job, azure_ml.file, with_champion)) == ["its input champion"]
    azure_ml.has_code(MEASURES + "mlflow.log_metric('auc', 1.0)")
    assert list(workspace.job_differences(job, azure_ml.file, submission)) == ["its code"]
    with pytest.raises(RejectedError):
        workspace.start_job(azure_ml.file, other_data)


def test_a_job_whose_code_fails_tells_why_and_shows_its_log(azure_ml: Azure, name: str) -> None:
    azure_ml.has_code(RAISES)
    job = azure_ml.ended(azure_ml.started(name).name)
    assert job.status == "Failed"
    end = azure_ml.workspace.job_end(job.name)
    assert "User process exited with status code 1" in end.error
    assert "KeyError: 'no such column'" in end.log


def test_a_job_that_hangs_can_be_cancelled_also_twice(azure_ml: Azure, name: str) -> None:
    azure_ml.has_code(HANGS)
    job = azure_ml.started(name).name
    until(lambda: found(azure_ml.workspace.submitted_job(job)).status == "Running", "that the job runs")
    azure_ml.workspace.start_cancellation(job)
    assert azure_ml.ended(job).status == "Canceled"
    azure_ml.workspace.start_cancellation(job)
    assert azure_ml.workspace.job_end(job).error == ""


def test_the_latest_version_of_data_is_the_one_that_was_made_last(azure_ml: Azure, name: str) -> None:
    for version in ("2", "10"):
        azure_ml.has_data(name, version)
    latest = found(azure_ml.workspace.data_asset(name, None))
    assert (latest.name, latest.version, latest.type, latest.is_archived) == (name, "10", "uri_folder", False)
    assert latest.asset_id.endswith(f"/data/{name}/versions/10")
    assert found(azure_ml.workspace.data_asset(name, "2")).version == "2"
    assert azure_ml.workspace.data_asset(name, "3") is None


def test_an_archived_version_of_data_is_reported_as_such(azure_ml: Azure, name: str) -> None:
    azure_ml.has_data(name, "1")
    azure_ml.archive_data(name, "1")
    assert found(azure_ml.workspace.data_asset(name, "1")).is_archived
