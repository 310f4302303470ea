"""Jobs that a step starts in its environment's workspace, and what they are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class JobFile:
    """An Azure ML command job in YAML, as far as it is known before it is submitted."""

    files: Sequence[Path]  #: absolute, without duplicates: the file itself, its code, its environment's own files
    inputs: Sequence[str]  #: names of the declared inputs
    compute: str  #: name of a compute; empty for serverless
    environment: str  #: id or short name of an environment asset; empty for one that is described in the file
    instance_type: str | None
    instances: int | None
    experiment: str = ""


@dataclass(frozen=True)
class JobInput:
    """What an input is bound to: the id of an asset."""

    asset_id: str
    type: str = ""  #: `uri_folder`, `mlflow_model`, …; empty: as the file has it


@dataclass(frozen=True)
class JobSubmission:
    """What is added to a job file when it is submitted."""

    name: str
    #: Inputs that are bound here. Those of the file that are `left_out` are not bound at all; others keep their values.
    inputs: Mapping[str, JobInput]
    left_out: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    experiment: str = ""  #: where the file names none


@dataclass(frozen=True)
class SubmittedJob:
    """A job as the workspace gives it back."""

    name: str
    workspace: str  #: ARM id
    status: str  #: Azure ML's word: Completed, Failed, Canceled, CancelRequested, Queued, Running, …
    tags: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)  #: name → id, path or value
    command: str = ""
    code: str = ""  #: id of its code asset
    environment: str = ""  #: id of its environment asset
    compute: str = ""
    studio: str = ""  #: address of its page in Azure ML studio


@dataclass(frozen=True)
class ChildJob:
    """A step of a pipeline job, as run history knows it."""

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
    """Jobs of a workspace. Nothing waits for one; a getter answers None for what is not there."""

    def own_id(self) -> str: ...  # object id of the identity that makes these calls
    def has_compute(self, name: str) -> bool: ...
    def data_asset(self, name: str, version: str | None) -> DataAsset | None: ...  # None: the latest
    def job_file(self, file: Path) -> JobFile: ...  # RejectedError where it cannot be used
    def start_job(self, file: Path, submission: JobSubmission) -> SubmittedJob: ...  # the one that is there, if so
    def submitted_job(self, name: str) -> SubmittedJob | None: ...
    def job_creator(self, name: str) -> str: ...  # object id; empty where Azure does not tell
    #: In what the job is not what would be submitted, in words: its command, its code, an input. Empty if it is.
    def job_differences(self, job: SubmittedJob, file: Path, submission: JobSubmission) -> Sequence[str]: ...
    def start_cancellation(self, job: str) -> None: ...
    def child_jobs(self, job: str) -> Sequence[ChildJob]: ...
    def metrics_of_children(self, job: str) -> Mapping[str, Mapping[str, float]]: ...  # by the child's job name
    def job_end(self, name: str) -> JobEnd: ...
