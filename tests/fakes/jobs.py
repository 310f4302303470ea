"""Jobs of an Azure ML workspace, in memory: implements the port `Jobs` for fast tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from shared.config import plain_yaml
from shared.ports import (
    ChildJob,
    DataAsset,
    JobEnd,
    JobFile,
    JobSubmission,
    RejectedError,
    SubmittedJob,
)
from tests.fakes.work import FakeWork

WORKER = "worker-oid"  #: object id of the identity that uses the fake


@dataclass
class JobOutcome:
    """The outcome of a job."""

    status: str = "Completed"
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    log: str = ""


@dataclass(kw_only=True)
class FakeJobs(FakeWork):
    """State that tests set up and look at directly. A job ends as its `outcome` says after `polls_until_ended` reads;
    None: never by itself."""

    identity: str = WORKER
    computes: set[str] = field(default_factory=lambda: {"cpu"})
    data: dict[tuple[str, str], DataAsset] = field(default_factory=dict)  #: the last of a name is the latest
    submitted: dict[str, SubmittedJob] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)  #: digest of a job's command and code, by its name
    creators: dict[str, str] = field(default_factory=dict)
    outcome: JobOutcome = field(default_factory=JobOutcome)
    outcomes: dict[str, JobOutcome] = field(default_factory=dict)  #: of some jobs, by name
    ended: dict[str, JobOutcome] = field(default_factory=dict)
    children: dict[str, list[tuple[ChildJob, Mapping[str, float]]]] = field(default_factory=dict)
    polls_until_ended: int | None = 0
    job_metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    _reads: dict[str, int] = field(default_factory=dict)

    # --- to set up ---

    def has_data(self, name: str, version: str, is_archived: bool = False, type: str = "uri_folder") -> DataAsset:
        asset = DataAsset(f"{self._workspace}/data/{name}/versions/{version}", name, version, type, is_archived)
        self.data.pop((name, version), None)
        self.data[name, version] = asset
        return asset

    def end_job(self, name: str, outcome: JobOutcome) -> None:
        self.ended[name] = outcome
        self.job_metrics[name] = dict(outcome.metrics)
        self.submitted[name] = replace(self.submitted[name], status=outcome.status)

    # --- the port ---

    def own_id(self) -> str:
        self._called("own_id")
        return self.identity

    def has_compute(self, name: str) -> bool:
        self._called("has_compute")
        return name in self.computes

    def data_asset(self, name: str, version: str | None) -> DataAsset | None:
        self._called("data_asset")
        versions = [found for (there, _), found in self.data.items() if there == name]
        if version is None:
            return versions[-1] if versions else None
        return next((found for found in versions if found.version == version), None)

    def job_file(self, file: Path) -> JobFile:
        self._called("job_file")
        content = _content(file)
        resources = content.get("resources") or {}
        return JobFile(
            files=(file, *_code(file, content)),
            inputs=tuple(content.get("inputs") or {}),
            compute=str(content.get("compute") or "").removeprefix("azureml:"),
            environment=str(content.get("environment") or ""),
            instance_type=resources.get("instance_type"),
            instances=resources.get("instance_count"),
            experiment=str(content.get("experiment_name") or ""),
        )

    def start_job(self, file: Path, submission: JobSubmission) -> SubmittedJob:
        self._called("start_job")
        content, name = _content(file), submission.name
        there = self.submitted.get(name)
        if there is not None:
            if self.job_differences(there, file, submission):
                raise RejectedError(f"A job with the name {name} already exists")
            return there
        self.submitted[name] = SubmittedJob(
            name=name,
            workspace=self._workspace,
            status="Queued",
            tags={**(content.get("tags") or {}), **submission.tags},
            inputs=_inputs(content, submission),
            command=str(content.get("command") or ""),
            studio=f"https://ml.azure.com/runs/{name}",
        )
        self.contents[name] = _digest(file, content)
        self.creators[name] = self.identity
        self._died("start_job")
        return self.submitted[name]

    def submitted_job(self, name: str) -> SubmittedJob | None:
        self._called("submitted_job")
        found = self.submitted.get(name)
        if found is None or found.status in ("Completed", "Failed", "Canceled"):
            return found
        reads = self._reads[name] = self._reads.get(name, 0) + 1
        if found.status == "CancelRequested":
            self.submitted[name] = replace(found, status="Canceled")
        elif self.polls_until_ended is not None and reads >= self.polls_until_ended:
            self.end_job(name, self.outcomes.get(name, self.outcome))
        else:
            self.submitted[name] = replace(found, status="Running")
        return found if found.status == "CancelRequested" else self.submitted[name]

    def job_creator(self, name: str) -> str:
        self._called("job_creator")
        return self.creators.get(name, "")

    def job_differences(self, job: SubmittedJob, file: Path, submission: JobSubmission) -> Sequence[str]:
        self._called("job_differences")
        content = _content(file)
        wanted = _inputs(content, submission)
        found = [] if self.contents.get(job.name) == _digest(file, content) else ["its code"]
        names = sorted(job.inputs.keys() | wanted.keys())
        return [*found, *(f"its input {name}" for name in names if job.inputs.get(name) != wanted.get(name))]

    def start_cancellation(self, job: str) -> None:
        self._called("start_cancellation")
        found = self.submitted[job]
        if found.status not in ("Completed", "Failed", "Canceled"):
            self.submitted[job] = replace(found, status="CancelRequested")
        self._died("start_cancellation")

    def child_jobs(self, job: str) -> Sequence[ChildJob]:
        self._called("child_jobs")
        return [child for child, _ in self.children.get(job, ())]

    def job_end(self, name: str) -> JobEnd:
        self._called("job_end")
        outcome = self.ended.get(name, JobOutcome())
        return JobEnd(outcome.error, outcome.log)

    # --- how it works ---

    @property
    def _workspace(self) -> str:
        raise NotImplementedError


def _content(file: Path) -> dict[str, Any]:
    try:
        content = plain_yaml.load(file.read_text())
    except (OSError, yaml.YAMLError) as fault:
        raise RejectedError(f"The job file {file.name} cannot be read: {fault}") from fault
    if not isinstance(content, dict) or not content.get("command"):
        raise RejectedError(f"The job file {file.name} does not describe a command job.")
    for code in _code(file, content):
        code.read_bytes()
    return content


def _code(file: Path, content: Mapping[str, Any]) -> list[Path]:
    code = content.get("code")
    if code and not (file.parent / code).is_dir():
        raise RejectedError(f"{file.name} names {file.parent / code}, which does not exist.")
    return sorted(each for each in (file.parent / code).rglob("*") if each.is_file()) if code else []


def _inputs(content: Mapping[str, Any], submission: JobSubmission) -> dict[str, str]:
    declared = {
        name: str(value.get("path", "")) if isinstance(value, dict) else str(value)
        for name, value in (content.get("inputs") or {}).items()
    }
    bound = {name: given.asset_id for name, given in submission.inputs.items()}
    return {name: value for name, value in {**declared, **bound}.items() if name not in submission.left_out}


def _digest(file: Path, content: Mapping[str, Any]) -> str:
    parts = [str(content.get(key)) for key in ("command", "environment")]
    return sha256("\0".join([*parts, *(each.read_text() for each in _code(file, content))]).encode()).hexdigest()
