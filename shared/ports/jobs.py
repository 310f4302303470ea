"""Jobs that a step starts in its environment's workspace, and what they are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class JobFile:
    """What is known of an Azure ML command job in YAML before it is submitted."""

    files: Sequence[Path]  #: absolute, without duplicates: the file itself, its code, its environment's own files
    inputs: Sequence[str]  #: names of the declared inputs
    compute: str  #: name of a compute; empty for serverless
    environment: str  #: id or short name of an environment asset; empty if the file describes it inline
    instance_type: str | None
    instances: int | None
    experiment: str = ""


@dataclass(frozen=True)
class JobInput:
    """The asset that an input is bound to."""

    asset_id: str
    type: str = ""  #: `uri_folder`, `mlflow_model`, …; empty: as in the file


@dataclass(frozen=True)
class JobSubmission:
    """What is added to a job file when it is submitted."""

    name: str
    #: Inputs to bind. Inputs of the file that are `left_out` stay unbound; others keep their values.
    inputs: Mapping[str, JobInput]
    left_out: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    experiment: str = ""  #: used if the file names none


@dataclass(frozen=True)
class SubmittedJob:
    """A job as the workspace returns it."""

    name: str
    workspace: str  #: ARM id
    status: str  #: Azure ML's status: Completed, Failed, Canceled, CancelRequested, Queued, Running, …
    tags: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)  #: name → id, path or value
    command: str = ""
    code: str = ""  #: id of its code asset
    environment: str = ""  #: id of its environment asset
    compute: str = ""
    studio: str = ""  #: address of its page in Azure ML studio


@dataclass(frozen=True)
class ChildJob:
    """A step of a pipeline job, from run history."""

    name: str
    node: str  #: its name in the pipeline
    status: str
    error: str = ""


@dataclass(frozen=True)
class JobEnd:
    """Why a job failed: what Azure ML says, and the end of its log."""

    error: str
    log: str


@dataclass(frozen=True)
class DataAsset:
    """A version of a data asset of the workspace."""

    asset_id: str
    name: str
    version: str
    type: str  #: uri_file, uri_folder or mltable
    is_archived: bool = False


class Jobs(Protocol):
    """Jobs of a workspace. No method waits for a job. Getters return None for what does not exist."""

    def own_id(self) -> str: ...  # object id of the identity that makes these calls
    def has_compute(self, name: str) -> bool: ...
    def data_asset(self, name: str, version: str | None) -> DataAsset | None: ...  # None: the latest
    def job_file(self, file: Path) -> JobFile: ...  # RejectedError if unusable
    def start_job(self, file: Path, submission: JobSubmission) -> SubmittedJob: ...  # an existing one is returned
    def submitted_job(self, name: str) -> SubmittedJob | None: ...
    def job_creator(self, name: str) -> str: ...  # object id; empty if unknown
    #: How the job differs from what would be submitted, in words: its command, its code, an input. Empty if equal.
    def job_differences(self, job: SubmittedJob, file: Path, submission: JobSubmission) -> Sequence[str]: ...
    def start_cancellation(self, job: str) -> None: ...
    def child_jobs(self, job: str) -> Sequence[ChildJob]: ...
    def job_end(self, name: str) -> JobEnd: ...
